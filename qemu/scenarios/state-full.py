#!/usr/bin/python3
"""The box's own disk is full: as far as its programs can fill it, to its last block, and to its last file; while it runs, and over a restart. It starts, nothing fails, screen and console say it in plain words, people
sign in and get their files back, and what was done before is all there. When there is room again, it goes on by itself.
"""

import time

from lib.checks import Checks, need_root
from trouble.box import Monitor, failed, furnished, owner_at, telephone
from trouble.share import NAME, Share
from vm.bench import Bench
from vm.machine import START
from vm.practice import NAME as PERSON
from vm.practice import PASSWORD

need_root("state-full")
checks = Checks("state-full")
bench = Bench(checks)
MIB = 1 << 20
# What the journal may have (systemd/system/usr/lib/systemd/journald.conf.d).
JOURNAL = 256 * MIB
# More than the box keeps back for this (crates/vaultd/src/reserve.rs), and far less than was there before.
KEPT_BACK, FILES_KEPT_BACK = 16 * MIB, 100
FILL = "/var/filled"
FULL = ("state", "full")


def main():
    share = Share(checks.scratch)
    box = bench.resumed("box", furnished)
    facts = box.facts
    owner = owner_at(box, telephone(facts))
    monitor = Monitor(box, owner)
    said = share.added(owner)
    checks.check("a share is backed up", said == "Complete", said)
    known = have(owner)
    checks.check("a terminal that was connected just now has the whole page at a key", box.serial.home() and box.serial.shows(r"To do +\d"), box.serial.text)
    with checks.part("full while it runs"):
        fill(box, "keepwell-vaultd")
        known |= full(box, owner, monitor, share, known)
    with checks.part("full over a restart"):
        starts_again(box)
        # What was kept back for this was given away before; nothing is filled again.
        owner = owner_at(box, telephone(facts))
        known |= full(box, owner, monitor, share, known)
    with checks.part("to its last block"):
        fill(box, "root")
        to_the_last(box, owner, known)
    with checks.part("room again"):
        room_again(box, facts, monitor, known)
    with checks.part("no more files"):
        no_more_files(box, facts, monitor, share, known)
    checks.check("it goes off in order", box.off())
    checks.finish()


def fill(box, user):
    """To the last block that this user may have. What the box gives away for that is left to it; root's own part of a file system, nothing of the box can fill."""
    take = f"n=$(ls {FILL} | wc -l); for size in 1073741824 67108864 1048576 4096; do while fallocate -l $size {FILL}/$n 2> /dev/null; do n=$((n + 1)); done; rm -f {FILL}/$n; done; sync"
    box.sh(f"mkdir -p {FILL}; chmod 777 {FILL}; su -s $(which sh) {user} -c '{take}'", seconds=600)
    room = available(box)
    checks.check(f"its disk is full for {user}, but for what the box kept back", room < KEPT_BACK, room)


def available(box):
    """Bytes that anybody but root can have."""
    blocks, size = box.sh("stat -f -c '%a %S' /var").output.split()
    return int(blocks) * int(size)


def full(box, owner, monitor, share, known):
    """What must hold of a full disk; the backups that the owner has."""
    # A start without a block, which is another part, counts on in the manager until the next start.
    before = restarts(box)
    status = monitor.until(monitor.incident(*FULL))
    checks.check("the box says that its own disk is full", monitor.incident(*FULL)(status), status.get("incidents"))
    page = owner.waits("/", lambda page: "own disk is full" in page.text, 180)
    checks.check("and so does the console", "own disk is full" in page.text, page)
    checks.check("the screen shows that there is something to do", box.serial.shows(r"To do +[1-9]"), box.serial.text)
    checks.check("and says what, to whoever stands there", box.serial.shows("(?i)own disk is full"), box.serial.text)
    had = have(owner)
    checks.check("all backups are still there", known <= had, (known, had))
    owner.signs_in()
    checks.check("people sign in", owner.at("/").status == 200)
    said, same = share.restored(owner)
    checks.check("and restore their files, byte for byte", said == "Complete" and same, said)
    said = owner.backs_up(NAME)
    checks.check("backups go on", said == "Complete", said)
    # Whatever writes, writes meanwhile.
    time.sleep(30)
    checks.check("nothing failed", not failed(box), failed(box))
    checks.check("nothing is started again and again", restarts(box) == before, (before, restarts(box)))
    journal = int(box.sh("du -s -k /var/log/journal").output.split()[0]) << 10
    checks.check("the journal keeps its bounds", 0 < journal <= JOURNAL, journal)
    return have(owner)


def starts_again(box):
    checks.check("it goes off in order", box.off())
    box.boot()
    state = box.ready()
    checks.check("it starts, and nothing failed", state == "running", f"{state}\n{failed(box)}\n{box.serial.text}")
    checks.check("its keys are open", box.serial.shows("KEYS +. Proven", START) and "LOCKED" not in box.serial.text, box.serial.text)


def restarts(box):
    """Units of ours that the manager had to start again."""
    shown = box.sh("for u in authd consoled diskd keyd notifyd replicad vaultd tty@tty1 tty@ttyS0; do echo keepwell-$u $(systemctl show -p NRestarts --value keepwell-$u); done").lines
    return [line for line in shown if not line.endswith(" 0")]


def to_the_last(box, owner, known):
    """Not even what was kept back is left, so nothing can be recorded: not what happens, and nobody's session. What is known is told as long as it runs; a start without a block ends in words, and waits for room."""
    # What the file system counts as free then, it keeps for its own tables.
    checks.check("nobody gets one block more", box.sh(f"fallocate -l 4096 {FILL}/more 2> /dev/null", check=False).status, box.sh("stat -f /var").output)
    time.sleep(60)
    had = have(owner)
    checks.check("all backups are still there", known <= had, (known, had))
    page = owner.at("/")
    checks.check("the console says what is wrong", "own disk is full" in page.text, page)
    checks.check("nothing failed", not failed(box), failed(box))
    checks.check("it goes off in order", box.off())
    box.boot()
    state = box.ready()
    checks.check("it starts all the same, and nothing failed", state == "running", f"{state}\n{failed(box)}\n{box.serial.text}")
    checks.check("the screen says what is wrong", box.serial.shows("(?i)own disk is full"), box.serial.text)
    page = box.web(timeout=180).sign_in(PERSON, PASSWORD, "000000")
    checks.check("at the console it is said that nobody can sign in now, and why", "answer" in page.text, page)


def room_again(box, facts, monitor, known):
    box.sh(f"rm -rf {FILL}; sync")
    status = monitor.until(lambda status: all(standing["is"] == "proven" for duty, standing in status["duties"] if duty["kind"] == "state"))
    checks.check("it sees by itself that there is room again", any(duty["kind"] == "state" and standing["is"] == "proven" for duty, standing in status.get("duties", [])), status.get("duties"))
    owner = owner_at(box, telephone(facts))
    said = owner.backs_up(NAME)
    checks.check("backups go on", said == "Complete", said)
    had = have(owner)
    checks.check("all that was done is there", known < had, (known, had))
    checks.check("nothing failed", not failed(box), failed(box))
    known |= had


def no_more_files(box, facts, monitor, share, known):
    """Files without a byte, as many as the file system can have."""
    make = f"cd {FILL}; n=0; while mkdir $n && seq 1 1000 | (cd $n && xargs touch); do n=$((n + 1)); done; while touch 0/more-$n; do n=$((n + 1)); done"
    box.sh(f"mkdir -p {FILL}; {make} 2> /dev/null", check=False, seconds=1200)
    left = int(box.sh("stat -f -c %d /var").output)
    checks.check("no file can be made any more, but those that the box kept back", left < FILES_KEPT_BACK, left)
    owner = owner_at(box, telephone(facts))
    known |= full(box, owner, monitor, share, known)
    starts_again(box)
    owner = owner_at(box, telephone(facts))
    checks.check("people sign in after that, too", owner.at("/").status == 200)
    had = have(owner)
    checks.check("all backups are still there", known <= had, (known, had))
    box.sh(f"rm -rf {FILL}; sync", seconds=900)
    said = owner.backs_up(NAME)
    checks.check("with room for files, backups go on", said == "Complete", said)


def have(owner):
    """The numbers of all backups of the share."""
    return {number for number, _ in owner.runs(NAME)}


main()
