#!/usr/bin/python3
"""Two whole boxes and a line of 1 Mbit/s that the practice needs as well. An owner's limit holds; without one, copies take what is free, give way when somebody else sends, and take it again afterwards. Counts bytes that
the line took in the line's own time, so a slow machine changes nothing.

Needs root (network namespaces, TUN devices).
"""

import os

from lib import trees, wan
from lib.appliance import Appliance
from lib.box import until
from lib.checks import Checks, need_root
from lib.second_site import offsite, receiver
from lib.servers import Samba

need_root("shared-line")
wan.own_network()
checks = Checks("shared-line")
RATE, DELAY, PORT = 1_000_000, 0.05, 8484
LIMIT = 250_000
# Of the line, what somebody else needs; and what a packet waits, in seconds, where the router's memory is full.
OTHERS = 0.6
FULL = wan.QUEUE * 8 / RATE
# What is sent in the whole scenario is less.
FILLS = 30_000_000
# Of the line's time, seconds: one look, and until a change shows.
LOOK, SETTLES = 20, 15


def main():
    server = Samba(checks.scratch / "samba")
    place = wan.Place()
    line = wan.Wan(place, RATE, DELAY)
    near = Appliance(checks.scratch / "near", "--offsite", f"127.0.0.1:{PORT}")
    far = Appliance(checks.scratch / "far", "--offsite", f"{wan.FAR}:{PORT}", within=place.within())
    with checks.part("two boxes are paired over the line"):
        text = far("offsite", "invite", "--address", f"{wan.FAR}:{PORT}", "--quota", "20GB", "--place", "The other house").report.get("invitation", "")
        done = near("offsite", "pair", text, "--practice", "Practice Example")
        checks.check("paired", done.status == 0, done)
        checks.check("what there is goes over", until(lambda: receiver(near).get("waiting") == 0 and not receiver(near)["busy"], 300), offsite(near))
    with checks.part("an owner's limit"):
        set_limit(near, "--limit", f"daily 00:00-24:00 {LIMIT // 1000}kbit", "--courteous", "no")
        near("shares", "add", "Images", *server.to_read(), "--tier", 1)
        trees.put(server.share / "ct", os.urandom(FILLS))
        server.give()
        run = near("runs", "start", "Images", "--wait")
        checks.check("a backup", run.status == 0, run)
        checks.check("it goes over", until(lambda: receiver(near)["busy"] and line.look(2)[0] > 0.05, 240), receiver(near))
        held, _ = look(line)
        told = receiver(near)
        checks.check("no more is sent than was said", held <= 1.25 * LIMIT / RATE, f"{held:.1%} of the line")
        checks.check("and not much less", held >= 0.6 * LIMIT / RATE, f"{held:.1%} of the line")
        checks.check("it is said", told["held_to"] == LIMIT // 8, told)
    with checks.part("others go first"):
        set_limit(near, "--no-limits", "--courteous", "yes")
        alone, wait = look(line)
        checks.check("without a limit, the line is used", alone >= 0.6, f"{alone:.1%} of the line")
        checks.check("and its router's memory is not filled", wait <= FULL / 2, f"{wait:.3f} s")
        line.others_send(OTHERS)
        beside, wait = look(line)
        line.others_send(0)
        checks.check("beside somebody who needs most of the line, copies take what is left", beside <= 1.2 * (1 - OTHERS), f"{beside:.1%} of the line")
        checks.check("go on", beside > 0.02, f"{beside:.1%} of the line")
        checks.check("and have nobody wait for them", wait <= FULL / 2, f"{wait:.3f} s")
        after, _ = look(line)
        checks.check("afterwards they take the line again", after >= 0.6, f"{after:.1%} of the line")
        print(f"           of the line: {held:.1%} with a limit, {alone:.1%} alone, {beside:.1%} beside somebody else, who waits {wait * 1000:.0f} ms of {FULL * 1000:.0f}, {after:.1%} afterwards")
    checks.finish()


def look(line):
    """How much of the line is used, and how long packets wait in it, when it has settled."""
    return settled if (line.look(SETTLES) and (settled := line.look(LOOK))) else (0, 0)


def set_limit(near, *words):
    done = near("offsite", "line", *words)
    checks.check("set", done.status == 0, done)


main()
