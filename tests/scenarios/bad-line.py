#!/usr/bin/python3
"""Two whole boxes, and between them a line as practices have it: 1 Mbit/s, 300 ms there and back, packets of 1,280 bytes. On a clean one, a backup fills it. Then packets get lost and the
line is cut fifty times, at any byte: in handshakes, in questions, in the middle of a pack. Everything arrives, and no cut costs more than what was on its way.

Needs root (network namespaces, TUN devices).
"""

import os
import random

from lib import trees, wan
from lib.appliance import Appliance
from lib.box import until
from lib.checks import Checks, need_root
from lib.second_site import is_there, offsite, receiver, tenant
from lib.servers import Samba

need_root("bad-line")
wan.own_network()
checks = Checks("bad-line")
RATE, DELAY, LOSS, PORT = 1_000_000, 0.15, 0.02, 8484
CUTS, FILLS, REST = 50, 3_000_000, 500_000
# What is in flight on that line: as much as it carries until the first answer to it can come. What a router has of memory before the line is not counted.
IN_FLIGHT = int(RATE / 8 * 2 * DELAY)


def main():
    server = Samba(checks.scratch / "samba")
    place = wan.Place()
    line = wan.Wan(place, RATE, DELAY)
    near = Appliance(checks.scratch / "near", "--offsite", f"127.0.0.1:{PORT}")
    far = Appliance(checks.scratch / "far", "--offsite", f"{wan.FAR}:{PORT}", within=place.within())
    with checks.part("two boxes are paired over the line"):
        paired(near, far)
    with checks.part("a clean line is filled"):
        filled(near, server, line)
    with checks.part("a bad line"):
        cut(near, far, server, line)
    checks.finish()


def paired(near, far):
    text = far("offsite", "invite", "--address", f"{wan.FAR}:{PORT}", "--quota", "20GB", "--place", "The other house").report.get("invitation", "")
    done = near("offsite", "pair", text, "--practice", "Practice Example")
    checks.check("paired", done.status == 0, done)
    checks.check("what there is goes over", until(lambda: is_quiet(near), 300), offsite(near))


def is_quiet(near):
    """All is signed for, and nothing is under way."""
    told = receiver(near)
    return told.get("waiting") == 0 and not told["busy"] and told["contact_at"] is not None


def backed_up(near, server, name, size):
    trees.put(server.share / name, os.urandom(size))
    server.give()
    run = near("runs", "start", "Images", "--wait")
    checks.check("a backup", run.status == 0, run)


def filled(near, server, line):
    near("shares", "add", "Images", *server.to_read(), "--tier", 1)
    backed_up(near, server, "ct", FILLS)
    checks.check("it is there", until(lambda: is_quiet(near) and is_there(near, "Images"), 300), receiver(near))
    load = max(line.flows, key=lambda flow: flow.sent)
    checks.check("over one connection", load.sent > FILLS, load)
    print(f"           {load.goodput() / RATE:.1%} of the line, {line.up.dropped} of {line.up.packets} packets dropped by its router")
    checks.check("at least 85 % of the line was used", load.goodput() >= 0.85 * RATE, load)


def cut(near, far, server, line):
    line.lose(LOSS)
    kept, new = tenant(far)["used_bytes"], line.counts.new
    places = random.Random(8)
    line.cut_after(places.randrange(500, 16_000))
    backed_up(near, server, "mr", REST)
    for number in range(1, CUTS + 1):
        if not until(lambda: line.counts.cuts >= number, 180):
            break
        if number < CUTS:
            line.cut_after(places.randrange(500, 16_000), dark=0.5 if number % 7 == 0 else 0)
        if number % 10 == 0:
            wan.ip("link", "set", "wan-near", "down")
            wan.ip("link", "set", "wan-near", "up")
        # Not as late as it would by itself: that is what takes its time, not the line.
        near("offsite", "send")
    checks.check(f"{CUTS} cuts", line.counts.cuts == CUTS, line.counts)
    checks.check("everything arrives", until(lambda: is_quiet(near) and is_there(near, "Images"), 300), receiver(near))
    unique, sent = tenant(far)["used_bytes"] - kept, line.counts.new - new
    print(f"           {unique} bytes of objects, {sent} sent; of {IN_FLIGHT} in flight at most, {sum(line.counts.lost) // CUTS} were at a cut")
    checks.check("it is what was backed up", unique >= REST, unique)
    checks.check("what was sent again is less than what was in flight at the cuts", sent - unique <= CUTS * IN_FLIGHT, line.counts)


main()
