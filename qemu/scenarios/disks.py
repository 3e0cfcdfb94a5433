#!/usr/bin/python3
"""The disks of the box as it ships, with the kernel's own drivers: asked for their health by the real smartctl through the unit that may, an NVMe disk that joins, is pulled and returns, one that says of itself that it
fails, and starts with a disk that answers nothing but errors, or is not there. What was backed up stays restorable, byte for byte, all the time.
"""

import json
import re

from lib.box import until
from lib.checks import Checks, need_root
from pool.site import Site, owned, waited
from vm.bench import Bench
from vm.disk import Disk
from vm.machine import START
from vm.practice import plain

need_root("disks")
checks = Checks("disks")
bench = Bench(checks)
FILES, SIZE = 150, 60_000
# NVMe base specification, figure "SMART / Health Information": bit 2 of the critical warning.
UNRELIABLE = 4
# What a dead disk does with everything that is asked of it.
DEAD = [{"event": "none", "iotype": kind, "errno": 5} for kind in ("read", "write", "flush", "discard", "write-zeroes")]


def main():
    box = bench.resumed("box", owned)
    site = Site(box, checks.scratch / "samba")
    n1 = Disk("n1", "nvme")
    with checks.part("a backup"):
        site.asks_often()
        site.grows(FILES, SIZE)
        site.adds_share()
        backed_up(site, "a new share is backed up", first=True)
    with checks.part("asked for their health"):
        box.plug(n1)
        asked(site, n1)
    with checks.part("an NVMe disk joins"):
        site.adds_disk(n1)
        checks.check("it becomes one of the pool", until(lambda: waited(site.whole()), START), site.told("/v1/disks"))
        before = files_on(site, n1)
        site.grows(FILES, SIZE)
        backed_up(site, "a backup is complete")
        checks.check("and went on to it too", files_on(site, n1) > before, before)
    with checks.part("it is pulled, and returns"):
        pulled(site, n1)
    with checks.part("it says of itself that it fails"):
        fails(site, n1)
    with checks.part("a start with a disk that answers nothing but errors"):
        dead = box.disk("d3")
        dead.errors = DEAD
        starts_without(site, dead, "unreadable", "Can't be read")
    with checks.part("a start without it"):
        gone = box.disk("d3")
        box.disks.remove(gone)
        starts_without(site, gone, "missing", "Missing")
    checks.check("it goes off in order", box.off())
    checks.finish()


def backed_up(site, what, **more):
    done = site.backs_up(**more)
    return checks.check(what, done["outcome"] == "complete", done) and done["snapshot"]


def comes_back(site, what):
    """The newest backup, by the box, to the practice's server."""
    snapshot, held = list(site.acknowledged.items())[-1]
    state, found = site.restores(snapshot)
    checks.check(what, state["outcome"] == "complete" and held and found == held, state)


def shown(site, disk, *words):
    """Whether the console's page of the disks has these words beside the disk's serial number."""
    text = plain(site.owner.at("/disks").text)
    beside = [text[max(0, found.start() - 300):found.end() + 300] for found in re.finditer(re.escape(disk.serial), text)]
    return any(all(word in part for word in words) for part in beside)


def files_on(site, disk):
    """How many, in the file system of a mounted disk of the pool."""
    at = site.disks()[disk.serial]["standing"]["mounted_at"]
    return int(site.box.sh(f"find '{at}' -type f | wc -l").output)


def asked(site, n1):
    """diskd's answers come from keepwell-smart, which alone may ask; root's own smartctl is what they are held against."""
    box = site.box
    for disk in (*(box.disk(name) for name in ("d1", "d2", "d3")), n1):
        checks.check(f"{disk.serial}: the box asked it, and nothing is wrong with it", until(lambda disk=disk: waited(site.verdict(disk) == "healthy"), START), site.disks().get(disk.serial))
        told = site.disks()[disk.serial]
        said = json.loads(box.sh(f"/usr/sbin/smartctl --json -a /dev/{told['device']}", check=False).output)
        wanted = (said.get("model_name"), said.get("serial_number"), said.get("temperature", {}).get("current"))
        got = (told["model"], told["serial"], told["health"]["temperature_celsius"])
        checks.check(f"model, serial number and temperature are those that the disk says: {wanted}", wanted == got and wanted[0] and wanted[2], (wanted, got))
        checks.check("so they are on the console's page", shown(site, disk, told["model"], f"{wanted[2]} °C"), plain(site.owner.at("/disks").text))
    refused = box.sh("journalctl -b _COMM=keepwell-smart -p warning --no-pager -o cat -q", check=False)
    checks.check("whoever asks them has all that it needs", not refused.output.strip(), refused)


def pulled(site, n1):
    box = site.box
    began = box.sh("systemctl show -P MainPID keepwell-vaultd.service keepwell-diskd.service").output.split()
    box.unplug(n1)
    missing = until(lambda: waited(site.membership(n1) == "missing"), 300)
    checks.check("it is missing", missing, site.disks())
    checks.check("which is an incident", until(lambda: waited((n1.serial, "missing") in site.incidents()), 300), site.told("/v1/status").get("incidents"))
    checks.check("nothing of it is mounted any more", until(lambda: waited(box.sh("grep -c nvme /proc/mounts", check=False).output.strip() == "0"), 120), box.sh("cat /proc/mounts"))
    site.grows(FILES, SIZE)
    backed_up(site, "a backup goes on without it")
    comes_back(site, "and comes back, byte for byte")
    box.plug(n1)
    back = until(lambda: waited(site.membership(n1) == "member" and site.verdict(n1) == "healthy"), 300)
    checks.check("it is taken back", back, site.disks())
    checks.check("and what it missed is written to it", until(lambda: waited(site.whole()), START), site.told("/v1/disks"))
    checks.check("the incident is over", until(lambda: waited(not site.incidents()), 300), site.incidents())
    now = box.sh("systemctl show -P MainPID keepwell-vaultd.service keepwell-diskd.service").output.split()
    checks.check("no program was started again for it", now == began, (began, now))


def fails(site, n1):
    box, seen = site.box, set()
    box.nvme_critical_warning(n1, UNRELIABLE)

    def left():
        seen.update(code for serial, code in site.incidents() if serial == n1.serial)
        return site.membership(n1) == "none"

    told = until(lambda: waited(site.verdict(n1) == "failing"), 300)
    checks.check("it is told as failing", told, site.disks().get(n1.serial))
    gone = until(lambda: waited(left()), START)
    checks.check("it is emptied on to the others without anybody asking, and leaves", gone and until(lambda: waited(site.whole()), START), site.told("/v1/disks"))
    checks.check("that was an incident, with its sign", any(code.startswith("failing:") for code in seen), seen)
    checks.check("the log says both", {"disk-leaving", "disk-left"} <= logged(site, n1), logged(site, n1))
    box.unplug(n1)
    comes_back(site, "all comes back without it, byte for byte")
    checks.check("the incident is over", until(lambda: waited(not site.incidents()), 300), site.incidents())


def logged(site, disk):
    """What the newest records say happened to it."""
    records = site.ask("POST", "/v1/log", {"from": 0, "limit": 200, "newest": True}, who="auditor")
    return {record["fields"].get("what") for record in records if record["fields"].get("serial") == disk.serial}


def starts_without(site, disk, code, word):
    """`code`, `word`: what the incident and the console call it."""
    box = site.box
    checks.check("it went off in order", box.off())
    # What was pulled stays out.
    box.disks = [one for one in box.disks if one.kind != "nvme"]
    box.boot()
    state = box.ready()
    checks.check("it starts, and nothing failed", state == "running", f"{state}\n{box.sh('systemctl --failed --no-pager', check=False)}")
    checks.check("its vault is open", site.opened(START), site.told("/v1/vault"))
    checks.check("it says which disk it waits for", until(lambda: waited(site.membership(disk) == "missing"), 300), site.disks())
    checks.check("and tells it once", until(lambda: waited([serial for serial, _ in site.bays()].count(disk.serial) == 1), 120), site.bays())
    checks.check(f"on the console too: {word}", shown(site, disk, word), plain(site.owner.at("/disks").text))
    incident = until(lambda: waited((disk.serial, code) in site.incidents()), 300)
    checks.check(f"as an incident: {code}", incident, site.told("/v1/status").get("incidents"))
    site.grows(FILES, SIZE)
    backed_up(site, "a backup goes on without it")
    comes_back(site, "and comes back, byte for byte")


main()
