#!/usr/bin/python3
"""A restore of 20,000 files to a share, under which each program and the server are killed in turn: it goes on where it was, by itself or when the password is given
again, touches nothing that somebody changed meanwhile, and its receipt is right."""

import os

from lib import trees
from lib.appliance import Appliance
from lib.box import until
from lib.checks import Checks, need_root
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

    def reaches(self, files, seconds=120):
        """Waits until so many entries are dealt with."""
        return until(lambda: self.state().get("files", 0) >= files or self.is_over(), seconds) and not self.is_over()

    def waits_for(self, what, seconds=60):
        return until(lambda: self.state().get("waits") == what or self.is_over(), seconds) and not self.is_over()

    def goes_on(self, resumed, seconds=90):
        """Waits until it was taken up more often than before, and is at work."""
        return until(lambda: self.state().get("resumed", 0) > resumed and not self.state().get("waits"), seconds)


def main():
    server = Samba(checks.scratch / "samba", shares={"back": ""})
    for number in range(FOLDERS):
        trees.plain(server.share / f"folder-{number:02}", FILES // FOLDERS, 600, seed=number)
    server.give()
    box = Appliance(checks.scratch / "box")
    with checks.part(f"a share of {FILES} files"):
        added = box("shares", "add", "EHR", server.read("reader-url"), "--tier", 1, "--password-file", server.reader_password)
        checks.check("a share is added", added.status == 0, added)
        first = box("runs", "start", "EHR", "--wait", timeout=300)
        checks.check("its backup is complete", first.status == 0, first)
    box.sign_in()
    begun = box("restore", "latest", "--to", server.url_of("back"), "--password-file", server.password, "--conflict", "replace")
    checks.check("a restore begins", begun.status == 0, begun)
    restore = Restore(box, begun.report["id"])
    with checks.part("kills in turn"):
        changed = kills(box, server, restore)
    with checks.part("its end"):
        end(box, server, restore, changed)
    checks.finish()


def kills(box, server, restore):
    share = FILES // 8
    checks.check("it is at work", restore.reaches(share), restore.state())
    checks.check("the process that writes is killed", until(box.kill_job, 5))
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
    listed = box("restores", "show", restore.number)
    checks.check("and says so", listed.report["restore"]["waits"] == "password", listed)
    written = sorted(path for path in (server.folder / "back").rglob("*") if path.is_file())
    written[0].write_text("typed since")
    resumed = restore.state()["resumed"]
    box.sign_in()
    wrong = checks.scratch / "wrong"
    wrong.write_text("not the password\n")
    given = box("restores", "resume", restore.number, "--password-file", wrong)
    checks.check("a wrong password is taken", given.status == 0, given)
    checks.check("and asked for again", until(lambda: restore.state().get("resumed", 0) > resumed, 30) and restore.waits_for("password"), restore.state())
    given = box("restores", "resume", restore.number, "--password-file", server.password)
    checks.check("the right one is taken", given.status == 0, given)
    return written[0]


def end(box, server, restore, changed):
    over = box("restores", "show", restore.number, "--wait", timeout=300)
    state = restore.state()
    checks.check("it is complete", over.status == 0 and state["outcome"] == "complete", state)
    told = {name: state[name] for name in ("files", "differing", "missing", "skipped")}
    checks.check("its receipt counts each file once", told == {"files": FILES, "differing": 0, "missing": 0, "skipped": 0}, told)
    checks.check("and says that it was cut", state["resumed"] >= 3, state)
    checks.check("what somebody changed while it waited is left alone", changed.read_text() == "typed since")
    there, wanted = contents(server.folder / "back"), contents(server.share)
    name = str(changed.relative_to(server.folder / "back"))
    there[name] = wanted.get(name)
    odd = [path for path in there.keys() | wanted.keys() if there.get(path) != wanted.get(path)]
    checks.check("all else is there as it was", not odd, sorted(odd)[:10])
    again = box("restores", "resume", restore.number)
    checks.check("one that is over can't be taken up", again.status != 0, again)
    verdict = box("log", "verify")
    checks.check("the log is whole", verdict.status == 0, verdict)


def contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


main()
