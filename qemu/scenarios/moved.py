#!/usr/bin/python3
"""The disks of a box in another machine, with another TPM. It starts, says what happened and why, and opens nothing. Two papers of the kit at its screen open the backups until it is switched off: people and shares
are there again, a share is restored byte for byte. Nothing is written to the state that stayed closed. Back in its own machine, the box opens unattended and goes on.
"""

import hashlib

from lib.box import until
from lib.checks import Checks, need_root
from lib.program import ROOT
from trouble.box import Codes, Monitor, failed, furnished, owner_at, proven, telephone
from trouble.share import NAME, Share
from vm.bench import Bench
from vm.boxes import POOL
from vm.machine import START

need_root("moved")
checks = Checks("moved")
bench = Bench(checks)
MIB = 1 << 20


def main():
    share = Share(checks.scratch)
    box = bench.resumed("box", furnished)
    facts = box.facts
    with checks.part("at home"):
        at_home(box, share)
    checks.check("it is switched off", box.off())
    for disk in box.all_disks():
        disk.flatten()
    state = digest(box.system.partition("state"))
    with checks.part("in another machine"):
        elsewhere(box, facts, share)
    after = digest(box.system.partition("state"))
    checks.check("nothing was written to the state that stayed closed: it is the same, bit for bit", after == state, (state, after))
    with checks.part("home again"):
        home(box, facts, share)
    checks.check("it goes off in order", box.off())
    checks.finish()


def at_home(box, share):
    owner = owner_at(box, telephone(box.facts))
    monitor = Monitor(box, owner)
    said = share.added(owner)
    checks.check("a share is backed up", said == "Complete", said)
    at = monitor.status()["at"]
    status = monitor.until(lambda status: proven(status, "state") > at)
    checks.check("the settings are in the vault", proven(status, "state") > at, status)


def digest(partition):
    """Of all its bytes."""
    found = hashlib.sha256()
    for at in range(0, partition.size, 4 * MIB):
        found.update(partition.read(at, 4 * MIB))
    return found.hexdigest()


def elsewhere(box, facts, share):
    other = bench.machine("other", box.disks, image=box.system).boot()
    state = other.ready()
    checks.check("it starts, and nothing failed but what was to open the state", state == "degraded" and left_closed(other), f"{state}\n{failed(other)}\n{other.serial.text}")
    mounts = {line.split()[1]: line.split()[0] for line in other.sh("cat /proc/mounts").lines}
    checks.check("the system says why", other.sh("cat /run/keepwell-state/locked").output.strip() == "not-opened")
    checks.check("its state is in memory, and the other one is not open", mounts.get("/var") == "tmpfs" and other.sh("[ -e /dev/mapper/state ]", check=False).status, mounts)
    screen = other.serial
    checks.check("the screen says that it is without its state, and why", screen.shows("WITHOUT ITS OWN STATE", START) and screen.shows(r"could not be opened") and screen.shows("TPM"), screen.text)
    checks.check("that nothing is lost, and what to do", screen.shows("Nothing is lost") and screen.shows("two papers"), screen.text)
    checks.check("it lures nobody to claim it", "Claim code" not in screen.text and "CAN I RESTORE" not in screen.text, screen.text)
    other.picture(ROOT / "target/screens/moved/locked.png")
    checks.check("the disks are not used before somebody says so", screen.shows("DISKS OF THE BOX") and not pool_mounts(other), f"{screen.text}\n{pool_mounts(other)}")
    opens_with_papers(other, facts)
    owner = comes_back(other, facts, share)
    screen.home()
    checks.check("the screen goes on saying that it is without its state", screen.shows("WITHOUT ITS OWN STATE") and screen.shows("CAN I RESTORE"), screen.text)
    told = owner.waits("/", lambda page: "switched off" in page.text or "not kept" in page.text, 180)
    checks.check("and so does the console", told.status == 200, told)
    checks.check("nothing else failed meanwhile", left_closed(other), failed(other))
    checks.check("it goes off in order", other.off())


def left_closed(machine):
    """Whether one thing failed, and that is the door that has to stay closed."""
    return failed(machine).split()[:1] == ["keepwell-state-open.service"] and len(failed(machine).splitlines()) == 1


def pool_mounts(machine):
    return [line for line in machine.sh("cat /proc/mounts").lines if "/run/keepwell/disks/" in line]


def opens_with_papers(other, facts):
    screen = other.serial
    screen.home()
    screen.pick("Recovery papers")
    screen.pick(f"Use {len(POOL)} disks of the box")
    screen.shows("Serial number")
    screen.fill(other.disk(POOL[0]).serial)
    taken = screen.shows(r"\d +Open the backups with two papers", START)
    checks.check("for a serial number from a sticker it takes the disks over, and asks for papers", taken and len(pool_mounts(other)) == len(POOL), f"{screen.text}\n{pool_mounts(other)}")
    screen.pick("Open the backups with two papers")
    screen.shows("First paper")
    screen.fill(*facts["papers"][2])
    screen.shows("Second paper")
    screen.fill(*facts["papers"][0])
    checks.check("two papers open the keys, until it is switched off", screen.shows("The keys are open", START) and screen.shows("next start needs the papers again"), screen.text)
    screen.keys("\n")


def comes_back(other, facts, share):
    """The owner of before, who restores the share of before."""
    # People come with the vault, a moment after its keys; until then it is a box that nobody owns.
    known = until(lambda: "/claim" not in other.web().get("/sign-in").text, START)
    checks.check("people are there again", known, other.serial.text)
    owner = owner_at(other, Codes([facts["codes"][0]]))
    checks.check("the owner signs in, with a recovery code of before", owner.at("/").status == 200)
    owner.telephone = telephone(facts)
    checks.check("and the share", owner.waits("/shares", lambda page: f"<strong>{NAME}</strong>" in page.text), owner.at("/shares"))
    said, same = share.restored(owner)
    checks.check("it is restored", said == "Complete", said)
    checks.check("byte for byte", same)
    return owner


def home(box, facts, share):
    box.boot()
    state = box.ready()
    checks.check("it starts without anybody, and nothing failed", state == "running", f"{state}\n{failed(box)}\n{box.serial.text}")
    checks.check("its screen says nothing of papers or a code", box.serial.shows("CAN I RESTORE TODAY", START) and not any(word in box.serial.text for word in ("WITHOUT", "LOCKED", "Claim code", "DISKS OF")), box.serial.text)
    owner = owner_at(box, telephone(facts))
    checks.check("the owner signs in with the telephone", owner.at("/").status == 200)
    said = owner.backs_up(NAME)
    checks.check("backups go on", said == "Complete", said)
    said, same = share.restored(owner)
    checks.check("and restores", said == "Complete" and same, said)


main()
