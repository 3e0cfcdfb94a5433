#!/usr/bin/python3
"""A box whose clock is wrong: it jumps while the box runs, and the board starts in 1970, without any network, and in 2040, with no time server. It starts, opens and backs up as ever, says that it doubts its clock,
forgets nothing, and its console is reached by computers whose clock is right. Once somebody has looked at the right time, all is as before.
"""

import re
import ssl
import time
from contextlib import closing

from lib.box import until
from lib.checks import Checks, need_root
from trouble.box import Codes, Monitor, failed, furnished, owner_at, telephone
from trouble.share import NAME, Share
from vm.bench import Bench
from vm.machine import ADDRESS, START
from vm.wire import LEASE

need_root("clocks")
checks = Checks("clocks")
bench = Bench(checks)
DAY = 86_400
DOUBTS = "The clock of the box may be wrong"
# In the middle of its minutes it would be two o'clock, when old copies are forgotten, if it went by the board.
BOARDS = {"1970": "1970-01-01T00:00:00", "2040": "2040-01-01T01:56:00"}


def main():
    share = Share(checks.scratch)
    box = bench.resumed("box", furnished)
    facts = box.facts
    spare = Codes(facts["codes"])
    owner = owner_at(box, telephone(facts))
    monitor = Monitor(box, owner)
    said = share.added(owner)
    checks.check("a share is backed up", said == "Complete", said)
    with checks.part("the right time"):
        # For the box it was a jump that it was saved, and woke at another time.
        page = looked(owner)
        checks.check("its clock is believed", not shown(page, DOUBTS), page)
    with checks.part("it jumps while the box runs"):
        jumps(box, owner, monitor)
    known = have(owner)
    for board, clock in BOARDS.items():
        with checks.part(f"the board starts in {board}"):
            checks.check("it is switched off", box.off())
            box.clock = clock
            known = wrong(box, board, known, spare, facts)
    with checks.part("the right time again"):
        right(box, known, share, facts)
    checks.check("it goes off in order", box.off())
    checks.finish()


def jumps(box, owner, monitor):
    box.sh("date -u -s '2040-01-01 12:00:00' > /dev/null")
    doubts = owner.waits("/", lambda page: shown(page, DOUBTS), 180)
    checks.check("the console says that it doubts its clock, to who is signed in", shown(doubts, DOUBTS), doubts)
    reached(box, "a computer with the right time")
    said = owner.backs_up(NAME)
    checks.check("a backup goes through", said == "Complete", said)
    box.sh(f"date -u -s @{time.time() + 1:.0f} > /dev/null")
    near = lambda status: bool(status["doubt"]) and abs(status["doubt"]["ahead_s"]) < 300
    status = monitor.until(near)
    checks.check("set right, it stays doubted until it has agreed for a while", near(status), status)
    checks.check("that is one incident, and nothing is overdue by it", [one["code"] for one in status.get("incidents", [])] == ["clock"], status.get("incidents"))
    page = looked(owner)
    checks.check("a person ends that", not shown(page, DOUBTS), page)


def wrong(box, board, known, spare, facts):
    """One start with that board; what the owner has afterwards."""
    alone = board == "1970"
    box.boot(hold=True)
    for name in ("lan", "wire"):
        box.qmp("set_link", name=name, up=not alone)
    box.qmp("cont")
    state = box.ready()
    checks.check("it starts, and nothing failed", state == "running", f"{state}\n{failed(box)}\n{box.serial.text}")
    checks.check("nothing waits for a network", not box.sh("systemctl list-jobs --no-legend", check=False).output.replace("No jobs running.", "").strip())
    checks.check("its keys are open", box.serial.shows("KEYS +. Proven", START) and "LOCKED" not in box.serial.text, box.serial.text)
    checks.check("the screen says that the clock may be wrong", box.serial.shows(r"CLOCK MAY BE WRONG, by \d{3,} days"), box.serial.text)
    if alone:
        checks.check("and that there is no network", box.serial.shows("no network address: plug in a cable"), box.serial.text)
    # Whoever has an Internet must not set it right here.
    box.sh("nft insert rule inet keepwell out udp dport 123 drop")
    for name in ("lan", "wire"):
        box.qmp("set_link", name=name, up=True)
    checks.check("with a network, it takes an address", box.serial.shows(re.escape(ADDRESS), START) and box.wire.leased() == LEASE, box.serial.text)
    now = int(box.sh("date -u +%s").output)
    checks.check("its clock is wrong", abs(now - time.time()) > DAY and box.sh("[ -e /run/systemd/timesync/synchronized ]", check=False).status, now)
    reached(box, "a computer with the right time")
    # The console asks once a minute how the box is.
    told = until(lambda: "authenticators need it right" in box.web().get("/sign-in").text, 180)
    checks.check("at the door it is said that codes may not fit", told, box.web().get("/sign-in"))
    try:
        owner_at(box, telephone(facts))
        checks.check("an authenticator's code does not fit", False)
    except RuntimeError as error:
        checks.check("an authenticator's code does not fit", "/sign-in" in str(error) or "401" in str(error), error)
    owner = owner_at(box, spare)
    checks.check("a recovery code does", owner.at("/").status == 200)
    checks.check("the console says that it doubts its clock", shown(owner.at("/"), DOUBTS), owner.at("/"))
    had = have(owner)
    checks.check("all backups are still there", known and known <= had, (known, had))
    said = owner.backs_up(NAME)
    checks.check("backups go on", said == "Complete", said)
    checks.check("all copies can be restored", copies(owner) >= len(known), copies(owner))
    lines = box.sh("journalctl --no-pager -o cat -q -u keepwell-consoled | grep -c 'a certificate was made'", check=False).output.strip()
    checks.check("the journal still knows the first day", lines.isdigit() and int(lines) > 0 and box.sh("journalctl --list-boots --no-pager -q | wc -l").output.strip() != "1", lines)
    checks.check("nothing failed meanwhile", not failed(box), failed(box))
    return have(owner)


def right(box, known, share, facts):
    """The board was put right while the box was off. Nothing that was kept from 2040 comes back."""
    checks.check("it is switched off", box.off())
    box.clock = None
    box.boot()
    state = box.ready()
    checks.check("it starts, and nothing failed", state == "running", f"{state}\n{failed(box)}\n{box.serial.text}")
    now = int(box.sh("date -u +%s").output)
    checks.check("its clock is right", abs(now - time.time()) < 60, now)
    checks.check("its keys are open", box.serial.shows("KEYS +. Proven", START) and "LOCKED" not in box.serial.text, box.serial.text)
    owner = owner_at(box, telephone(facts))
    checks.check("an authenticator's code fits at once", owner.at("/").status == 200)
    checks.check("it is doubted until somebody has looked", shown(owner.at("/"), DOUBTS))
    page = looked(owner)
    checks.check("the owner says that it is right, and it is believed again", not shown(page, DOUBTS), page)
    had = have(owner)
    checks.check("all backups are still there", known <= had, (known, had))
    said = owner.backs_up(NAME)
    checks.check("backups go on", said == "Complete", said)
    said, same = share.restored(owner)
    checks.check("the share is restored, byte for byte", said == "Complete" and same, said)
    # The console asks once a minute what time it is.
    end = time.monotonic() + 300
    while (days := lasts(box)) > 100 and time.monotonic() < end:
        time.sleep(5)
    checks.check("its certificate is an ordinary one again", 0 < days <= 100, days)


def looked(owner):
    """The owner says that the clock is right; the first page after that."""
    fields = re.findall(r'name="(at)" value="(\d+)"', owner.at("/settings").text)
    done = owner.does("/settings", "/settings/clock", fields)
    if done.status not in (302, 303):
        raise RuntimeError(f"the clock is not confirmed: {done}")
    return owner.waits("/", lambda page: not shown(page, DOUBTS), 180)


def shown(page, words):
    """Whether a notice stands there that is not hidden."""
    part = re.search(r'<div class="stack" data-part="doubt"([^>]*)>(.*?)</div>\s*<section', page.text, re.S)
    return bool(part and "hidden" not in part[1] and words in part[2])


def have(owner):
    """The numbers of all backups of the share."""
    return {number for number, _ in owner.runs(NAME)}


def copies(owner):
    """How many copies of the share can be chosen for a restore."""
    draft = owner.does("/restore", "/restore/drafts", {"share": owner.share(NAME)}).goes_to.removesuffix("/when")
    return len(set(re.findall(r'name="snapshot" value="([^"]+)"', owner.at(f"{draft}/when").text)))


def reached(box, who):
    """By TLS that believes nothing but the authority's certificate, and this machine's clock."""
    try:
        page = owner_of_nothing(box).get("/sign-in")
        checks.check(f"{who} reaches the console, and takes its certificate", page.status == 200, page)
    except ssl.SSLError as error:
        checks.check(f"{who} reaches the console, and takes its certificate", False, error)


def owner_of_nothing(box):
    return type(box.web()).trusting(ADDRESS, through=("127.0.0.1", box.port))


def lasts(box):
    """For how many days the console's certificate is good in all."""
    web = owner_of_nothing(box)
    with closing(web.connect()) as connection:
        found = connection.getpeercert()
    return (ssl.cert_time_to_seconds(found["notAfter"]) - ssl.cert_time_to_seconds(found["notBefore"])) / DAY


main()
