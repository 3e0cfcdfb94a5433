#!/usr/bin/python3
"""The power goes in the middle of backups and of a disk's replacement, on disks that lose what was not flushed: writes are dropped, torn and reordered, by a seed. The box starts again by itself; everything that it
had called complete is there, byte for byte, with the box and without it; what was cut is called so, and what follows is complete. Between the cuts the power could have gone at many other moments: what the disks of the
pool would have held then is opened without the box, with two sheets of its kit. SEED repeats a run, as far as the machine's timing lets it.
"""

import os
import shutil
import sqlite3
import time

from lib.box import until
from lib.checks import Checks, need_root
from pool.outside import Moment, Pool
from pool.site import Site, owned, waited
from vm.bench import Bench
from vm.disk import Disk
from vm.machine import START

need_root("power-cut")
checks = Checks("power-cut")
bench = Bench(checks)
SEED = int(os.environ.get("SEED", "1"))
# After so many moments with writes under way a backup is cut.
CUTS = (3, 6)
# The most of them before the cut of a repair.
MOMENTS = 6
# Files of a generation, and their bytes: enough that a backup can be cut in its middle.
FILES, SIZE = 240, 150_000
# What all cuts and moments took from the disks.
LOST = []


def main():
    print(f"SEED={SEED}", flush=True)
    box = bench.resumed("box", owned, logged=True)
    site = Site(box, checks.scratch / "samba")
    with checks.part("two backups"):
        site.grows(FILES, SIZE)
        site.adds_share()
        first = site.backs_up(first=True)
        checks.check("a new share is backed up", first["outcome"] == "complete", first)
        site.grows(FILES // 4, SIZE)
        second = site.backs_up()
        checks.check("and again", second["outcome"] == "complete" and len(site.acknowledged) == 2, second)
    for number, moments in enumerate(CUTS, 1):
        with checks.part(f"cut in a backup, {number}"):
            cut_in_backup(site, number, moments)
    with checks.part("cut while a disk's content is made again"):
        cut_in_repair(site, Disk("n1", "nvme", logged=True))
    with checks.part("afterwards"):
        afterwards(site)
    checks.check("the cuts took writes that no disk had promised", sum(one.dropped + one.torn for one in LOST), LOST)
    checks.finish()


def cut(site, name, moments, mending=False):
    """The power goes; while the box starts again, the moments before are looked at. `mending`: a disk's content was being made again."""
    box = site.box
    for moment in moments:
        moment.keep(checks.scratch / name / moment.name)
    box.system.logged = True
    lost = box.cut(SEED)
    print(f"             lost: {lost}", flush=True)
    LOST.extend(lost.values())
    box.boot()
    for moment in moments:
        outside(site, moment, mending)
    state = box.ready()
    checks.check("it starts again by itself, and nothing failed", state == "running", f"{state}\n{box.sh('systemctl --failed --no-pager', check=False)}")
    checks.check("its vault is open", site.opened(START), site.told("/v1/vault"))
    listed = site.listed()
    checks.check(f"it lists all {len(site.acknowledged)} backups that it had called complete", set(site.acknowledged) <= listed, set(site.acknowledged) - listed)
    checks.check("its log is whole", not site.log_faults(), site.log_faults())


def outside(site, moment, mending):
    """The disks of the pool, as they would have been: without the box, its state and its programs."""
    files, lost = moment.replayed(SEED)
    LOST.extend(lost.values())
    with Pool(moment.folder / "pool", files, site.facts["sheets"]) as pool:
        wrong = pool.wrong(moment.acknowledged, mending)
    what = ", ".join(f"{disk} {one.kept}/{one.torn}/{one.dropped}" for disk, one in lost.items())
    checks.check(f"{moment.name}: {len(moment.acknowledged)} backups come back from the disks alone, and all of it verifies (kept/torn/lost: {what})", not wrong, "\n".join(wrong))
    shutil.rmtree(moment.folder)


def cut_in_backup(site, number, moments):
    """After so many moments at which writes were under way, since the first file was read."""
    box = site.box
    site.grows(FILES, SIZE)
    run = site.begins()
    until(lambda: waited(site.run(run).get("counts", {}).get("read_bytes"), 0.2), 300)
    taken = [None]
    for step in range(1, moments):
        taken.append(Moment(box, f"backup-{number}-{step}", site.acknowledged, after=taken[-1]))
    seen = site.run(run)
    taken.append(Moment(box, f"backup-{number}-{moments}", site.acknowledged, after=taken[-1], last=True))
    cut(site, f"backup-{number}", taken[1:])
    checks.check("the backup was in its middle", seen and seen["finished_at"] is None, seen)
    told = site.run(run)
    checks.check("it is called cut", told.get("outcome") == "cut" and not told.get("snapshot"), told)
    done = site.backs_up()
    checks.check("the next one is complete", done["outcome"] == "complete", done)
    state, found = site.restores(done["snapshot"])
    checks.check("and comes back, byte for byte", state["outcome"] == "complete" and found == site.acknowledged[done["snapshot"]], state)


def cut_in_repair(site, new):
    """The third disk's place goes to another one: its content is made again from the others, and the power goes in between."""
    box, old = site.box, site.box.disk("d3")
    box.plug(new)
    site.adds_disk(new, replaces=old)
    most = left = site.told("/v1/disks").get("to_mend", 0)
    taken = [Moment(box, "repair-1", site.acknowledged)]
    end = time.monotonic() + 300
    while left > most / 2 and time.monotonic() < end:
        if len(taken) < MOMENTS:
            taken.append(Moment(box, f"repair-{len(taken) + 1}", site.acknowledged, after=taken[-1], seconds=2))
        left = site.told("/v1/disks").get("to_mend", left)
    taken.append(Moment(box, f"repair-{len(taken) + 1}", site.acknowledged, after=taken[-1], last=True))
    cut(site, "repair", taken, mending=True)
    checks.check("it was in its middle", 0 < left, (most, left))
    checks.check("what was begun goes on by itself, to its end", until(lambda: waited(site.whole()), START), site.told("/v1/disks"))
    checks.check("the new disk is one of the pool, the old one is not", site.membership(new) == "member" and site.membership(old) == "none", site.disks())


def afterwards(site):
    box = site.box
    site.grows(FILES // 4, SIZE)
    done = site.backs_up()
    checks.check("a backup is complete", done["outcome"] == "complete", done)
    state, found = site.restores(done["snapshot"])
    checks.check("it comes back, byte for byte", state["outcome"] == "complete" and found == site.acknowledged[done["snapshot"]], state)
    states(box)
    checks.check("it goes off in order", box.off())
    files = [disk.path for disk in box.disks if disk.name != "d3"]
    with Pool(checks.scratch / "last", files, site.facts["sheets"]) as pool:
        wrong = pool.wrong(site.acknowledged)
    checks.check(f"all {len(site.acknowledged)} backups come back from the disks alone, without the one that was replaced", not wrong, "\n".join(wrong))


def states(box):
    """The databases of all programs, as the last cut left them and the work since."""
    box.sh("systemctl stop " + " ".join(f"keepwell-{name}.{kind}" for kind in ("socket", "service") for name in ("consoled", "vaultd", "notifyd", "authd", "diskd", "keyd")), seconds=300)
    names = box.sh("find /var/lib/keepwell -name '*.sqlite' -o -name '*.db'").lines
    checks.check("the programs have a state", len([name for name in names if name]) >= 3, names)
    for name in filter(None, names):
        here = checks.scratch / "states" / name.strip("/").replace("/", "-")
        here.parent.mkdir(exist_ok=True)
        here.write_bytes(box.get(name))
        if box.sh(f"[ -s {name}-wal ]", check=False).status == 0:
            here.with_name(f"{here.name}-wal").write_bytes(box.get(f"{name}-wal"))
        with sqlite3.connect(here) as database:
            found = database.execute("PRAGMA integrity_check").fetchall()
        checks.check(f"{name} is whole", found == [("ok",)], found)


main()
