#!/usr/bin/python3
"""People and programs at a whole box, asked as a console asks: somebody who may restore from one share gets nothing of another, a program with a token neither, what was used up stays
so when authd is killed, and the log has it all.
"""

import base64
import hashlib
import hmac
import json
import struct
import time
from urllib.parse import parse_qs, quote, urlsplit

from lib import trees
from lib.appliance import Appliance
from lib.asking import ask
from lib.box import until
from lib.checks import Checks, need_root
from lib.servers import Samba

need_root("box-people")
checks = Checks("box-people")
PASSWORD = "a long password of Rita's"


def main():
    server = Samba(checks.scratch / "samba")
    server.add("other")
    box = Appliance(checks.scratch / "box")
    with checks.part("a practice"):
        newest = practice(box, server)
    with checks.part("somebody who may restore from one share"):
        limited(box, server, newest)
    with checks.part("a program with a token"):
        program(box)
    with checks.part("the log"):
        log(box)
    checks.finish()


def practice(box, server):
    for name, folder, share in (("EHR", server.share, "share"), ("X-ray", server.folder / "other", "other")):
        trees.plain(folder, 20, 2000, seed=4)
        server.give(folder)
        box("shares", "add", name, *server.to_read(share), "--tier", 1)
        run = box("runs", "start", name, "--wait")
        checks.check(f"{name} is backed up", run.status == 0, run)
    listed = granted(box, owner(box), "snapshots-list", "/v1/snapshots", {})
    checks.check("the owner sees both", {one["share"] for one in listed.report} >= {"EHR", "X-ray"}, listed)
    return {one["share"]: one["id"] for one in listed.report}


def limited(box, server, newest):
    order = {"session": owner(box), "name": "Rita", "role": "restore-only", "shares": ["EHR"]}
    refused = authd(box, "/v1/users", order)
    checks.check("signing in is not enough to add people", refused.code == "step-up", refused)
    # The command line shows the owner's next code for it.
    box("users", "disable", "Nobody")
    added = authd(box, "/v1/users", order)
    enrolled = authd(box, "/v1/users/Rita/enrol", {"code": added.report["code"], "password": secret(PASSWORD)}).report
    codes = [base64.b64decode(code).decode() for code in enrolled["recovery_codes"]]
    checks.check("ten recovery codes come with it", len(set(codes)) == 10, codes)
    session = sign_in(box, totp(base64.b64decode(enrolled["otpauth"]).decode())).report.get("session")
    listed = granted(box, session, "snapshots-list", "/v1/snapshots", {})
    checks.check("of snapshots, those of the one share are listed", {one["share"] for one in listed.report} == {"EHR"}, listed)
    files = lambda snapshot: granted(box, session, "files-list", "/v1/files", {"snapshot": snapshot, "limit": 10})
    checks.check("its files too", files(newest["EHR"]).status == 200 and files("EHR@latest").report["files"], files("EHR@latest"))
    order = lambda snapshot: {"snapshot": snapshot, "to": server.url_of("other"), "password": secret("x"), "dry_run": True}
    refused = [
        granted(box, session, "snapshots-list", "/v1/snapshots", {"share": "X-ray"}),
        files(newest["X-ray"]),
        files("X-ray@latest"),
        granted(box, session, "restore", "/v1/restores", order(newest["X-ray"])),
    ]
    checks.check("of the other nothing is, nor restored", [answer.code for answer in refused] == ["scope"] * 4, refused)
    restored = granted(box, session, "restore", "/v1/restores", order(newest["EHR"]))
    checks.check("a restore of the one begins", restored.status == 200, restored)
    checks.check("they can do nothing else", granted(box, session, "run-now", "/v1/runs", {}).code == "not-allowed")

    by_code = sign_in(box, codes[0])
    box.kill("authd")
    checks.check("authd comes back", until(lambda: box.get("authd", "/v1/status")))
    again = sign_in(box, codes[0])
    checks.check("a recovery code stands in once, also when authd is killed", by_code.status == 200 and again.code == "sign-in-refused", (by_code, again))
    checks.check("the next one does", sign_in(box, codes[1]).status == 200)


def program(box):
    box.sign_in()
    box("users", "disable", "Nobody")
    order = {"session": owner(box), "name": "Job", "role": "operator", "verbs": ["run-now", "snapshots-list"], "shares": ["EHR"], "expires_at": int(time.time()) + 1000}
    made = authd(box, "/v1/tokens", order)
    checks.check("a token is made", made.status == 200 and base64.b64decode(made.report["token"]).startswith(b"kw_"), made.status)
    token = made.report["token"]
    shares = {share["name"]: share["id"] for share in box.get("vaultd", "/v1/shares")}
    begun = granted(box, None, "run-now", "/v1/runs", {"share": shares["EHR"]}, token)
    other = granted(box, None, "run-now", "/v1/runs", {"share": shares["X-ray"]}, token)
    checks.check("it begins a run of its share, and of no other", begun.status == 200 and other.code == "scope", (begun, other))
    checks.check("it does nothing else", granted(box, None, "files-list", "/v1/files", {}, token).code == "not-allowed")
    for verb in ("policy-loosen", "shares-remove", "disks-change", "users-manage"):
        checks.check(f"there is none for {verb}", authd(box, "/v1/tokens", {**order, "name": "Other", "verbs": [verb], "shares": []}).code == "bad-token")
    revoked = authd(box, f"/v1/tokens/{made.report['id']}/revoke", {"session": owner(box)})
    after = granted(box, None, "run-now", "/v1/runs", {"share": shares["EHR"]}, token)
    checks.check("once revoked it is good for nothing", revoked.status == 200 and after.code == "no-token", (revoked, after))


def log(box):
    wanted = [("Rita", "scope"), ("token:Job", "scope"), ("token:Job", "admitted"), ("Rita", "recovery-code-used"), ("owner", "token-made"), ("owner", "token-revoked")]
    # What happened at authd is taken once a minute.
    checks.check("who tried what stands in it", until(lambda: set(wanted) <= recorded(box), 150), set(wanted) - recorded(box))
    verdict = box("log", "verify")
    checks.check("it is whole", verdict.status == 0, verdict)


def recorded(box):
    """Actors and words of all records. Reading is recorded too, so not too often."""
    time.sleep(2)
    found, seq = set(), 1
    while page := granted(box, owner(box), "log-read", "/v1/log", {"from": seq, "limit": 1000}).report:
        found |= {(record["actor"], dict(record["fields"]).get("code")) for record in page}
        seq = page[-1]["seq"] + 1
        if len(page) < 1000:
            break
    return found


def owner(box):
    """The session of the owner who is signed in."""
    with open(box.ready["owner"]["session_file"], encoding="utf-8") as file:
        return json.load(file)["session"]


def authd(box, route, body):
    return ask(box.folder / "run/authd.sock", "POST", quote(route), body)


def sign_in(box, code):
    return authd(box, "/v1/sign-in", {"user": "Rita", "password": secret(PASSWORD), "code": code})


def granted(box, session, verb, route, body, token=None):
    content = json.dumps(body).encode()
    who = {"token": token} if token else {"session": session}
    grant = authd(box, "/v1/grants", {**who, "verb": verb, "arguments": hashlib.sha256(content).hexdigest()})
    if grant.status != 200:
        return grant
    return ask(box.folder / "run/vaultd.sock", "POST", route, content, headers={"keepwell-grant": grant.report["grant"]})


def secret(text):
    return base64.b64encode(text.encode()).decode()


def totp(url):
    """What an authenticator shows now (RFC 6238)."""
    key = base64.b32decode(parse_qs(urlsplit(url).query)["secret"][0])
    digest = hmac.new(key, struct.pack(">Q", int(time.time()) // 30), hashlib.sha1).digest()
    start = digest[-1] & 15
    return f"{(struct.unpack('>I', digest[start : start + 4])[0] & 0x7FFFFFFF) % 1_000_000:06}"


main()
