#!/usr/bin/python3
"""The box's own disk is full, to its last block, and then to its last file: while it runs, and over a restart. It starts, nothing fails, screen and console say it in plain words, people sign in and get their files
back, and what was done before is all there. When there is room again, it goes on by itself.
"""

import time

from lib.checks import Checks, need_root
from trouble.box import Monitor, failed, furnished, owner_at, telephone
from trouble.share import NAME, Share
from vm.bench import Bench
from vm.machine import START

need_root("state-full")
checks = Checks("state-full")
bench = Bench(checks)
MIB = 1 << 20
# What the journal may have (systemd/system/usr/lib/systemd/journald.conf.d).
JOURNAL = 256 * MIB
# More than the box keeps back for this (crates/vaultd/src/reserve.rs), and far less than was there before.
KEPT_BACK = 16 * MIB
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
    with checks.part("full while it runs"):
        fill(box)
        known |= full(box, owner, monitor, share, known)
    with checks.part("full over a restart"):
        checks.check("it goes off in order", box.off())
        box.boot()
        state = box.ready()
        checks.check("it starts, and nothing failed", state == "running", f"{state}\n{failed(box)}\n{box.serial.text}")
        checks.check("its keys are open", box.serial.shows("KEYS +. Proven", START) and "LOCKED" not in box.serial.text, box.serial.text)
        # What was kept back for this was given away before; nothing is filled again.
        owner = owner_at(box, telephone(facts))
        known |= full(box, owner, monitor, share, known)
    with checks.part("room again"):
        room_again(box, owner, monitor, share, known)
    with checks.part("no more files"):
        no_more_files(box, facts, monitor, share, known)
    checks.check("it goes off in order", box.off())
    checks.finish()


def fill(box):
    """To the last block, root's own reserve too. What the box gives away for that is left to it."""
    box.sh(f"mkdir -p {FILL}; n=$(ls {FILL} | wc -l); for size in 1073741824 67108864 1048576 4096; do while fallocate -l $size {FILL}/$n 2> /dev/null; do n=$((n + 1)); done; rm -f {FILL}/$n; done; sync", seconds=600)
    room = available(box)
    checks.check("its disk is full, but for what the box kept back", room < KEPT_BACK, room)


def available(box):
    """Bytes that anybody but root can have."""
    blocks, size = box.sh("stat -f -c '%a %S' /var").output.split()
    return int(blocks) * int(size)


def full(box, owner, monitor, share, known):
    """What must hold of a full disk; the backups that the owner has."""
    status = monitor.until(monitor.incident(*FULL))
    checks.check("the box says that its own disk is full", monitor.incident(*FULL)(status), status.get("incidents"))
    page = owner.waits("/", lambda page: "own disk is full" in page.text, 180)
    checks.check("and so does the console", "own disk is full" in page.text, page)
    checks.check("the screen shows that there is something to do", box.serial.shows(r"To do +[1-9]"), box.serial.text)
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
    checks.check("nothing is started again and again", not restarts(box), restarts(box))
    journal = box.sh("du -s -b /var/log/journal | cut -f1", check=False).output.strip() or box.sh("du -s /var/log/journal").output
    checks.check("the journal keeps its bounds", int(journal.split()[0]) <= JOURNAL, journal)
    return have(owner)


def restarts(box):
    """Units of ours that the manager had to start again."""
    shown = box.sh("for u in authd consoled diskd keyd notifyd vaultd tty@tty1 tty@ttyS0; do echo keepwell-$u $(systemctl show -p NRestarts --value keepwell-$u); done").lines
    return [line for line in shown if not line.endswith(" 0")]


def room_again(box, owner, monitor, share, known):
    box.sh(f"rm -rf {FILL}; sync")
    status = monitor.until(lambda status: status["headline"] and all(standing["is"] == "proven" for duty, standing in status["duties"] if duty["kind"] == "state"))
    checks.check("it sees by itself that there is room again", any(duty["kind"] == "state" and standing["is"] == "proven" for duty, standing in status.get("duties", [])), status.get("duties"))
    said = owner.backs_up(NAME)
    checks.check("backups go on", said == "Complete", said)
    had = have(owner)
    checks.check("all that was done is there", known < had, (known, had))
    checks.check("nothing failed", not failed(box) and not restarts(box), f"{failed(box)} {restarts(box)}")


def no_more_files(box, facts, monitor, share, known):
    box.sh(f"mkdir -p {FILL}/0; cd {FILL}/0; touch a; n=0; while [ $n -lt 420 ]; do n=$((n + 1)); mkdir ../$n 2> /dev/null && seq 1 1000 | (cd ../$n && xargs touch) 2> /dev/null || break; done", check=False, seconds=1200)
    left = int(box.sh("stat -f -c %d /var").output)
    checks.check("no file can be made any more", left < 1000, left)
    box.sh(f"n=0; while touch {FILL}/0/more-$n 2> /dev/null; do n=$((n + 1)); done", seconds=600)
    checks.check("not one", box.sh("stat -f -c %d /var").output.strip() == "0", box.sh("stat -f -c %d /var").output)
    owner = owner_at(box, telephone(facts))
    checks.check("people sign in", owner.at("/").status == 200)
    had = have(owner)
    checks.check("all backups are still there", known <= had, (known, had))
    said, same = share.restored(owner)
    checks.check("and restore their files, byte for byte", said == "Complete" and same, said)
    status = monitor.status()
    checks.check("the box says that its own disk is full", monitor.incident(*FULL)(status), status.get("incidents"))
    checks.check("it goes off", box.off())
    box.boot()
    state = box.ready()
    checks.check("it starts, and nothing failed", state == "running", f"{state}\n{failed(box)}\n{box.serial.text}")
    owner = owner_at(box, telephone(facts))
    checks.check("people sign in after that, too", owner.at("/").status == 200)
    box.sh(f"rm -rf {FILL}; sync", seconds=900)
    said = owner.backs_up(NAME)
    checks.check("with room for files, backups go on", said == "Complete", said)


def have(owner):
    """The numbers of all backups of the share."""
    return {number for number, _ in owner.runs(NAME)}


main()
