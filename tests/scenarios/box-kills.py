#!/usr/bin/python3
"""A box whose programs are killed without warning, under backups, restores and everything else that they do by themselves. Afterwards it works as if nothing had been:
nothing that was said to be backed up is missing, and no run is said to be better than it was. SIZE=full: ten minutes in place of one.
"""

import os
import random
import shutil
import threading
import time

from lib import trees
from lib.appliance import PROGRAMS, Appliance
from lib.box import until
from lib.checks import Checks, need_root
from lib.program import run
from lib.servers import Samba

need_root("box-kills")
checks = Checks("box-kills")
SECONDS = 600 if os.environ.get("SIZE") == "full" else 60
RANDOM = random.Random(int(os.environ.get("SEED", "4")))
# Every turn kills all of them once, in an order of its own: chance alone leaves one of them out on a slow machine.
TURN = (*PROGRAMS, "vaultd", "job", "job")


class Practice:
    """A share that grows by a generation of files before each run, and what the box said of each run."""

    def __init__(self, server, name):
        self.server, self.name = server, name
        self.generation = 0
        self.complete = {}
        self.lies = []

    def grow(self):
        self.generation += 1
        trees.plain(self.server.share / f"generation-{self.generation:04}", 300, 20_000, seed=self.generation)
        self.server.give()
        return self.generation

    def backup(self, box):
        """One run, and what it was said to be in the end; `complete` counts only when the box itself says so afterwards."""
        generation = self.grow()
        started = box("runs", "start", self.name, "--wait")
        snapshot = started.report.get("snapshot") or (started.report.get("run") or {}).get("snapshot")
        if started.status == 0 and snapshot:
            self.complete[snapshot] = generation
        return started


def main():
    server = Samba(checks.scratch / "samba")
    box = Appliance(checks.scratch / "box")
    practice = Practice(server, "EHR")
    with checks.part("a box with a share"):
        added = box("shares", "add", "EHR", *server.to_read(), "--tier", 1)
        checks.check("a share is added", added.status == 0, added)
        first = practice.backup(box)
        checks.check("its first backup is complete", first.status == 0 and bool(practice.complete), first)
    with checks.part(f"{SECONDS} s of kills"):
        kills(box, practice)
    with checks.part("afterwards"):
        afterwards(box, practice)
    checks.finish()


def kills(box, practice):
    over = threading.Event()

    def work():
        while not over.is_set():
            practice.backup(box)
            if not box.settled(30):
                continue
            box.sign_in()
            restore(box, practice)

    worker = threading.Thread(target=work)
    worker.start()
    killed, turns = {}, []
    end = time.monotonic() + SECONDS
    while time.monotonic() < end or turns:
        turns = turns or RANDOM.sample(TURN, len(TURN))
        time.sleep(RANDOM.uniform(0.5, 4.0))
        name = turns.pop()
        # A job lives for as long as a run or a restore: the worker is bound to begin one as soon as the box is there again.
        if until(lambda: box.kill_job(RANDOM.randrange(8)) if name == "job" else box.kill(name), 90):
            killed[name] = killed.get(name, 0) + 1
    over.set()
    worker.join()
    print(f"             killed: {killed}; {practice.generation} runs wanted, {len(practice.complete)} said to be complete", flush=True)
    checks.check("each program was killed", set(killed) == {*PROGRAMS, "job"}, killed)


def restore(box, practice):
    """A restore into the share's own server, beside the data; it may be cut, but it must not be told as whole then."""
    if not practice.complete:
        return
    snapshot, generation = RANDOM.choice(sorted(practice.complete.items(), key=lambda item: item[1]))
    target = practice.server.share.parent / "back"
    shutil.rmtree(target, ignore_errors=True)
    if "back" not in practice.server.shares:
        practice.server.shares["back"] = ""
        practice.server.add("back")
    else:
        target.mkdir()
        practice.server.give(target)
    back = box("restore", snapshot, "--to", practice.server.url_of("back"), "--password-file", practice.server.password, "--conflict", "replace", "--wait")
    if back.status == 0:
        for number in range(1, generation + 1):
            if not same(practice, target, number):
                practice.lies.append(f"restore of {snapshot[:8]}: generation {number} differs")


def same(practice, target, number):
    """Names and contents: modes are the server's own affair."""
    name = f"generation-{number:04}"
    return (target / name).is_dir() and contents(practice.server.share / name) == contents(target / name)


def contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def afterwards(box, practice):
    checks.check("all programs are there again, and the vault is open", box.settled())
    signed = box.sign_in()
    checks.check("the owner signs in", signed.status == 0, signed)
    last = practice.backup(box)
    checks.check("a backup is complete again", last.status == 0, last)
    runs = box.get("vaultd", "/v1/runs?limit=1000")
    checks.check("no run is without an end", all(one["finished_at"] for one in runs), [one for one in runs if not one["finished_at"]])
    told = {one["snapshot"] for one in runs if one["outcome"] == "complete"}
    checks.check("each run that was said to be complete still is", set(practice.complete) <= told, set(practice.complete) - told)
    checks.check("no restore that was said to be whole was not", not practice.lies, practice.lies)
    verdict = box("log", "verify")
    checks.check("the log is whole", verdict.status == 0, verdict)
    status = box("status")
    checks.check("the status is told", status.status in (0, 3), status)
    unlock = f"keyd:{box.folder}/run/keyd.sock"
    checked = run("vault", "verify", "--vault", box.folder / "disks", "--unlock", unlock, "--data")
    checks.check("the vault is whole, every file of every snapshot", checked.status == 0, checked)
    restored(box, practice, unlock)


def restored(box, practice, unlock):
    """What was said to be complete holds all generations that were there when its run began, whoever asks: here, without the box's own programs."""
    wanted = sorted(practice.complete.items(), key=lambda item: item[1])
    chosen = [wanted[0], *RANDOM.sample(wanted[1:-1], min(3, max(0, len(wanted) - 2))), wanted[-1]]
    for snapshot, generation in dict(chosen).items():
        target = checks.scratch / "restored"
        back = run("vault", "restore", snapshot, "--vault", box.folder / "disks", "--unlock", unlock, "--to", target)
        missing = [number for number in range(1, generation + 1) if not same(practice, target, number)]
        checks.check(f"snapshot {snapshot[:8]} holds all {generation} generations", back.status in (0, 3) and not missing, (back, missing))
        shutil.rmtree(target, ignore_errors=True)


main()
