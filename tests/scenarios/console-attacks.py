#!/usr/bin/python3
"""What the network, pages elsewhere, files with evil names and a program in the console's place may try with a real box."""

import base64
import io
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import time
import zipfile
from urllib.parse import urlsplit

from lib import fuzz_api, trees
from lib.appliance import Appliance
from lib.asking import ask
from lib.box import until
from lib.browser import Browser
from lib.checks import RUNNING, Checks, need_root
from lib.people import People
from lib.program import BINARY, ROOT
from lib.servers import Ganesha
from lib.web import Web

need_root("console-attacks")
checks = Checks("console-attacks")
# Names that only NFS carries as they are.
EVIL = {
    b"\"><img src=x onerror=\"window.hacked=1\">.txt": b"one\n",
    b"<svg onload=window.hacked=2><script>window.hacked=2": b"two\n",
    b"a\r\nSet-Cookie: hacked=3; Path=.txt": b"three\n",
    b"..\\..\\evil.txt": b"four\n",
    b"invoice\xe2\x80\xaetxt.exe": b"five\n",
    b"'; DROP TABLE shares; --": b"six\n",
    b"=cmd|'calc'!A1": b"seven\n",
    b"\xff\xfe not UTF-8": b"eight\n",
}
SHARE = "<script>window.hacked=9<script>"


def main():
    server = Ganesha(checks.scratch / "nfs")
    for name, content in EVIL.items():
        (server.share / "evil").mkdir(exist_ok=True)
        with open(os.fsencode(server.share) + b"/evil/" + name, "wb") as file:
            file.write(content)
    trees.plain(server.share / "letters", 30, 3_000, seed=5)
    box = Appliance(checks.scratch / "box", "--console", "127.0.0.1:0")
    people = People(box)
    url = box.ready["console"]["url"]
    owner = Web.trusting(url)
    with checks.part("a practice whose names are evil"):
        added = box("shares", "add", SHARE, server.url_of("3"), "--tier", 2, "--may-write", "the export of this test lets everybody write")
        run = box("runs", "start", SHARE, "--wait")
        checks.check("it is backed up", added.status == run.status == 0, f"{added}\n{run}")
        entered = owner.sign_in(people.owner, people.passwords[people.owner], people.telephones[people.owner].code())
        checks.check("its owner signs in", entered.goes_to in ("/", "/setup"), entered)
        people.sessions.clear()
    for title, part in (("forms from elsewhere", forms), ("names that would be markup", names), ("paths that would lead out", paths), ("names of hosts", hosts), ("frames, and what else headers say", headers),
                        ("sessions", sessions), ("logs", logs), ("codes that were used, and passwords that are guessed", guesses), ("requests of all kinds for programs", programs), ("what is long, and what is slow", floods)):
        with checks.part(title):
            part(box, people, owner)
    with checks.part("a program in the console's place"):
        hostile(box, people)
    checks.finish()


def forms(box, people, owner):
    before = len(box.get("vaultd", "/v1/runs"))
    share = box.get("vaultd", "/v1/shares")[0]["id"]
    path = f"/shares/{share}/run"
    token = owner.get("/help").form
    other = Web(owner.origin)
    other.get("/sign-in")
    evil = [{"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, {"Sec-Fetch-Site": "same-site", "Origin": "null"}, {"Sec-Fetch-Site": "none"},
            {"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {}]
    plain = {"Content-Type": "application/x-www-form-urlencoded"}
    told = [owner.ask("POST", path, f"form={token}".encode(), {**plain, **headers}).status for headers in evil]
    checks.check("a form that no page of the box sent does nothing", told == [403] * len(evil), told)
    good = {**plain, "Sec-Fetch-Site": "same-origin", "Origin": owner.origin}
    told = [owner.ask("POST", path, body.encode(), good).status for body in ("", "form=", "form=" + "0" * 64, f"form={other.token}")]
    checks.check("nor one without this session's token", told == [403] * 4, told)
    told = [owner.ask(method, path, b"", good).status for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT")]
    checks.check("nor by another method", all(400 <= status < 500 for status in told), told)
    checks.check("nothing was done", len(box.get("vaultd", "/v1/runs")) == before)


def names(box, people, owner):
    browser = Browser()
    try:
        tab = browser.tab
        tab.shape(1440)
        tab.go(owner.origin + "/sign-in")
        tab.fill("Name", people.owner)
        tab.fill("Password", people.passwords[people.owner])
        tab.fill("Code", people.telephones[people.owner].code())
        tab.activate("Sign in", exact=True)
        share = box.get("vaultd", "/v1/shares")[0]["id"]
        run = box.get("vaultd", "/v1/runs")[0]["id"]
        for path in ("/", "/shares", f"/shares/{share}", f"/shares/{share}/remove", f"/runs/{run}", "/restore", "/incidents", "/log", "/policies", "/people"):
            tab.go(owner.origin + path)
            if tab.js("window.hacked") or tab.faults:
                checks.check(f"no name is markup on {path}", False, tab.faults)
        tab.go(owner.origin + "/restore")
        tab.activate("Restore from")
        tab.activate("Use this copy")
        tab.activate("evil")
        shown = tab.text()
        checks.check("evil names are shown as text", "<img src=x onerror=" in shown and "<svg onload=" in shown, shown[:600])
        checks.check("what would turn a line around is not", "\u202e" not in shown)
        checks.check("nothing of it ran, nothing was asked for", not tab.js("window.hacked") and not tab.faults and not tab.outside(owner.origin), (tab.faults, tab.outside(owner.origin)))
        checks.check("no title and no address has a name", "script" not in tab.title + tab.js("location.href"), tab.title)
    finally:
        browser.stop()


class Restore:
    """The steps of a restore, as forms."""

    def __init__(self, owner):
        self.owner = owner
        owner.get("/restore")
        page = owner.post("/restore/drafts", {"name": SHARE})
        self.draft = page.goes_to.removesuffix("/when")
        when = owner.get(page.goes_to)
        owner.post(f"{self.draft}/when", {"snapshot": when.field("snapshot")})

    def picks(self, folder=None):
        page = self.owner.get(f"{self.draft}/what" + (f"?in={folder}" if folder is not None else ""))
        return page, [int(number) for number in re.findall(r'name="pick" value="(\d+)"', page.text)]

    def choose(self, folder, picks):
        """The form of a folder, with these ticked and no other."""
        _, rows = self.picks(folder)
        self.owner.post(f"{self.draft}/choose", [("in", folder), *(("row", row) for row in rows), *(("pick", pick) for pick in picks)])

    def downloaded(self, people):
        """What was chosen, with a new code where one is asked for."""
        where = self.owner.get(f"{self.draft}/where")
        fields = {"code": people.telephones[people.owner].code()} if 'name="code"' in where.text else {}
        return self.owner.post(f"{self.draft}/download", fields)


def paths(box, people, owner):
    restore = Restore(owner)
    page, top = restore.picks()
    folder = next(number for number in top if re.search(rf'id="p{number}"[^>]*>evil<', page.text))
    _, evil = restore.picks(folder)
    checks.check("all evil names are there", len(evil) == len(EVIL), len(evil))
    for pick in evil:
        restore.choose(folder, [pick])
        got = restore.downloaded(people)
        said = got.headers.get("content-disposition", "")
        sound = got.status == 200 and got.body in EVIL.values() and said.startswith("attachment; filename=") and not re.search(r"[\r\n/\\\\]", said.split("filename*=")[0].replace('\\"', "")) and not got.headers.get("set-cookie", "").startswith("hacked")
        if not sound:
            checks.check("a file with an evil name is a file with a harmless name", False, f"{said} {got}")
    restore.choose(folder, evil)
    got = restore.downloaded(people)
    if not checks.check("several come as an archive", got.body.startswith(b"PK"), got):
        return
    with zipfile.ZipFile(io.BytesIO(got.body)) as archive:
        inside = archive.namelist()
        contents = {archive.read(name) for name in inside[:-1] if not name.endswith("/")}
    out = [name for name in inside if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or re.match(r"[A-Za-z]:", name)]
    checks.check("an archive of them has all of them, and leads nowhere out", not out and contents == set(EVIL.values()), (out, inside))
    told = []
    for path in ("/assets/../../../etc/passwd", "/assets/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/assets/..%5c..%5c", f"{restore.draft}/../../../etc/passwd", "//etc/passwd", "/restore/drafts/%00/what", "/shares/..%2f..%2f", "/restore/jobs/-1", "/restore/jobs/99999999999999999999999", f"{restore.draft}/what?in=99999999", f"{restore.draft}/versions?of=-1"):
        answer = owner.get(path)
        if answer.status >= 500 or b"root:" in answer.body:
            told.append((path, str(answer)))
    checks.check("no address leads anywhere else", not told, told)
    body = {"snapshot": "latest", "path": "Li4vLi4vZXRjL3Bhc3N3ZA=="}
    listed = people.act(people.owner, "snapshots-list", "/v1/snapshots", {})
    body["snapshot"] = listed.report[-1]["id"]
    content = json.dumps(body).encode()
    # With a bound, signing in was proof enough.
    grant = people.grant(people.owner, "download", content, max_bytes=1_000)
    answer = people.vaultd("/v1/files/content", content, grant.report.get("grant"))
    checks.check("nor does one at vaultd's own socket", answer.status in (404, 422), answer)


def hosts(box, people, owner):
    port = urlsplit(owner.origin).port
    told = {}
    for name in ("evil.example", f"evil.example:{port}", "127.0.0.2", "localhost.evil.example", "10.0.0.1", "[::1]", "", "a" * 5000, "127.0.0.1@evil.example"):
        other = Web(owner.origin, host=name)
        other.cookie = owner.cookie
        told[name[:30]] = other.get("/").status
    checks.check("only the box's own names are answered", all(status in (400, 421, 431) for status in told.values()), told)


def headers(box, people, owner):
    bad = []
    for path in ("/", "/sign-in", "/claim", "/enrol", "/help", "/log", "/nothing/there", "/restore", "/assets/none.js", "/authority.pem", "/shares/zz"):
        for web in (owner, Web(owner.origin)):
            answer = web.get(path)
            said = answer.headers
            policy = said.get("content-security-policy", "")
            if not ("default-src 'none'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy and "http" not in policy and said.get("x-frame-options") == "DENY" and said.get("x-content-type-options") == "nosniff"
                    and said.get("referrer-policy") == "no-referrer" and (said.get("cache-control") == "no-store" or path.startswith("/assets"))):
                bad.append((path, answer.status, dict(said)))
    checks.check("every answer forbids frames, scripts from elsewhere, guesses and copies", not bad, bad[:3])


def sessions(box, people, owner):
    thief = Web(owner.origin)
    thief.cookie = "__Host-keepwell=" + "ab" * 32
    checks.check("a cookie that nobody gave is nobody", thief.get("/").goes_to == "/sign-in")
    planted = Web(owner.origin)
    planted.get("/sign-in")
    before = planted.cookie
    people.add("Fix", "auditor")
    planted.sign_in("Fix", people.passwords["Fix"], people.telephones["Fix"].code())
    thief.cookie = before
    checks.check("who signs in has another cookie than before", planted.cookie != before and thief.get("/").goes_to == "/sign-in", before)
    raw = Web(owner.origin).get("/sign-in").headers.get("set-cookie", "")
    checks.check("it is for this host, TLS and no script", all(word in raw for word in ("__Host-", "Secure", "HttpOnly", "SameSite=Strict", "Path=/")) and "Domain" not in raw, raw)
    planted.post("/sign-out")
    checks.check("after signing out it is worth nothing", planted.get("/").goes_to == "/sign-in")


def logs(box, people, owner):
    stranger = Web(owner.origin)
    stranger.get("/sign-in")
    for name in ("x\r\n2026-01-01T00:00:00Z  INFO INJECTED a line", "\x1b[31mINJECTED", "INJECTED\u2028line", "INJECTED\x00"):
        stranger.post("/sign-in", {"user": name, "password": "a password that is wrong", "code": "000000"})
        stranger.get("/nothing", **{"User-Agent": "INJECTED", "X-Forwarded-For": "INJECTED"})
    lines = [line for path in (box.folder / "log").iterdir() for line in path.read_text(errors="replace").splitlines()]
    alone = [line for line in lines if "INJECTED" in line and (line.startswith(("x", "2026-01-01")) or "\x1b[31m" in line)]
    checks.check("nobody writes lines into a log", not alone, alone[:3])
    verdict = box("log", "verify")
    checks.check("and the ledger is whole", verdict.status == 0, verdict)


def guesses(box, people, owner):
    people.add("Victim", "operator")
    people.add("Bystander", "operator")
    first, second = Web(owner.origin), Web(owner.origin)
    code = people.telephones["Bystander"].code()
    one = first.sign_in("Bystander", people.passwords["Bystander"], code)
    two = second.sign_in("Bystander", people.passwords["Bystander"], code)
    checks.check("a code is good once", one.status in (302, 303) and two.status == 401, (one.status, two.status))
    told = set()
    for attempt in range(7):
        web = Web(owner.origin)
        web.get("/sign-in")
        answer = web.post("/sign-in", {"user": "Victim", "password": f"guess number {attempt}", "code": "123456"})
        told.add((answer.status, re.sub("<[^>]+>", "", answer.text[answer.text.find('id="error"'):][:400])))
    right = Web(owner.origin).sign_in("Victim", people.passwords["Victim"], people.telephones["Victim"].code())
    checks.check("who guesses hears one and the same, and then even the right password is not looked at", len({status for status, _ in told}) <= 2 and right.status in (401, 429), (told, right.status))
    checks.check("nobody else is locked out by it", first.get("/account").status == 200)


def programs(box, people, owner):
    """Schemathesis against the description that the box itself gives, with a token that may do most of what tokens may."""
    verbs = ["snapshots-list", "files-list", "download", "restore", "test-restore", "run-now", "run-cancel", "shares-add", "policy-change", "incidents-acknowledge", "log-read", "disks-test"]
    order = {"session": people.session(people.owner), "name": "of all kinds", "role": "operator", "verbs": verbs, "shares": [], "expires_at": int(time.time()) + 7200}
    made = people.authd("/v1/tokens", {**order, "code": people.telephones[people.owner].code()})
    if not checks.check("a token for programs is made", made.status == 200, made):
        return
    authority = checks.scratch / "authority.pem"
    authority.write_text(owner.get("/authority.pem").text)
    asked, failures = fuzz_api.run(owner.origin, base64.b64decode(made.report["token"]).decode(), authority)
    checks.check(f"{asked} requests to the JSON API: none that the box fails at", asked > 30 and not failures, failures)
    checks.check("the box is there as before", until(lambda: owner.get("/help").status == 200, 60) and box.settled(), box.get("vaultd", "/v1/vault"))


def floods(box, people, owner):
    pid = box.pid("consoled")
    rss = resident(pid)
    raw = owner.connect()
    raw.sendall(f"POST /sign-in HTTP/1.1\r\nHost: {owner.host}\r\nCookie: {owner.cookie}\r\nOrigin: {owner.origin}\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 10000000000\r\n\r\n".encode())
    sent, answer = 0, b""
    raw.settimeout(30)
    try:
        while sent < 64 << 20:
            sent += raw.send(b"a" * 65_536)
    except OSError:
        pass
    try:
        answer = raw.recv(100)
    except OSError:
        pass
    raw.close()
    checks.check("a huge upload is refused, or cut", b" 413 " in answer or sent < 64 << 20, (answer, sent))
    many = owner.ask("POST", "/sign-in", b"form=x" + b"&a" * 20_000, {"Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin", "Origin": owner.origin})
    checks.check("so is a form of too many fields", many.status == 413, many)
    try:
        long = owner.get("/" + "a" * 100_000).status
    except OSError:
        # Cut before all of it was sent.
        long = 414
    checks.check("and an address of 100 KB", 400 <= long < 500, long)
    held = hold(owner, 2_000)
    answered = until(lambda: answers_from(owner, "127.0.9.9"), 180)
    checks.check(f"while {len(held)} connections say nothing, somebody else is answered", len(held) > 300 and answered, len(held))
    for one in held:
        one.close()
    checks.check("afterwards everybody is", until(lambda: is_answered(owner), 120))
    grown = resident(pid) - rss
    checks.check("all of it took little memory", grown < 150, f"{grown} MiB")


def hold(owner, count):
    """Connections of many addresses that never say anything."""
    held = []
    for number in range(count):
        try:
            held.append(socket.create_connection(owner.address, 20, source_address=(f"127.0.{1 + number % 100}.{1 + number // 100}", 0)))
        except OSError:
            break
    return held


def is_answered(web):
    try:
        return web.get("/help").status == 200
    except OSError:
        # The console has not yet noticed that the others are gone.
        return False


def answers_from(web, source):
    try:
        tls = ssl._create_unverified_context()
        with tls.wrap_socket(socket.create_connection(web.address, 30, source_address=(source, 0)), server_hostname="localhost") as line:
            line.sendall(f"GET /sign-in HTTP/1.1\r\nHost: {web.host}\r\nConnection: close\r\n\r\n".encode())
            return b" 200 " in line.recv(100)
    except OSError:
        return False


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("VmRSS:"))


def hostile(box, people):
    """What consoled's own user can do at the sockets with a session of somebody who is signed in, and without."""
    owner = people.owner
    body = b'{"snapshot":"x","path":"eA=="}'
    without = people.vaultd("/v1/files/content", body)
    checks.check("no file without a grant", without.code == "grant-malformed", without)
    made_up = people.authd("/v1/grants", {"session": "A" * 43 + "=", "verb": "download", "arguments": "0" * 64})
    checks.check("no grant for a session that is made up", made_up.status == 401, made_up)
    order = {"snapshot": "0" * 32, "path": "", "to": "smb://a@127.0.0.1:1/x", "password": "eA==", "conflict": "replace", "dry_run": False}
    until_stale = people.grant(owner, "restore", json.dumps(order).encode())
    checks.check("a restore takes a factor that was shown a moment ago", until_stale.code in ("step-up", None), until_stale)
    removed = [people.vaultd(route, b"{}") for route in ("/v1/snapshots/remove", "/v1/snapshots/delete", "/v1/vault/key", "/v1/keys", "/v1/forget", "/v1/export")]
    checks.check("there is nothing that deletes a copy or gives a key out", all(answer.status in (404, 405) for answer in removed), removed)
    good = people.grant(owner, "snapshots-list", b"{}")
    used = people.vaultd("/v1/snapshots", b"{}", good.report["grant"])
    again = people.vaultd("/v1/snapshots", b"{}", good.report["grant"])
    checks.check("a grant is good once", used.status == 200 and again.code == "grant-used", (used.status, again))
    box.kill("authd")
    box.settled()
    late = people.vaultd("/v1/snapshots", b"{}", good.report["grant"])
    checks.check("and not after authd began anew", late.code in ("grant-used", "grant-other-boot", "grant-forged"), late)
    people.sessions.clear()
    records = people.act(owner, "log-read", "/v1/log", {"from": 1, "limit": 1000}).report
    events = {record["event"] for record in records} if isinstance(records, list) else set()
    checks.check("what was read and what was refused stands in the log", {'grant', 'retrieval', 'refusal', 'sign-in'} <= events, events)

    papers(box, people)
    at_keyd(box)


def papers(box, people):
    """Two papers of the kit are the vault's key, and nobody has confirmed this box's first kit yet."""
    vault = box.get("vaultd", "/v1/vault")["vault"]
    order = {"vault": vault, "paper": 1, "format": "text", "keeper": "a thief"}
    content = json.dumps(order).encode()
    bare = people.vaultd("/v1/kit/print", content)
    checks.check("no paper of the kit without a grant", bare.code == "grant-malformed", bare)
    ridden = people.grant(people.owner, "kit-print", content)
    checks.check("nor for a session that is ridden", ridden.code == "step-up", ridden)
    other = people.act(people.owner, "log-read", "/v1/kit/print", order)
    checks.check("nor for a grant of another kind", other.code == "grant-other-verb", other)
    operator = people.grant("Bystander", "kit-print", content)
    checks.check("nor for who is no owner", operator.code == "not-allowed", operator)
    printed = people.act(people.owner, "kit-print", "/v1/kit/print", order, code=True)
    records = people.act(people.owner, "log-read", "/v1/log", {"limit": 1000, "newest": True, "from": 1}).report
    told = [record for record in records if record["fields"].get("what") == "kit-printed"]
    checks.check("an owner's code brings one, and the log has it", printed.status == 200 and "words-1" in printed.report["text"] and len(told) == 1, (printed.status, told))


def at_keyd(box):
    """Every route of keyd's, as the console's own user: a keyd of its own on a copy of the box's keys, which knows us as that and as nothing else."""
    copy, place = checks.scratch / "keyd-copy", checks.scratch / "keyd-at"
    until(lambda: copied(box.folder / "state/keyd", copy))
    others = [word for name in ("vaultd", "admin", "screen", "diskd") for word in (f"--{name}-uid", "65533")]
    with open(checks.scratch / "keyd.log", "wb") as log:
        keyd = subprocess.Popen([BINARY.parent / "keepwell-keyd", "serve", "--state", copy, "--socket", place, "--without-tpm", *others, "--consoled-uid", str(os.geteuid())], stderr=log)
    RUNNING.append(keyd.kill)
    until(lambda: keyd.poll() is not None or answers_at(place), 60)
    section = (ROOT / "docs/api.md").read_text().split("\n## keyd\n")[1].split("\n## ")[0]
    routes = re.findall(r"^\| `(GET|POST) (/v1/[^`?]+)`", section, re.MULTILINE)
    vault = box.get("vaultd", "/v1/vault")["vault"]
    told = {}
    for method, route in routes:
        answer = ask(place, method, route.replace("{vault}", vault).replace("{paper}", "1"), {} if method == "POST" else None)
        told[f"{method} {route}"] = answer.code or answer.status
    open_to_it = {route for route, said in told.items() if said != "not-you"}
    checks.check("keyd gives the console's user nothing but how the keys are", len(routes) > 12 and open_to_it == {"GET /v1/status"}, told)
    keyd.terminate()
    keyd.wait()


def copied(folder, copy):
    """Whether a folder in use was copied whole: a file may go while one looks."""
    shutil.rmtree(copy, ignore_errors=True)
    try:
        shutil.copytree(folder, copy)
    except (OSError, shutil.Error):
        return False
    return True


def answers_at(place):
    try:
        return ask(place, "GET", "/v1/status").status == 200
    except OSError:
        return False


main()
