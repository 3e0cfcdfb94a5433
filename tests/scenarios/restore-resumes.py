#!/usr/bin/python3
"""A restore of 20,000 files to a share, begun on the console's pages, under which each program and the server are killed in turn: it goes on where it was, by itself or when the password is
given again on its page, touches nothing that somebody changed meanwhile, and its receipt is right."""

import os
import re

from lib import trees
from lib.appliance import Appliance
from lib.box import until
from lib.checks import Checks, need_root
from lib.member import Member
from lib.people import People
from lib.servers import Samba

need_root("restore-resumes")
checks = Checks("restore-resumes")
FILES = int(os.environ.get("FILES", "20000"))
FOLDERS = 40


class Restore:
    """One that is under way."""

    def __init__(self, box, number):
        self.box, self.number = box, number

    def state(self):
        return self.box.get("vaultd", f"/v1/restores/{self.number}")

    def is_over(self):
        return self.state().get("finished_at") is not None

    def reaches(self, files, seconds=600):
        """Waits until so many entries are dealt with."""
        return until(lambda: self.state().get("files", 0) >= files or self.is_over(), seconds) and not self.is_over()

    def waits_for(self, what, seconds=300):
        return until(lambda: self.state().get("waits") == what or self.is_over(), seconds) and not self.is_over()

    def goes_on(self, resumed, seconds=300):
        """Waits until it was taken up more often than before, and is at work."""
        return until(lambda: self.state().get("resumed", 0) > resumed and not self.state().get("waits"), seconds)


def main():
    server = Samba(checks.scratch / "samba", shares={"back": ""})
    for number in range(FOLDERS):
        trees.plain(server.share / f"folder-{number:02}", FILES // FOLDERS, 600, seed=number)
    server.give()
    box = Appliance(checks.scratch / "box", "--console", "127.0.0.1:0")
    with checks.part(f"a share of {FILES} files"):
        added = box("shares", "add", "EHR", server.read("reader-url"), "--tier", 1, "--password-file", server.reader_password)
        checks.check("a share is added", added.status == 0, added)
        first = box("runs", "start", "EHR", "--wait", timeout=900)
        checks.check("its backup is complete", first.status == 0, first)
    people = People(box)
    people.add("Ann", "owner")
    ann = Member(box.ready["console"]["url"], "Ann", people.passwords["Ann"], people.telephones["Ann"])
    with checks.part("begun on a page"):
        job = begins(ann, server)
        restore = Restore(box, job.rsplit("/", 1)[1])
    with checks.part("kills in turn"):
        changed = kills(box, server, restore, ann, job)
    with checks.part("its end"):
        end(box, server, restore, changed, ann, job)
    checks.finish()


def begins(ann, server):
    """All of the newest copy, to another share; the page of the restore."""
    draft = ann.does("/restore", "/restore/drafts", {"name": "EHR"}).goes_to.removesuffix("/when")
    ann.does(f"{draft}/when", f"{draft}/when", {"snapshot": ann.at(f"{draft}/when").field("snapshot")})
    whole = re.search(r'name="all" value="(\d+)"', ann.at(f"{draft}/what").text)[1]
    ann.does(f"{draft}/what", f"{draft}/choose", {"in": whole, "all": whole})
    target = {"kind": "smb", "server": f"127.0.0.1:{server.port}", "share": "back", "user": server.user, "password": secret(server.password), "conflict": "replace"}
    ann.does(f"{draft}/where", f"{draft}/check", target)
    ready = until(lambda: f"{draft}/begin" in ann.at(f"{draft}/check").text, 300)
    checks.check("a check says what would be written", ready and f"Restore {FILES:,} files" in ann.at(f"{draft}/check").text, ann.at(f"{draft}/check"))
    begun = ann.does(f"{draft}/check", f"{draft}/begin", {"check": ann.at(f"{draft}/check").field("check")})
    checks.check("a restore begins", begun.goes_to.startswith("/restore/jobs/"), begun)
    return begun.goes_to


def kills(box, server, restore, ann, job):
    share = FILES // 8
    checks.check("it is at work", restore.reaches(share), restore.state())
    checks.check("the process that writes is killed", until(box.kill_job))
    checks.check("it waits for a moment, and goes on by itself", restore.goes_on(0), restore.state())
    checks.check("it is at work again", restore.reaches(2 * share), restore.state())
    server.kill()
    server.restart()
    checks.check("the server was killed and came back: it goes on", restore.reaches(3 * share), restore.state())
    for name in ("keyd", "authd", "notifyd", "ingestd"):
        checks.check(f"{name} is killed", box.kill(name))
    checks.check("what it does not need, it does not miss", restore.reaches(4 * share), restore.state())
    checks.check("vaultd is killed", box.kill("vaultd"))
    checks.check("the box is there again", box.settled())
    checks.check("the restore waits for its password", restore.waits_for("password"), restore.state())
    checks.check("and its page says so", "Password of the account that writes" in ann.at(job).text, ann.at(job))
    written = sorted(path for path in (server.folder / "back").rglob("*") if path.is_file())
    written[0].write_text("typed since")
    resumed = restore.state()["resumed"]
    given = ann.does(job, job + "/resume", {"password": "not the password"})
    checks.check("a wrong password is taken", given.status == 303, given)
    asked = until(lambda: restore.state().get("resumed", 0) > resumed, 90) and restore.waits_for("password")
    checks.check("and asked for again", asked, restore.state())
    given = ann.does(job, job + "/resume", {"password": secret(server.password)})
    checks.check("the right one is taken", given.status == 303, given)
    return written[0]


def end(box, server, restore, changed, ann, job):
    over = until(restore.is_over, 1200)
    state = restore.state()
    checks.check("it is complete", over and state["outcome"] == "complete", state)
    receipt = ann.at(job)
    checks.check("its page is a receipt of all of it", receipt.heading().startswith("Receipt") and f"{FILES:,}" in receipt.text, receipt)
    told = {name: state[name] for name in ("files", "differing", "missing", "skipped")}
    checks.check("its receipt counts each file once", told == {"files": FILES, "differing": 0, "missing": 0, "skipped": 0}, told)
    checks.check("and says that it was cut", state["resumed"] >= 3, state)
    checks.check("what somebody changed while it waited is left alone", changed.read_text() == "typed since")
    there, wanted = contents(server.folder / "back"), contents(server.share)
    name = str(changed.relative_to(server.folder / "back"))
    there[name] = wanted.get(name)
    odd = [path for path in there.keys() | wanted.keys() if there.get(path) != wanted.get(path)]
    checks.check("all else is there as it was", not odd, sorted(odd)[:10])
    again = ann.web.post(job + "/resume", {"password": secret(server.password), "code": ann.telephone.code()})
    checks.check("one that is over can't be taken up", again.status == 303 and "no restore that waits" in ann.at(again.goes_to).text and restore.state() == state, again)
    verdict = box("log", "verify")
    checks.check("the log is whole", verdict.status == 0, verdict)


def secret(path):
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


def contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


main()
