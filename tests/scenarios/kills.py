#!/usr/bin/python3
"""kill -9 of the real program at 50 random moments of backups of changing data. The next run completes; every snapshot that was ever
acknowledged verifies and restores. SEED repeats a run, as far as the machine's timing lets it; SIZE=full kills 250 times."""

import os
import random
import time

from lib import trees
from lib.checks import Checks, full_size, remove
from lib.compare import fingerprint
from lib.program import Vault

KILLS = int(os.environ.get("KILLS", "250" if full_size() else "50"))
SEED = int(os.environ.get("SEED", "1"))
checks = Checks("kills")


def main():
    print(f"{KILLS} kills, SEED={SEED}")
    with checks.part("kills"):
        kill_often()
    checks.finish()


def kill_often():
    r = random.Random(SEED)
    vault = Vault(checks.scratch, "2+1")
    tree = trees.plain(checks.scratch / "tree", 1500, 30_000, seed=SEED)
    known = {}
    whole_run = acknowledge(vault, tree, known, "the first run")
    killed = completed = 0
    for number in range(KILLS):
        change(tree, r.random(), number)
        expected = fingerprint(tree)
        # One moment in each of KILLS equal parts of a run's time, in random order of size.
        moment = whole_run * ((number * 17) % KILLS + r.random()) / KILLS
        if killed_at(vault, tree, moment):
            killed += 1
        else:
            completed += 1
            known[vault.list().report["snapshots"][-1]["id"]] = expected
        if number % 5 == 4:
            lasted = acknowledge(vault, tree, known, f"after {number + 1} kills the next run")
            whole_run = (whole_run + lasted) / 2
        if number % 25 == 24:
            verified = vault.verify(data=True)
            checks.check(f"after {number + 1} kills: verify --data is clean", verified.status == 0, verified)
    print(f"   {killed} runs were killed, {completed} were quicker than the kill")
    checks.check("most kills came in the middle of a run", killed >= KILLS * 0.7, f"{killed} of {KILLS}")
    final(vault, known)


def change(tree, share, number):
    """Enough new data that a run takes as long as the first, most of the time."""
    trees.change_plain(tree, seed=1000 * SEED + number, share=0.05 + 0.1 * share)
    trees.plain(tree / f"day-{number % 10}", 300, 60_000, seed=number)


def acknowledge(vault, tree, known, what):
    """A backup that is left alone. Remembers what its snapshot has to hold. Returns its seconds."""
    expected = fingerprint(tree)
    began = time.monotonic()
    run = vault.backup(tree)
    lasted = time.monotonic() - began
    checks.check(f"{what} completes", run.status == 0, run)
    known[run.report.get("snapshot", what)] = expected
    return lasted


def killed_at(vault, tree, moment):
    """Whether the kill came before the end of the run."""
    process = vault.start_backup(tree)
    try:
        process.wait(timeout=moment)
    except Exception:  # noqa: BLE001: the time is up
        process.kill()
    process.communicate()
    return process.returncode != 0


def final(vault, known):
    listed = [item["id"] for item in vault.list().report["snapshots"]]
    checks.check("every acknowledged snapshot is listed", set(known) <= set(listed), set(known) - set(listed))
    extra = set(listed) - set(known)
    checks.check("a snapshot nobody acknowledged is one of a run that was killed at its very end", len(extra) <= 3, extra)
    for snapshot, expected in known.items():
        out = checks.scratch / "out"
        run = vault.restore(snapshot, out)
        same = run.status == 0 and fingerprint(out) == expected
        checks.check(f"snapshot {snapshot[:8]} restores as it was", same, run)
        remove(out)
    vault.forget_cache()
    verified = vault.verify(data=True)
    checks.check("without caches too: verify --data is clean", verified.status == 0, verified)


if __name__ == "__main__":
    main()
