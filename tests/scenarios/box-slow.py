#!/usr/bin/python3
"""Servers that accept a connection and never say a word, more of them than runs may go on at a time: the share of a server that works is backed up by the box's own schedule all
the same, and each of the others is told as what it is.
"""

import contextlib
import socket
import threading

from lib import trees
from lib.appliance import Appliance
from lib.box import until
from lib.checks import Checks, need_root
from lib.listener import Listener, deaf
from lib.servers import Samba

need_root("box-slow")
checks = Checks("box-slow")
DEAD = 12


def main():
    server = Samba(checks.scratch / "samba")
    box = Appliance(checks.scratch / "box", "--runs", 2)
    with checks.part("silent servers"):
        silent(box, server)
    checks.finish()


def silent(box, server):
    unheard = box("shares", "add", "deaf", *server.to_read(port=Listener(deaf).port))
    checks.check("a share whose server says nothing is not added", unheard.status == 1, unheard)
    for number in range(DEAD):
        added = box("shares", "add", f"dead-{number}", *server.to_read(port=Listener(Dying(server.port)).port), "--tier", 1)
        checks.check(f"a share is added whose server falls silent then: {number}", added.status == 0, added)
    checks.check("the box tries them", until(lambda: len(under_way(box)) > 2), under_way(box))
    trees.plain(server.share, 50, 2000, seed=3)
    server.give()
    # Of the same tier: a lower one waits while the disk under this test is nearly full.
    box("shares", "add", "alive", *server.to_read(), "--tier", 1)
    done = until(lambda: (share(box, "alive").get("last") or {}).get("outcome") == "complete", 900)
    checks.check("the share that works is backed up, though it came last", done, box.get("vaultd", "/v1/runs?limit=50"))
    failed = until(lambda: all((share(box, f"dead-{number}").get("last") or {}).get("outcome") == "failed" for number in range(DEAD)), 900)
    checks.check("the others are told as failed", failed, box.get("vaultd", "/v1/shares"))
    again = box("runs", "start", "alive", "--wait")
    checks.check("and it can be backed up at any time", again.status == 0, again)


class Dying:
    """A server that answers its first caller and nobody after that."""

    def __init__(self, port):
        self.port, self.answers = port, True

    def __call__(self, connection):
        answers, self.answers = self.answers, False
        if not answers:
            return deaf(connection)
        with socket.create_connection(("127.0.0.1", self.port)) as server:
            threading.Thread(target=relay, args=(server, connection), daemon=True).start()
            relay(connection, server)


def relay(one, other):
    with contextlib.suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)


def share(box, name):
    return next((one for one in box.get("vaultd", "/v1/shares") if one["name"] == name), {})


def under_way(box):
    return [one["name"] for one in box.get("vaultd", "/v1/shares") if one["running"]]


main()
