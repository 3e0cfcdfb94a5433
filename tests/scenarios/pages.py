#!/usr/bin/python3
"""Every page of the console, as the life of one box brings them up: out of its carton, at work, in trouble. Chromium looks at each state of each page on a telephone and at a desk, by day and
by night; pages that say something else to another role are looked at for that role too. A page of the console's own table that nobody looked at fails. Pictures stay in target/screens/pages.

Needs root (loop devices, file servers).
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import contextmanager

from lib import trees
from lib.appliance import Appliance
from lib.bays import Shelf
from lib.box import free_pair, until
from lib.checks import Checks, need_root
from lib.line import Line
from lib.member import Member
from lib.people import PASSWORD, ROLES, People
from lib.program import BINARY, ROOT
from lib.servers import Samba
from lib.telephone import Telephone
from lib.tour import LIMIT, Tour, main_of
from lib.web import Web

need_root("pages")
checks = Checks("pages")
SCREENS = ROOT / "target/screens/pages"
LETTER, SEALED = "Befund-Huber-1955.txt", "Sperrvermerk-Maier.txt"
SHARES = ("EHR", "SCANS", "BILLS", "OLD")
OWNER_PASSWORD = "vier Worte und ein Haus"
# What is no page to look at, and is asked for without a browser.
CHECK, JOB = "/restore/drafts/{id}/check", "/restore/jobs/{id}"
APART = ("/live", "/assets/{file}", "/authority.pem")


class Life:
    """The box, who is there, and who looks."""

    def __init__(self):
        shelf = checks.scratch / "shelf"
        self.server = Samba(checks.scratch / "samba", shares={"scans": "", "bills": ""})
        self.target = Samba(checks.scratch / "target", shares={"back": ""})
        self.offsite = f"127.0.0.2:{free_pair()}"
        self.box = Appliance(checks.scratch / "box", "--offsite", self.offsite, "--diskd", shelf / "diskd/socket", "--mounts", shelf / "mounts", "--without-pool", "--unclaimed", "--console", "127.0.0.1:0")
        # Without mounting by itself: a loop device that is gone would be taken for one that has come.
        self.shelf = Shelf(shelf, checks.scratch / "box/run/keyd.sock", 4, 640 << 20, "--no-automount")
        self.url = self.box.ready["console"]["url"]
        self.tour = Tour(self.url, SCREENS, (*SHARES, LETTER.split("-")[0], "archive"))
        self.members = {}

    # Looking: one check for each state.

    def looks(self, route, state, path=None, who="owner", **more):
        return self.said(route, state, self.tour.looks(route, state, path, self.web(who), **more))

    def sends(self, route, state, page, action, fields, who="owner", code=False, **more):
        telephone = self.members[who].telephone if code else None
        return self.said(route, state, self.tour.sends(route, state, page, action, fields, self.web(who), telephone=telephone, **more))

    def said(self, route, state, wrong):
        return checks.check(f"{route}: {state}", not wrong, "\n".join(map(str, wrong)))

    def web(self, who):
        if not who:
            return None
        member = self.members[who]
        # Whose session ran out on a slow machine comes in anew before the browser takes their cookie.
        member.at("/help")
        return member.web

    def owner(self):
        return self.members["owner"]

    def get(self, route):
        return self.box.get("vaultd", route)

    def share(self, name):
        return next(share["id"] for share in self.get("/v1/shares") if share["name"] == name)

    def runs(self, name):
        share = self.share(name)
        return [run for run in self.get("/v1/runs") if run["share"] == share]

    def newest(self, name):
        return max(self.runs(name), key=lambda run: run["id"])

    def backs_up(self, name, *outcomes):
        """One more backup, to its end."""
        quiet = lambda: self.runs(name) and all(run["outcome"] for run in self.runs(name))
        until(quiet, 300)
        before = self.newest(name)["id"] if self.runs(name) else 0
        asked = self.owner().does(f"/shares/{self.share(name)}", f"/shares/{self.share(name)}/run")
        over = until(lambda: self.newest(name)["id"] > before and quiet(), 300)
        checks.check(f"(a backup of {name}: {' or '.join(outcomes)})", over and self.newest(name)["outcome"] in outcomes, f"{asked}\n{self.newest(name)}")


def main():
    shutil.rmtree(SCREENS, ignore_errors=True)
    life = Life()
    try:
        for title, part in (("out of its carton", carton), ("nothing yet", nothing), ("disks and papers", disks), ("shares", shares), ("people", people), ("set up", set_up), ("at work", at_work), ("restores", restores), ("a second site", second_site),
                            ("the worst day", worst_day), ("a disk is gone", disk_gone), ("each role", roles), ("programs that do not answer", silent), ("the whole table", table)):
            with checks.part(title):
                part(life)
    finally:
        life.tour.stop()
    largest = max(life.tour.sizes.items(), key=lambda one: one[1], default=("", 0))
    print(f"largest page: {largest[0]}, {largest[1]} bytes of {LIMIT}; {len(life.tour.sizes)} states")
    checks.finish()


def carton(life):
    """Nobody owns it."""
    code = life.box.ready["claim_code"]
    words = {"user": "owner", "password": OWNER_PASSWORD, "again": OWNER_PASSWORD}
    life.looks("/sign-in", "nobody owns the box", who=None, says="[Cc]laim")
    life.looks("/claim", "empty", who=None)
    life.sends("/claim", "wrong code", "/claim", "/claim", {**words, "setup": "AAAAA-BBBBB-CCCCC-DDDDD"}, who=None, status=None, says="code")
    life.sends("/claim", "passwords differ", "/claim", "/claim", {**words, "setup": code, "again": "something else"}, who=None, status=None, says="same|differ|twice")
    life.sends("/claim", "claimed", "/claim", "/claim", {**words, "setup": code}, who=None, says="otpauth://")
    seed = re.search(r"otpauth://\S+", life.tour.tab.js("document.body.textContent"))[0]
    life.members["owner"] = Member(life.url, "owner", OWNER_PASSWORD, Telephone(seed)).signs_in()
    owner = life.box.ready["owner"]
    for place, text in (("password_file", OWNER_PASSWORD), ("totp_file", seed)):
        os.makedirs(os.path.dirname(owner[place]), exist_ok=True)
        with open(owner[place], "w", encoding="utf-8") as file:
            file.write(text + "\n")
    life.sends("/sign-in", "wrong password", "/sign-in", "/sign-in", {"user": "owner", "password": "not this one", "code": "123456"}, who=None, status=None)
    life.sends("/enrol", "wrong code", "/enrol", "/enrol", {**words, "setup": "AAAAA-BBBBB-CCCCC-DDDDD", "user": "nobody"}, who=None, status=None)
    life.looks("/enrol", "empty", who=None)


EMPTY = ("/", "/shares", "/shares/add", "/restore", "/incidents", "/emergency", "/disks", "/disks/act", "/offsite", "/offsite/pair", "/offsite/invite", "/keys", "/people", "/policies", "/log", "/settings", "/help", "/account",
         "/setup", "/setup/network", "/setup/disks", "/setup/share", "/setup/backup", "/setup/restore", "/setup/kit", "/setup/peer")


def nothing(life):
    checks.check("the box sees its disks", until(lambda: sum(disk["standing"]["kind"] == "blank" for disk in life.shelf.known()) == 4, 300), life.shelf.known())
    checks.check("and shows them", until(lambda: len(re.findall(r'name="serial" value=', life.owner().at("/setup/disks").text)) == 4, 300), life.get("/v1/disks"))
    for route in EMPTY:
        life.looks(route, "empty")


def disks(life):
    serials = sorted(disk["serial"] for disk in life.shelf.known())
    life.sends("/setup/disks", "not typed", "/setup/disks", "/setup/disks", {"owner": "Dr. Example", "erase": "ERASE the wrong one"}, code=True, says="ERASE")
    fields = [("owner", "Dr. Example")]
    offered = re.findall(r'name="serial" value="([^"]+)"', life.owner().at("/setup/disks").text)
    for serial in offered:
        fields += [("serial", serial), ("erase", f"ERASE {serial}" if serial in serials[:3] else "")]
    spoilt(life, serials[0], fields)
    made = life.owner().does("/setup/disks", "/setup/disks", fields)
    there = until(lambda: life.get("/v1/vault").get("unready", 1) is None, 300)
    checks.check("(the disks are made ready)", there, made)
    life.looks("/setup/disks", "ready", says="disks are ready")
    life.looks("/setup/kit", "the first paper's turn", says="Print paper 1")
    papers(life, 1)
    life.looks("/setup/kit", "half printed", says="Print paper 2")
    life.looks("/keys", "half printed")


def spoilt(life, serial, fields):
    """A disk that can't be written to when it is to be erased: the page says what went wrong, and the same form goes on with it."""
    device = next(disk["device"] for disk in life.shelf.known() if disk["serial"] == serial)
    try:
        subprocess.run(["blockdev", "--setro", f"/dev/{device}"], check=True)
        told = life.owner().does("/setup/disks", "/setup/disks", fields)
        begun = until(lambda: life.get("/v1/pool")["phase"] == "begun" and life.get("/v1/pool")["failed"], 300)
        checks.check("(a disk could not be erased)", begun, f"{told} {life.get('/v1/pool')}")
        life.looks("/setup/disks", "what went wrong", says="What went wrong")
    finally:
        subprocess.run(["blockdev", "--setrw", f"/dev/{device}"], check=True)


def papers(life, number):
    """Prints one and types its words: wrong ones first where it is the first paper."""
    owner = life.owner()
    paper = owner.does("/setup/kit", "/setup/kit/print", {"paper": number, "keeper": f"Keeper {number}", "format": "text"})
    rows = [line.split() for line in re.sub("<[^>]+>", "", paper.text).splitlines() if line.strip().startswith("words-")]
    page = owner.at("/setup/kit")
    places = re.findall(r'for="w-(\d+)-(\d+)"', page.text)
    checks.check(f"(paper {number} is printed)", len(rows) >= 3 and len(places) == 6, f"{paper.status} {page}")
    if number == 1:
        life.looks("/setup/kit", "words are asked for", says="Confirm paper 1")
        life.sends("/setup/kit", "wrong words", "/setup/kit", "/setup/kit/confirm", [("word", "wrong")] * 6, code=True)
        places = re.findall(r'for="w-(\d+)-(\d+)"', owner.at("/setup/kit").text)
    words = [("word", rows[int(row) - 1][int(word)]) for row, word in places]
    owner.does("/setup/kit", "/setup/kit/confirm", [("paper", number), *words])


def shares(life):
    server = life.server
    for number in range(260):
        trees.put(server.share / f"archive/scan-{number:03}.dcm", b"a picture %d\n" % number)
    trees.put(server.share / "letters" / LETTER, b"first\n")
    server.give()
    for path in server.share.rglob("*"):
        # Samba takes the earliest of a file's times for that of its creation, and the first backup changes the last access.
        os.utime(path, (1_600_000_000, 1_600_000_000))
    for name in ("scans", "bills"):
        trees.plain(server.folder / name / "files", 30, 4_000, seed=3)
        server.give(server.folder / name)
    form = {"name": "EHR", "server": f"127.0.0.1:{server.port}", "share": "share", "user": server.reader, "password": secret(server.reader_password), "tier": "one"}
    life.sends("/shares/add", "nobody answers there", "/shares/add", "/shares/add", {**form, "server": "127.0.0.1:1", "check": "yes"}, code=True)
    life.sends("/shares/add", "checked", "/shares/add", "/shares/add", {**form, "check": "yes"}, code=True, says="What the server says")
    life.sends("/shares/add", "the account can write", "/shares/add", "/shares/add", {**form, "user": server.user, "password": secret(server.password)}, code=True, says="Why does this account")
    scans, bills = ({**form, "name": name, "share": share, "tier": tier} for name, share, tier in (("SCANS", "scans", "two"), ("BILLS", "bills", "two")))
    old = {**form, "name": "OLD", "server": f"127.0.0.1:{life.target.port}", "user": life.target.reader, "password": secret(life.target.reader_password), "tier": "three"}
    for added in (form, scans, bills, old):
        told = life.owner().does("/shares/add", "/shares/add", added)
        checks.check(f"(the share {added['name']} is added)", told.status in (302, 303), told)
    for name in SHARES:
        until(lambda name=name: any(run["outcome"] for run in life.runs(name)), 300)
    checks.check("(each has a copy)", all(any(run["outcome"] in ("complete", "partial") for run in life.runs(name)) for name in SHARES), life.get("/v1/runs"))
    life.sends("/settings", "whom to call", "/settings", "/settings/call", {"lines": "Dr. Example, 0123 456\nHer nephew, 0123 457"}, code=True)
    life.looks("/settings/certificate", "the box's own")
    life.sends("/settings/certificate", "what is none", "/settings/certificate", "/settings/certificate", {"chain": "no certificate", "secret": "no key"}, code=True, status=None)
    life.looks("/setup/backup", "done")
    life.looks("/setup/restore", "a file was drawn", says="Get this file")


def secret(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def people(life):
    life.sends("/people", "a set-up code", "/people", "/people/add", {"name": "the operator", "role": "operator"}, code=True, says="Set-up code for")
    code = re.search(r"[A-Z0-9]{5}(?:-[A-Z0-9]{5}){3}", life.tour.tab.text())[0]
    life.sends("/enrol", "enrolled", "/enrol", "/enrol", {"setup": code, "user": "the operator", "password": PASSWORD, "again": PASSWORD}, who=None, says="otpauth://")
    seed = re.search(r"otpauth://\S+", life.tour.tab.js("document.body.textContent"))[0]
    life.members["operator"] = Member(life.url, "the operator", PASSWORD, Telephone(seed))
    known = People(life.box)
    known.telephones["owner"] = life.owner().telephone
    for role in ROLES[2:] + ("second owner",):
        name = known.add(f"the {role}", role.removeprefix("second "), ["BILLS"] if role == "restore-only" else [])
        life.members[role] = Member(life.url, name, PASSWORD, known.telephones[name])
    life.sends("/people", "a token", "/people", "/people/tokens", [("name", "monitoring"), ("verb", "snapshots-list"), ("days", "30")], code=True, says="[Nn]ot shown again")
    life.sends("/people", "a sealed code", "/people", "/people/seal", {}, code=True, says="envelope")
    life.looks("/people", "many, and a token", says="monitoring")
    # With a telephone of their own, which spares the owner's codes.
    life.sends("/account", "another authenticator", "/account", "/account/factor", [("what", "authenticator"), ("password", PASSWORD), ("code", life.members["second owner"].signs_in().telephone.code())], who="second owner",
               says="otpauth://")
    life.looks("/account", "an owner's", who="second owner")


def set_up(life):
    owner = life.owner()
    got = owner.does("/setup/restore", "/setup/restore/file")
    checks.check("(a file came)", got.status == 200 and "attachment" in got.headers.get("content-disposition", ""), got)
    life.looks("/setup/restore", "the file came")
    owner.does("/setup/restore", "/setup/restore/test")
    done = until(lambda: 'href="/setup/kit">Next' in owner.at("/setup/restore").text, 300)
    checks.check("(a sample of all copies is proven)", done, owner.at("/setup/restore"))
    life.looks("/setup/restore", "proven")
    life.looks("/setup/kit", "the second paper's turn", says="Print paper 2")
    papers(life, 2)
    papers(life, 3)
    life.looks("/setup/kit", "all three", says="All three papers exist")
    # keyd is asked every ten seconds.
    checks.check("(the front page knows of the papers)", until(lambda: "There are no papers" not in owner.at("/").text, 240), owner.at("/"))
    life.looks("/setup/peer", "left for later")
    life.looks("/setup", "set up", says="This box is set up")
    life.looks("/keys", "papers")


def at_work(life):
    """Copies of all kinds, one share that is paused, one whose server is gone."""
    server, owner = life.server, life.owner()
    trees.put(server.share / "letters" / LETTER, b"second, and longer\n")
    server.give(server.share / "letters" / LETTER)
    life.backs_up("EHR", "complete")
    hidden = server.folder / "bills/files" / SEALED
    trees.put(hidden, b"nobody may read this\n", 0o600)
    life.backs_up("BILLS", "partial")
    (server.folder / "scans/files").rename(server.folder / "scans-away")
    life.backs_up("SCANS", "held")
    with frozen(server):
        owner.does(f"/shares/{life.share('BILLS')}", f"/shares/{life.share('BILLS')}/run")
        until(lambda: not life.newest("BILLS")["outcome"], 300)
        life.looks("/runs/{id}", "running", f"/runs/{life.newest('BILLS')['id']}", says="Running")
        life.looks("/shares/{id}", "running", f"/shares/{life.share('BILLS')}")
        life.looks("/setup/backup", "running")
    until(lambda: life.newest("BILLS")["outcome"], 300)
    life.target.kill()
    life.backs_up("OLD", "failed", "incomplete")
    share = life.share("OLD")
    owner.does(f"/shares/{share}", f"/shares/{share}/pause", {"paused": "yes"})
    for name, state in (("EHR", "complete"), ("BILLS", "partial"), ("SCANS", "held"), ("OLD", "paused, and failed")):
        life.looks("/shares/{id}", state, f"/shares/{life.share(name)}")
        life.looks("/runs/{id}", state, f"/runs/{life.newest(name)['id']}")
    life.looks("/shares/{id}/remove", "asks", f"/shares/{share}/remove")
    for route in ("/", "/shares", "/restore", "/policies", "/log", "/settings", "/help", "/disks", "/disks/act", "/setup/share"):
        life.looks(route, "at work")
    life.looks("/log", "verified", "/log?verify=yes", quick=True)
    life.sends("/log", "looked for", "/log", "/log", {"who": "owner", "what": "sign-in"}, says="owner")
    life.sends("/log", "nothing found", "/log", "/log", {"who": "nobody of this name"}, says="Nothing of that kind")
    checks.check("(there are incidents)", until(lambda: life.get("/v1/status").get("incidents"), 300), life.get("/v1/status"))
    life.looks("/incidents", "open")
    taken = life.get("/v1/status")["incidents"][0]["id"]
    life.sends("/incidents", "one is taken", "/incidents", f"/incidents/{taken}/take", {}, says="Taken by")


@contextmanager
def frozen(server):
    """A server that takes everything and says nothing."""
    os.killpg(server.pid(), signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(server.pid(), signal.SIGCONT)


def begun(life, name):
    """A restore's first page; the address of its steps."""
    page = life.owner().does("/restore", "/restore/drafts", {"share": life.share(name)})
    return page.goes_to.removesuffix("/when")


def restores(life):
    life.target.restart()
    draft = begun(life, "EHR")
    steps = "/restore/drafts/{id}"
    owner = life.owner()
    when = owner.at(f"{draft}/when")
    life.looks(f"{steps}/when", "copies of a share", f"{draft}/when")
    life.looks(f"{steps}/when", "a month without", f"{draft}/when?month=2020-01")
    copies = list(dict.fromkeys(re.findall(r'<option value="([0-9a-f]+)"', owner.at(f"{draft}/compare").text)))
    life.looks(f"{steps}/compare", "which", f"{draft}/compare")
    life.looks(f"{steps}/compare", "what differs", f"{draft}/compare?older={copies[-1]}&newer={copies[0]}", says=LETTER)
    life.looks(f"{steps}/compare", "nothing differs", f"{draft}/compare?older={copies[0]}&newer={copies[0]}", says="Nothing differs")
    owner.web.post(f"{draft}/when", {"snapshot": when.field("snapshot")})
    top = owner.at(f"{draft}/what")
    folder = {name: number for number, name in re.findall(r'id="p(\d+)"[^>]*>([^<]+)<', top.text)}
    life.looks(f"{steps}/what", "a share", f"{draft}/what", says="letters")
    life.looks(f"{steps}/what", "a folder of many", f"{draft}/what?in={folder['archive']}", says="Next 200")
    for state, text in (("found", "befund-HUB"), ("nothing found", "no such name"), ):
        life.sends(f"{steps}/found", state, f"{draft}/what", f"{draft}/search", {"text": text}, says=LETTER if state == "found" else "Nothing of that name")
    letters = owner.at(f"{draft}/what?in={folder['letters']}")
    letter = re.search(rf'id="p(\d+)"|for="p(\d+)">{re.escape(LETTER)}', letters.text)
    number = letter[1] or letter[2]
    life.looks(f"{steps}/versions", "two", f"{draft}/versions?of={number}", says="Restore this version")
    owner.web.post(f"{draft}/choose", [("in", folder["letters"]), ("row", number), ("pick", number)])
    life.looks(f"{steps}/where", "one file", f"{draft}/where", says="To this computer")
    owner.web.post(f"{draft}/choose", [("in", folder["archive"]), ("all", folder["archive"])])
    life.looks(f"{steps}/where", "a folder", f"{draft}/where", says="zip")
    jobs(life, draft)
    life.looks("/restore", "with receipts")


def jobs(life, draft):
    """A restore to a server that stops answering, goes, and comes back; vaultd dies meanwhile. Then one that somebody ends."""
    target, owner = life.target, life.owner()
    line = Line(target.port)
    form = {"kind": "smb", "server": f"127.0.0.1:{line.port}", "share": "back", "user": target.user, "password": secret(target.password), "conflict": "rename"}
    life.sends("/restore/drafts/{id}/where", "wrong address", f"{draft}/where", f"{draft}/check", {**form, "server": "not a name!"}, code=True, status=None)
    owner.does(f"{draft}/where", f"{draft}/check", {**form, "password": "wrong"})
    until(lambda: "Checking" not in owner.at(f"{draft}/check").text, 300)
    life.looks(CHECK, "refused by the server", f"{draft}/check", says="Nothing was written")
    with frozen(target):
        owner.does(f"{draft}/where", f"{draft}/check", form)
        life.looks(CHECK, "going", f"{draft}/check", says="Checking")
    would(life, draft)
    life.looks(CHECK, "what would be written", f"{draft}/check", says="would be written")
    # In the middle, however fast this machine is.
    line.stall_after(20_000)
    at = owner.does(f"{draft}/check", f"{draft}/begin", {"check": owner.at(f"{draft}/check").field("check")}).goes_to
    state = lambda: life.get(f"/v1/restores/{at.rsplit('/', 1)[1]}")
    checks.check("(a restore is under way)", until(lambda: line.stalled, 300) and not state().get("outcome"), state())
    life.looks(JOB, "running", at)
    life.looks("/restore", "one runs")
    target.kill()
    line.cut()
    line.flow()
    checks.check("(it waits for its server)", until(lambda: state().get("waits"), 300), state())
    life.looks(JOB, "waits for the server", at, says="Tried again")
    life.box.kill("vaultd")
    checks.check("(and, after vaultd died, for its password)", life.box.settled() and until(lambda: state().get("waits") == "password", 300), state())
    life.looks(JOB, "waits for its password", at, says="Password of the account that writes")
    target.restart()
    life.sends(JOB, "goes on", at, at + "/resume", {"password": secret(target.password)}, code=True)
    over = until(lambda: state().get("outcome"), 300)
    checks.check("(the restore ends well)", over and state()["outcome"] == "complete", state())
    life.looks(JOB, "receipt", at, says="Receipt of restore")
    ended(life, form)
    line.close()


def would(life, draft):
    said = until(lambda: f"{draft}/begin" in life.owner().at(f"{draft}/check").text, 300)
    checks.check("(a check says what would be done)", said, life.owner().at(f"{draft}/check"))


def ended(life, form):
    owner, draft = life.owner(), begun(life, "EHR")
    owner.web.post(f"{draft}/when", {"snapshot": owner.at(f"{draft}/when").field("snapshot")})
    whole = re.search(r'name="all" value="(\d+)"', owner.at(f"{draft}/what").text)[1]
    owner.web.post(f"{draft}/choose", {"in": whole, "all": whole})
    owner.does(f"{draft}/where", f"{draft}/check", form)
    would(life, draft)
    with frozen(life.target):
        at = owner.does(f"{draft}/check", f"{draft}/begin", {"check": owner.at(f"{draft}/check").field("check")}).goes_to
        owner.does(at, at + "/cancel")
    until(lambda: life.get(f"/v1/restores/{at.rsplit('/', 1)[1]}").get("outcome"), 300)
    life.looks(JOB, "ended by somebody", at)


def second_site(life):
    """Another box in another house: each keeps for the other. Then its line is down, and then somebody else is at its address."""
    port = free_pair()
    at = f"127.0.0.3:{port}"
    far = Appliance(checks.scratch / "far", "--disks", "1", "--offsite", at)
    receiver = lambda: next(iter(life.get("/v1/offsite")["receivers"]), {})
    invite = {"address": life.offsite, "room": "1", "unit": "gb", "place": "The practice"}
    life.sends("/offsite/invite", "no room", "/offsite/invite", "/offsite/invite", {**invite, "room": "0"}, code=True, says="Nobody was invited")
    life.sends("/offsite/invite", "an invitation", "/offsite/invite", "/offsite/invite", invite, code=True, says="kwpair1")
    invitation = re.search("kwpair1[0-9a-z]+", life.tour.tab.text())
    kept = invitation and far("offsite", "pair", invitation[0], "--practice", "Practice in the other house")
    checks.check("(its invitation is one)", kept and kept.status == 0, kept)
    life.looks("/offsite", "keeps for another one", says="Practice in the other house")
    asked = far("offsite", "invite", "--address", at, "--quota", "20GB", "--place", "The other house").report["invitation"]
    form = {"invitation": asked, "practice": "Practice Example"}
    wrong = {**form, "invitation": asked[:-1] + ("q" if asked[-1] != "q" else "p")}
    life.sends("/offsite/pair", "a wrong character", "/offsite/pair", "/offsite/pair", wrong, code=True, says="a character of it is wrong")
    life.sends("/offsite/pair", "four words", "/offsite/pair", "/offsite/pair", {**form, "invitation": asked.upper()}, code=True, says=receiver().get("words", "Compare four words"))
    checks.check("(all is there, and was proven)", until(lambda: receiver().get("stands") == "proven", 300), receiver())
    life.looks("/offsite", "proven", says="The other house.*Proven")
    life.looks("/offsite/sheet", "for the papers", "/offsite/sheet?number=1", says="keep this with the recovery papers")
    hours = [("limited", "on"), *(("day", str(day)) for day in range(5)), ("from", "07:00"), ("to", "19:00"), ("most", "2.5"), ("zone", "Europe/Berlin")]
    life.sends("/offsite", "office hours", "/offsite", "/offsite/line", hours, code=True, says="07:00 to 19:00.*2.5 Mbit/s")
    life.looks("/setup/peer", "paired", says="is paired with another one")
    checks.check("(the front page knows)", until(lambda: "The second site has a copy and proved it" in life.owner().at("/").text, 120), life.owner().at("/"))
    life.looks("/", "with a second site")
    far.stop()
    fails(life, receiver, "unreachable")
    life.looks("/offsite", "can't be reached", says="can't be reached")
    other = Appliance(checks.scratch / "other", "--disks", "1", "--offsite", at)
    other("offsite", "invite", "--address", at, "--quota", "1GB", "--place", "Nobody's house")
    fails(life, receiver, "other-key")
    life.looks("/offsite", "somebody else is there", says="Something else answers")
    told = lambda: any(one["duty"]["kind"] == "offsite-contact" and one["code"] == "other-key" for one in life.get("/v1/status")["incidents"])
    checks.check("(and an incident is made of it)", until(told, 120), life.get("/v1/status")["incidents"])
    life.looks("/incidents", "somebody else is there", says="Something else answers")
    other.stop()


def fails(life, receiver, code):
    """It is sent until that is what comes of it."""
    def failed():
        life.owner().does("/offsite", "/offsite/send")
        return (receiver().get("failure") or {}).get("code") == code
    checks.check(f"(sending comes to {code})", until(failed, 300), receiver())


def worst_day(life):
    life.looks("/emergency", "closed", who="security", says="Her nephew")
    life.sends("/emergency", "deletions are frozen", "/emergency", "/emergency/freeze", {}, who="security", says="Deletions are frozen")
    life.looks("/", "deletions are frozen")
    life.sends("/emergency", "deletions go on", "/emergency", "/emergency/thaw", {}, who="security", code=True, says="Freeze deletions")
    life.sends("/emergency", "just opened", "/emergency", "/emergency/open", {"reason": "the server does not start", "hours": "2"}, who="security", code=True, says="Emergency access is open")
    password = re.search(r"[A-Z0-9]{5}(?:-[A-Z0-9]{5}){3}", life.tour.tab.text())
    life.looks("/emergency", "open", who="security", says="Close it now")
    life.looks("/", "emergency access is open")
    if checks.check("(its password is shown)", bool(password)):
        downtime(life, password[0])
    life.sends("/emergency", "closed again", "/emergency", "/emergency/close", {"id": life.get("/v1/emergency")["open"]["id"]}, who="security")


def downtime(life, password):
    """Not one of the console's pages, and looked at by people who are in a hurry."""
    import base64
    tab = life.tour.tab
    tab.call("Network.setExtraHTTPHeaders", headers={"Authorization": "Basic " + base64.b64encode(f"downtime:{password}".encode()).decode()})
    secret_names, life.tour.secret = life.tour.secret, ()
    life.said("/downtime/", "open", life.tour.looks("/downtime/", "open", says="EHR"))
    life.said("/downtime/", "a folder", life.tour.looks("/downtime/", "a folder", "/downtime/EHR/letters/", says=LETTER))
    life.tour.secret = secret_names
    tab.call("Network.setExtraHTTPHeaders", headers={})


def disk_gone(life):
    member = next(disk["pool_name"] for disk in life.get("/v1/disks")["disks"] if disk["membership"] == "member")
    told = lambda: next(disk for disk in life.get("/v1/disks")["disks"] if disk["pool_name"] == member)
    serial = told()["disk"]["serial"]
    bay = next(bay for bay in life.shelf.bays if any(disk["serial"] == serial and bay.device and bay.device.endswith(disk["device"]) for disk in life.shelf.known()))
    life.shelf.pull(bay, serial)
    checks.check("(it is missing)", until(lambda: told()["membership"] == "missing", 300), told())
    life.looks("/disks", "one is missing")
    life.looks("/disks/act", "one is missing")
    life.sends("/disks/act", "another serial typed", "/disks/act", "/disks/add", {"typed": "NOT-IT"}, code=True, says="sticker")
    until(lambda: any(one["duty"]["kind"] == "disk" for one in life.get("/v1/status").get("incidents", [])), 300)
    life.looks("/", "a disk is missing")


def asked(life):
    """The pages of the table that can be asked for, with who may."""
    told = subprocess.run([BINARY.with_name("keepwell-consoled"), "routes"], capture_output=True, text=True, check=True).stdout
    for page in map(json.loads, told.splitlines()):
        if page["path"] not in APART and life.owner().at(re.sub(r"\{[a-z]+\}", "0000000000000000", page["path"])).status != 405:
            yield page["path"], page["roles"]


def roles(life):
    """Whoever is told something else than the owner is looked at too; nobody who may not is told the name of a file."""
    places = {"/shares/{id}": f"/shares/{life.share('BILLS')}", "/runs/{id}": f"/runs/{max(run['id'] for run in life.runs('BILLS') if run['outcome'] == 'partial')}",
              "/shares/{id}/remove": f"/shares/{life.share('BILLS')}/remove"}
    pages = [(route, who) for route, who in asked(life) if who and not route.startswith(("/setup", "/restore/drafts", "/restore/jobs"))]
    owners = {route: main_of(life.owner().at(places.get(route, route))) for route, _ in pages}
    for role in ROLES[1:]:
        member, named = life.members[role].signs_in(), []
        for route, who in pages:
            path = places.get(route, route)
            if role not in who:
                continue
            page = member.at(path)
            if role in ("auditor", "technician", "security") and any(name in page.text for name in (LETTER, SEALED)):
                named.append(path)
            if main_of(page) != owners[route]:
                life.looks(route, f"for the {role}", path, who=role, quick=True)
        checks.check(f"the {role}: no file's name where there is none to be", not named, named)
    life.looks("/people", "for who may not", who="operator", status=403, says="Not for your role")


def silent(life):
    """Programs that do not answer, and addresses that are none."""
    life.looks("/nothing/there", "not found", status=404, says="no such page")
    life.looks("/runs/{id}", "there is no such backup", "/runs/999999", status=404)
    life.looks("/restore/drafts/{id}/when", "of another session", "/restore/drafts/0000000000000000/when", status=404)
    life.said("/help", "a form of another session", life.tour.sends("/help", "a form of another session", "/help", "/sign-out", [("form", "0" * 64)], life.web("owner"), status=403, says="too old"))
    with away(life, "vaultd"):
        for route in ("/", "/shares", "/restore", "/incidents", "/emergency", "/disks", "/offsite", "/keys", "/policies", "/log", "/settings", "/setup"):
            life.looks(route, "vaultd is silent", says="[Uu]nknown")
        life.looks("/shares/{id}", "vaultd is silent", "/shares/0000000000000000", status=503)
    until(lambda: life.get("/v1/vault").get("unready", 1) is None, 300)
    with away(life, "keyd"):
        life.looks("/setup/kit", "keyd is silent", says="[Uu]nknown")
    with away(life, "authd"):
        life.said("/", "authd is silent", life.tour.looks("/", "authd is silent", "/", life.owner().web, status=503))
        life.said("/sign-in", "authd is silent", life.tour.sends("/sign-in", "authd is silent", "/sign-in", "/sign-in", {"user": "owner", "password": "x", "code": "123456"}, status=503))


@contextmanager
def away(life, name):
    """A program that nobody can reach."""
    place = life.box.folder / f"run/{name}.sock"
    place.rename(place.with_suffix(".away"))
    try:
        yield
    finally:
        place.with_suffix(".away").rename(place)


def table(life):
    pages = [route for route, _ in asked(life)]
    left = [route for route in pages if route not in life.tour.routes]
    checks.check(f"all {len(pages)} pages of the table were looked at", len(pages) > 35 and not left, left)
    owner = Web.trusting(life.url)
    kinds = {path: owner.get(path).headers.get("content-type", "") for path in ("/authority.pem", "/assets/icon.svg")}
    checks.check("what is no page comes too", "pem" in kinds["/authority.pem"] and "svg" in kinds["/assets/icon.svg"], kinds)


main()
