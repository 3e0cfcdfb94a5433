#!/usr/bin/python3
"""Servers that die, lines that break, shares that are not what they were: the right exit, in bounded time, in plain words, and the next run is fine.

Needs root (Samba, Ganesha, a small mount).
"""

import os
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from lib import trees
from lib.checks import Checks, full_size, need_root, remove
from lib.compare import content_hash, walk
from lib.line import Line
from lib.program import Vault
from lib.servers import Ganesha, Samba

MIB = 1 << 20
# A request waits 30 s, coming back is tried for about as long.
# Only what hangs for good takes as long as this.
BOUND = 600
need_root("server-dies")
checks = Checks("server-dies")


def main():
    pool = ThreadPoolExecutor(2)
    stalled = pool.submit(stalls_for_ever)
    for title, part in (("a line that breaks and comes back", lines), ("Samba is killed", samba_dies), ("a share that is not what it was", shares),
                        ("a full disk at the other end", full_disk), ("Ganesha is killed", ganesha_dies)):
        with checks.part(title):
            part()
    with checks.part("a line that stalls for ever"):
        run, again, here = stalled.result()
        checks.check(f"stalled for ever: exit 1 after {run.seconds:.0f} s, clear words", run.status == 1 and run.is_clear(GONE), run)
        fine("stalled for ever", here, again)
    checks.finish()


GONE = r"answer|reach|connect|gone|refused|lost|time"


class Practice:
    """A server with a share of some files, a vault, and the line between."""

    def __init__(self, name, make=Samba):
        self.home = checks.scratch / name
        self.server = make(self.home / "server")
        trees.plain(self.server.share / "large", 60 if full_size() else 24, 2 * MIB, seed=1)
        trees.plain(self.server.share / "small", 400, 2000, seed=2)
        self.keys = ("--password-file", self.server.password) if make is Samba else ()
        if make is Samba:
            self.server.give()
        self.line = Line(self.server.port)
        self.url = self.line.url(self.server.url)
        self.vault = Vault(self.home / "vault", "1+0")

    def backup(self, *options, timeout=BOUND):
        return self.vault.backup(self.url, *self.keys, *options, timeout=timeout)

    def snapshots(self):
        return [item.get("snapshot", item.get("id")) for item in self.vault.list().report.get("snapshots", [])]

    def killed_while_running(self, when, count, work, then=None):
        """Kills the server at the very byte that `when` (a method of the line) waits for, while `work` runs; returns whether it came to that, and what `work` gave."""
        dead = threading.Event()

        def kill():
            self.server.kill()
            dead.set()

        when(count, kill)
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(work)
            while not dead.wait(0.02) and not running.done():
                pass
            if then:
                then()
            return dead.is_set(), running.result()

    def new_files(self, seed):
        """Something to be read by the next run."""
        trees.plain(self.server.share / f"new-{seed}", 24, 2 * MIB, seed=seed)
        if isinstance(self.server, Samba):
            self.server.give()

    def close(self):
        self.line.close()
        self.server.stop()
        remove(self.home)


def contents(root):
    """Path -> content of all files below."""
    return {path: found for path, found in walk(root, lambda folder, name, status: content_hash(folder, name) if status.st_mode & 0o170000 == 0o100000 else None) if found}


def fine(what, practice, run):
    """A run was complete, and what it made is what the server has."""
    checks.check(f"{what}: the next run is complete", run.status == 0, run)
    restored(what, practice)


def restored(what, practice, snapshot="latest"):
    out = practice.home / "out"
    back = practice.vault.restore(snapshot, out)
    same = out.exists() and contents(out) == contents(practice.server.share)
    checks.check(f"{what}: and restores to what the server has", back.is_plain and same, back)
    remove(out)


# Lines

def lines():
    here = Practice("lines")
    here.line.cut_after(20 * MIB)
    run = here.backup()
    checks.check("connection reset in the middle: the run goes through, exit 0", run.status == 0, run)
    restored("connection reset", here)
    here.new_files(11)
    here.line.stall_after(10 * MIB, seconds=5)
    run = here.backup()
    checks.check(f"nothing comes for 5 s: the run goes through, exit 0 ({run.seconds:.0f} s)", run.status == 0 and run.seconds >= 5, run)
    restored("5 s stall", here)
    here.new_files(12)
    here.line.slow(8 * MIB)
    run = here.backup()
    checks.check("a slow line: exit 0", run.status == 0, run)
    here.line.slow(None)
    here.line.cut_after(10 * MIB)
    back = here.vault.restore("latest", here.home / "over-a-cut")
    checks.check("a restore elsewhere needs no server", back.is_plain, back)
    here.close()


def stalls_for_ever():
    here = Practice("stalls")
    here.line.stall_after(20 * MIB)
    run = here.backup()
    here.line.close()
    here.line = Line(here.server.port)
    here.url = here.line.url(here.server.url)
    return run, here.backup(), here


# Samba

def samba_dies():
    here = Practice("samba")
    first = here.backup()
    checks.check("a first run is complete", first.status == 0, first)
    before = here.snapshots()
    here.new_files(21)
    caught, run = here.killed_while_running(here.line.when_passed, 10 * MIB, here.backup)
    checks.check(f"Samba killed in the middle: exit 1 after {run.seconds:.0f} s, clear words", caught and run.status == 1 and run.is_clear(GONE), run)
    checks.check("Samba killed: earlier snapshots are as they were, and no new one", here.snapshots() == before, here.snapshots())
    here.server.restart()
    fine("Samba killed", here, here.backup())
    wrong = checks.scratch / "wrong"
    wrong.write_text("not the password\n")
    run = here.vault.backup(here.url, "--password-file", wrong, timeout=BOUND)
    checks.check("wrong password: exit 1, clear words", run.status == 1 and run.is_clear("password|account|sign"), run)
    fine("wrong password", here, here.backup())
    here.new_files(22)

    def back_soon():
        time.sleep(1)
        here.server.restart()

    caught, run = here.killed_while_running(here.line.when_passed, 10 * MIB, here.backup, back_soon)
    checks.check("Samba killed and back after a moment: the run goes through, exit 0", caught and run.status == 0, run)
    restored("Samba killed and back", here)
    here.close()


# Shares

def shares():
    here = Practice("shares")
    first = here.backup()
    checks.check("a first run is complete", first.status == 0, first)
    share, aside = here.server.share, here.home / "aside"
    before = here.snapshots()
    config = here.server.folder / "smb.conf"
    text = config.read_text()
    config.write_text(text.replace("[share]", "[moved]"))
    here.server.reload()
    time.sleep(1)
    run = here.backup()
    checks.check("share removed: exit 1, clear words", run.status == 1 and run.is_clear("share"), run)
    checks.check("share removed: no new snapshot", here.snapshots() == before, here.snapshots())
    config.write_text(text)
    here.server.reload()
    time.sleep(1)
    fine("share removed", here, here.backup())
    good = contents(share)
    share.rename(aside)
    share.mkdir()
    here.server.give()
    held("share swapped for an empty one", here, good)
    trees.plain(share / "other", 500, 3000, seed=77)
    here.server.give()
    held("share swapped for another", here, good)
    remove(share)
    aside.rename(share)
    fine("the share is back", here, here.backup())
    for path in sorted(share.glob("small/*/*"))[:300]:
        path.unlink()
    held("most files deleted", here, good)
    run = here.backup("--intended")
    checks.check("with --intended it is accepted: exit 0", run.status == 0 and run.report.get("outcome") == "complete", run)
    fine("most files deleted, and meant so", here, here.backup())
    here.close()


def held(what, here, good):
    run = here.backup()
    reason = str(run.report.get("held", ""))
    checks.check(f"{what}: held, exit 3, with a reason", run.status == 3 and run.report.get("outcome") == "held" and len(reason) > 20, run)
    again = here.backup()
    checks.check(f"{what}: still held the next time", again.status == 3 and again.report.get("outcome") == "held", again)
    out = here.home / "out"
    back = here.vault.restore("latest", out)
    checks.check(f"{what}: the latest good one is what it was", back.is_plain and contents(out) == good, back)
    remove(out)


# A full disk

def full_disk():
    """A restore to a share on a small disk."""
    here = Practice("full")
    first = here.backup()
    small = here.server.folder / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=30m,mode=755", "tmpfs", small], capture_output=True, check=False).returncode:
        print("   not checked: this machine does not let us mount")
        return
    try:
        here.server.give(small)
        here.server.add("small")
        time.sleep(1)
        url = here.line.url(here.server.url_of("small"))
        run = here.vault.restore("latest", url, *here.keys, timeout=BOUND)
        checks.check("disk full at a restore: exit 1 or 3, clear words", first.status == 0 and run.status in (1, 3) and run.is_clear("full|space"), run)
        subprocess.run(["mount", "-o", "remount,size=400m", small], check=True)
        run = here.vault.restore("latest", url, *here.keys, "--conflict", "replace", timeout=BOUND)
        checks.check(f"disk full: with room again the same restore is complete ({run.seconds:.1f} s)", run.status == 0 and contents(small) == contents(here.server.share), run)
        killed_while_restoring(here, url, small)
    finally:
        subprocess.run(["umount", small], check=False)
    here.close()


def killed_while_restoring(here, url, folder):
    for name in os.listdir(folder):
        subprocess.run(["rm", "-rf", folder / name], check=True)

    def work():
        return here.vault.restore("latest", url, *here.keys, timeout=BOUND)

    caught, run = here.killed_while_running(here.line.when_sent, 10 * MIB, work)
    checks.check(f"Samba killed during a restore: exit 1 or 3 after {run.seconds:.0f} s, clear words", caught and run.status in (1, 3) and run.is_clear(GONE), run)
    here.server.restart()
    here.server.add("small")
    time.sleep(1)
    run = here.vault.restore("latest", url, *here.keys, "--conflict", "skip", timeout=BOUND)
    for part in folder.glob("**/.keepwell-*-*.part"):
        part.unlink()
    checks.check(f"Samba killed during a restore: with --conflict skip the next one is complete ({run.seconds:.1f} s)", run.status == 0 and contents(folder) == contents(here.server.share), run)


# NFS

def ganesha_dies():
    here = Practice("ganesha", Ganesha)
    first = here.backup()
    checks.check("a first run is complete", first.status == 0, first)
    here.new_files(31)
    caught, run = here.killed_while_running(here.line.when_passed, 10 * MIB, here.backup, here.server.restart)
    checks.check("Ganesha killed and started again: the run goes through, exit 0", caught and run.status == 0, run)
    here.url = here.line.url(here.server.url)
    fine("Ganesha killed and started again", here, here.backup())
    before = here.snapshots()
    here.new_files(32)
    caught, run = here.killed_while_running(here.line.when_passed, 10 * MIB, here.backup)
    checks.check(f"Ganesha killed for good: exit 1 after {run.seconds:.0f} s, clear words", caught and run.status == 1 and run.is_clear(GONE), run)
    checks.check("Ganesha killed for good: earlier snapshots are as they were, and no new one", here.snapshots() == before, here.snapshots())
    here.server.restart()
    here.url = here.line.url(here.server.url)
    fine("Ganesha killed for good", here, here.backup())
    here.close()


if __name__ == "__main__":
    main()
