#!/usr/bin/python3
"""Each role tries everything: every page of the console, every verb at authd and vaultd's socket as consoled's user, every route of the JSON API. What is allowed and what is refused is what
docs/users.md, docs/api.md and the console's own table say; the matrix is made from them.
"""

import base64
import json
import re
import subprocess
import time

from lib import trees
from lib.appliance import Appliance
from lib.asking import ask
from lib.checks import Checks, need_root
from lib.people import ROLES, People
from lib.program import BINARY, ROOT
from lib.servers import Samba
from lib.web import Web

need_root("roles")
checks = Checks("roles")
CONSOLED = BINARY.with_name("keepwell-consoled")


def main():
    server = Samba(checks.scratch / "samba")
    trees.plain(server.share / "letters", 20, 2_000, seed=3)
    server.give()
    box = Appliance(checks.scratch / "box", "--console", "127.0.0.1:0")
    people = People(box)
    with checks.part("a practice with one of each role"):
        added = box("shares", "add", "EHR", server.read("reader-url"), "--password-file", server.reader_password, "--tier", 1)
        run = box("runs", "start", "EHR", "--wait")
        for role in ROLES[1:]:
            people.add(f"the {role}", role)
        people.add("second owner", "owner")
        checks.check("it is backed up", added.status == run.status == 0, f"{added}\n{run}")
    names = {role: f"the {role}" for role in ROLES[1:]} | {"owner": "second owner"}
    with checks.part("pages"):
        pages(box, people, names)
    with checks.part("verbs, at the sockets"):
        verbs(people, names)
    with checks.part("without any right"):
        nobody(box, people)
    with checks.part("programs with tokens, over the JSON API"):
        programs(box, people)
    checks.finish()


def table_of(path, heading):
    """Rows of the first Markdown table whose head begins so: lists of cells."""
    rows, inside = [], False
    for line in (ROOT / path).read_text(encoding="utf-8").splitlines():
        if line.startswith(heading):
            inside = True
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif inside and line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split("|")])
        elif inside:
            break
    return [row for row in rows if not set(row[0]) <= {"-"} or not row[0]]


def rights():
    """verb -> roles that have it, from docs/users.md."""
    head, *rows = table_of("docs/users.md", "| | owner |")
    found = {}
    for verbs_of, *marks in rows:
        for verb in re.findall(r"`([a-z-]+)`", verbs_of):
            found[verb] = {role for role, mark in zip(head[1:], marks) if mark == "x"}
    return found


def pages(box, people, names):
    told = subprocess.run([CONSOLED, "routes"], capture_output=True, text=True, check=True).stdout
    table = [json.loads(line) for line in told.splitlines()]
    asked = [page for page in table if page["roles"] is not None and page["path"] != "/live"]
    checks.check("the console has a table of its pages", len(asked) > 30 and all(set(page["roles"]) <= set(ROLES) for page in asked), table[:3])
    tries = wrong = 0
    for role, name in names.items():
        web = Web.trusting(box.ready["console"]["url"])
        # Everybody's own authenticator; the session at the sockets is another one.
        entered = web.sign_in(name, people.passwords[name], people.telephones[name].code())
        checks.check(f"{role}: signs in", entered.goes_to in ("/", "/setup"), entered)
        for page in asked:
            # Nothing that is named here exists, so nothing is done; what matters is who is let through.
            path = re.sub(r"\{[a-z]+\}", "00000000000000aa", page["path"])
            answers = {"GET": web.get(path)}
            answers["POST"] = web.post(path)
            for method, answer in answers.items():
                if answer.status == 405:
                    continue
                tries += 1
                refused = answer.status == 403 and answer.heading() == "Not for your role"
                right = refused != (role in page["roles"])
                if not right or answer.status >= 500:
                    wrong += 1
                    checks.check(f"{role}: {method} {page['path']}: {'let in' if role in page['roles'] else 'refused'}", False, answer)
            if web.get("/account").status != 200:
                checks.check(f"{role}: still signed in after {page['path']}", False)
                break
    checks.check(f"{tries} tries at pages: each as the table says", wrong == 0 and tries > 300, (tries, wrong))


def routes():
    """(route, verb) of vaultd, from docs/api.md."""
    text = (ROOT / "docs/api.md").read_text(encoding="utf-8")
    vaultd = text[text.index("## vaultd"):text.index("## authd")]
    found = []
    for line in vaultd.splitlines():
        match = re.match(r"\| `POST (/v1/[a-z/-]+)` \| (`[a-z-]+`[^|]*) \|", line)
        if match:
            found += [(match[1], verb) for verb in re.findall(r"`([a-z]+-[a-z-]+|restore|download)`", match[2])]
    return found


def verbs(people, names):
    allowed, table = rights(), routes()
    checks.check("routes and verbs are documented", len(table) > 25 and {verb for _, verb in table} <= set(allowed), {verb for _, verb in table} - set(allowed))
    # Bodies that mean nothing: whoever is let through is told so, and nothing happens.
    body = b'{"nothing":"of it"}'
    tries = 0
    for role, name in names.items():
        for route, verb in table:
            tries += 1
            # A download without a bound takes a code of its own, each time.
            more = {"max_bytes": 1_000} if verb == "download" else {}
            grant = people.grant(name, verb, body, **more)
            if grant.code == "step-up":
                grant = people.grant(name, verb, body, code=people.telephones[name].code(), **more)
            if role not in allowed[verb]:
                ok = grant.status == 403 and grant.code == "not-allowed"
                checks.check(f"{role}: no grant for {verb}", ok, grant) if not ok else None
                continue
            if grant.status != 200:
                checks.check(f"{role}: a grant for {verb}", False, grant)
                continue
            told = people.vaultd(route, body, grant.report["grant"])
            if told.code in ("role", "grant-forged", "not-you") or told.status >= 500 or told.status == 200:
                checks.check(f"{role}: {verb} at {route} is let through to what it means", False, told)
            again = people.vaultd(route, body, grant.report["grant"])
            if not (again.status == 403 and str(again.code).startswith("grant-")):
                checks.check(f"{role}: {verb} at {route}, a second time", False, again)
    checks.check(f"{tries} tries with verbs: each as the table says", tries > 150 and not checks.failed, tries)


def nobody(box, people):
    table = routes()
    body = b"{}"
    told = {route: people.vaultd(route, body) for route, _ in table}
    checks.check("without a grant nothing is done", all(answer.status == 403 and answer.code == "grant-malformed" for answer in told.values()), {route: str(answer) for route, answer in told.items() if answer.code != "grant-malformed"})
    # A grant of the right person, and for another verb, for other bytes, altered, and much later.
    owner = people.owner
    good = people.grant(owner, "run-now", b'{"share":"0"}').report["grant"]
    other_verb = people.vaultd("/v1/runs/cancel", b'{"share":"0"}', good)
    good = people.grant(owner, "run-now", b'{"share":"0"}').report["grant"]
    other_body = people.vaultd("/v1/runs", b'{"share":"1"}', good)
    altered = people.vaultd("/v1/runs", b'{"share":"0"}', good[:-4] + ("AAAA" if not good.endswith("AAAA") else "BBBB"))
    checks.check("a grant is for one verb, and for its very bytes", (other_verb.code, other_body.code) == ("grant-other-verb", "grant-other-arguments"), (other_verb, other_body))
    checks.check("an altered one is none", altered.code in ("grant-forged", "grant-malformed"), altered)
    known = {answer["name"] for answer in ask(box.folder / "run/authd.sock", "GET", "/v1/users").report["users"]}
    checks.check("nobody came or went", known == {owner, "second owner", *(f"the {role}" for role in ROLES[1:])}, known)


def programs(box, people):
    """Tokens of each role and one verb each."""
    allowed = rights()
    order = {"session": people.session(people.owner), "role": "operator", "verbs": ["snapshots-list"], "shares": [], "expires_at": int(time.time()) + 3600}
    made = people.authd("/v1/tokens", {**order, "name": "only lists", "code": people.telephones[people.owner].code()})
    checks.check("a token is made", made.status == 200, made)
    token = base64.b64decode(made.report["token"]).decode()
    web = Web.trusting(box.ready["console"]["url"])
    wrong, tries = [], 0
    for route, verb in routes():
        content = b"{}"
        answer = web.ask("POST", "/api" + route, content, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
        tries += 1
        # Not for programs at all: the emergency, papers, and what is done at the box's own screen.
        elsewhere = ("/v1/emergency/", "/v1/kit/", "/v1/disks/outward", "/v1/address")
        refused = answer.status in (401, 403) or answer.status == 404 and route.startswith(elsewhere)
        if refused == (verb == "snapshots-list") or answer.status >= 500:
            wrong.append((route, verb, str(answer)))
    checks.check(f"it does what it was made for, and nothing else ({tries} tries)", not wrong, wrong[:5])
    checks.check("and every verb of the table is known", set(allowed) >= {"snapshots-list", "restore", "download"})
    cookie = web.ask("POST", "/api/v1/snapshots", b"{}", {"Content-Type": "application/json"})
    checks.check("without a token there is nothing", cookie.status == 401, cookie)


main()
