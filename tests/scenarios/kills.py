#!/usr/bin/python3
"""kill -9 of the real program at 50 random moments of backups of changing data. The next run completes; every snapshot that was ever
acknowledged verifies and restores. SEED repeats a run, as far as the machine's timing lets it; SIZE=full kills 250 times."""

import os
import random
import signal
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
    tree = trees.plain(checks.scratch / "tree", 1000, 20_000, seed=SEED)
    known, killed_trees = {}, []
    acknowledge(vault, tree, known, "the first run")
    change(tree, r.random(), -1)
    whole_run = acknowledge(vault, tree, known, "a run that reads what changed")
    killed = attempts = 0
    while killed < KILLS and attempts < 6 * KILLS:
        change(tree, r.random(), attempts)
        expected = fingerprint(tree)
        # One moment in each of KILLS equal parts of a run's time, in mixed order.
        if killed_at(vault, tree, whole_run * ((attempts * 17) % KILLS + r.random()) / KILLS):
            killed += 1
            killed_trees.append(expected)
        else:
            known[vault.list().report["snapshots"][-1]["id"]] = expected
        attempts += 1
        if attempts % 5 == 0:
            lasted = acknowledge(vault, tree, known, f"after {killed} kills the next run")
            whole_run = (whole_run + lasted) / 2
        if attempts % 25 == 0:
            verified = vault.verify(data=True)
            checks.check(f"after {killed} kills: verify --data is clean", verified.status == 0, verified)
    print(f"   {killed} runs were killed, {attempts - killed} were quicker than the kill; a run takes about {whole_run:.2f} s")
    checks.check(f"{KILLS} runs were killed in their middle", killed == KILLS, f"{killed} of {attempts}")
    final(vault, known, killed_trees)


def change(tree, share, number):
    """Enough new data that a run takes as long as the first, most of the time."""
    trees.change_plain(tree, seed=1000 * SEED + number, share=0.05 + 0.1 * share)
    trees.plain(tree / f"day-{number % 6}", 120, 60_000, seed=number)


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
    return process.returncode == -signal.SIGKILL


def restored(vault, snapshot):
    out = checks.scratch / "out"
    run = vault.restore(snapshot, out)
    found = fingerprint(out) if out.exists() else None
    remove(out)
    return run, found


def final(vault, known, killed_trees):
    listed = [item["id"] for item in vault.list().report["snapshots"]]
    checks.check("every acknowledged snapshot is listed", set(known) <= set(listed), set(known) - set(listed))
    for snapshot, expected in known.items():
        run, found = restored(vault, snapshot)
        checks.check(f"snapshot {snapshot[:8]} restores as it was", run.status == 0 and found == expected, run)
    for snapshot in set(listed) - set(known):
        run, found = restored(vault, snapshot)
        checks.check(f"snapshot {snapshot[:8]}, which nobody acknowledged, is all of a run that was killed at its very end", run.status == 0 and found in killed_trees, run)
    vault.forget_cache()
    verified = vault.verify(data=True)
    checks.check("without caches too: verify --data is clean", verified.status == 0, verified)


if __name__ == "__main__":
    main()
