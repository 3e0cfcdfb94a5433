#!/usr/bin/python3
"""The power goes in the middle of backups, right after one was called complete, and in the middle of a disk's replacement, on disks that lose what was not flushed: writes are dropped, torn and reordered, by a seed. The
box starts again by itself; everything that it had called complete is there, byte for byte, with the box and without it; what was cut is called so, and what follows is complete. Before each cut the power could have gone
at many other moments: what the disks of the pool would have held then is opened without the box, with two sheets of its kit. SEED repeats a run, as far as the machine's timing lets it.
"""

import os
import shutil
import sqlite3
import time

from lib.box import until
from lib.checks import Checks, need_root
from pool.moments import Kept, Recorder
from pool.outside import Pool
from pool.site import Site, owned, waited
from vm.bench import Bench
from vm.disk import MIB, Disk
from vm.machine import START

need_root("power-cut")
checks = Checks("power-cut")
bench = Bench(checks)
SEED = int(os.environ.get("SEED", "1"))
# A backup is cut when so much of it is on the disks and so many writes are under way: its first pack, and what comes after the packs.
CUTS = ((0, 6), (40 * MIB, 3))
# So many other moments are looked at before each cut.
MOMENTS = 8
# Files of a generation, and their bytes: enough that a backup can be cut in its middle.
FILES, SIZE = 240, 150_000


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
    for number, (written, under_way) in enumerate(CUTS, 1):
        with checks.part(f"cut in a backup, {number}"):
            cut_in_backup(site, f"backup-{number}", lambda grown, open, written=written, under_way=under_way: grown >= written and open >= under_way)
    # It is in when the power is back: one that is logged can't be plugged in.
    new = Disk("d4", logged=True)
    with checks.part("cut when a backup was just called complete"):
        cut_after_backup(site, new)
    with checks.part("cut while a disk's content is made again"):
        cut_in_repair(site, box.disk("d3"), new)
    with checks.part("afterwards"):
        afterwards(site)
    checks.finish()


def cut(site, name, seen, adds=(), mending=False):
    """The power goes at the moment at which the machine stands; while it starts again, that moment and others before it are looked at. `adds`: disks that are in from then on. `mending`: a disk's content was being made again."""
    box = site.box
    kept, moments = Kept(seen, checks.scratch / name), seen.worth(MOMENTS)
    if seen.moments[-1] not in moments:
        moments.append(seen.moments[-1])
    lost = box.cut(SEED)
    print(f"             {len(seen.moments)} moments, {sum(bool(one.under_way) for one in seen.moments)} with writes under way. Lost: {lost}", flush=True)
    took = sum(lost[disk.name].dropped + lost[disk.name].torn for disk in seen.disks)
    box.system.logged = True
    box.disks += adds
    box.boot()
    for number, moment in enumerate(moments, 1):
        took += outside(site, f"{name}-{number}", kept, moment, mending)
    shutil.rmtree(kept.folder)
    checks.check("the power took writes that no disk had promised", took, lost)
    state = box.ready()
    checks.check("it starts again by itself, and nothing failed", state == "running", f"{state}\n{box.sh('systemctl --failed --no-pager', check=False)}")
    checks.check("its vault is open", site.opened(START), site.told("/v1/vault"))
    listed = site.listed()
    checks.check(f"it lists all {len(site.acknowledged)} backups that it had called complete", set(site.acknowledged) <= listed, set(site.acknowledged) - listed)
    checks.check("its log is whole", not site.log_faults(), site.log_faults())


def outside(site, name, kept, moment, mending):
    """The disks of the pool, as they would have been: without the box, its state and its programs. How many writes they lack."""
    files, lost = kept.replayed(moment, f"{SEED} {name}")
    with Pool(kept.folder / name, files, site.facts["sheets"]) as pool:
        wrong = pool.wrong(moment.acknowledged, mending)
    what = ", ".join(f"{disk} {one.kept}/{one.torn}/{one.dropped}" for disk, one in lost.items())
    checks.check(f"{name}: {len(moment.acknowledged)} backups come back from the disks alone, and all of it verifies (kept/torn/lost: {what})", not wrong, "\n".join(wrong))
    for file in files:
        file.unlink()
    return sum(one.dropped + one.torn for one in lost.values())


def cut_in_backup(site, name, condition):
    site.grows(FILES, SIZE)
    with Recorder(site) as seen:
        run = site.begins()
        stood = seen.freeze(condition)
    cut(site, name, seen)
    told = site.run(run)
    checks.check("the backup was in its middle, and is called cut", stood and told.get("outcome") == "cut" and not told.get("snapshot"), (stood, told))
    done = site.backs_up()
    checks.check("the next one is complete", done["outcome"] == "complete", done)
    comes_back(site, done["snapshot"])


def cut_after_backup(site, new):
    """Whoever saw it called complete may throw away what was backed up."""
    site.grows(FILES, SIZE)
    with Recorder(site) as seen:
        done = site.backs_up()
        stood = seen.freeze()
    cut(site, "complete", seen, adds=[new])
    checks.check("the power went when a backup was called complete", stood and done["outcome"] == "complete", (stood, done))
    told = site.run(done["id"])
    checks.check("so it is called still", (told.get("outcome"), told.get("snapshot")) == ("complete", done["snapshot"]), told)
    comes_back(site, done["snapshot"])


def comes_back(site, snapshot):
    state, found = site.restores(snapshot)
    checks.check("it comes back, byte for byte", state["outcome"] == "complete" and found == site.acknowledged[snapshot], state)


def cut_in_repair(site, old, new):
    """The third disk's place goes to another one: its content is made again from the others, and the power goes in between."""
    site.adds_disk(new, replaces=old)
    with Recorder(site) as seen:
        most = left = site.told("/v1/disks").get("to_mend", 0)
        end = time.monotonic() + START
        while left > most / 2 and time.monotonic() < end:
            left = waited(site.told("/v1/disks").get("to_mend", left), 0.1)
        stood = seen.freeze(lambda grown, under_way: under_way >= 3)
    cut(site, "repair", seen, mending=True)
    checks.check("it was in its middle", stood and 0 < left < most, (stood, most, left))
    checks.check("what was begun goes on by itself, to its end", until(lambda: waited(site.whole()), START), site.told("/v1/disks"))
    checks.check("the new disk is one of the pool, the old one is not", site.membership(new) == "member" and site.membership(old) == "none", site.disks())


def afterwards(site):
    box = site.box
    site.grows(FILES // 4, SIZE)
    done = site.backs_up()
    checks.check("a backup is complete", done["outcome"] == "complete", done)
    comes_back(site, done["snapshot"])
    states(box)
    checks.check("it goes off in order", box.off())
    files = [disk.path for disk in box.disks if disk.name != "d3"]
    with Pool(checks.scratch / "last", files, site.facts["sheets"]) as pool:
        wrong = pool.wrong(site.acknowledged)
    checks.check(f"all {len(site.acknowledged)} backups come back from the disks alone, without the one that was replaced", not wrong, "\n".join(wrong))


def states(box):
    """The databases of all programs, as the last cut left them and the work since."""
    box.sh("systemctl stop " + " ".join(f"keepwell-{name}.{kind}" for kind in ("socket", "service") for name in ("consoled", "vaultd", "replicad", "notifyd", "authd", "diskd", "keyd")), seconds=300)
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
