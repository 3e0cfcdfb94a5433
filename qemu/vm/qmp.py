"""QEMU's control socket. Owns the connection and the events that came over it; knows nothing of what is asked for."""

import json
import socket
import time


class Refused(Exception):
    """QEMU said no."""


class Qmp:
    """`qmp("device_del", id="nvme0")` gives what QEMU returns; `qmp.wait("DEVICE_DELETED", 60)` an event's data."""

    def __init__(self, path, alive, seconds=60):
        """`alive`: whether QEMU still runs, so that nobody waits for one that ended."""
        self.alive = alive
        self.events = []
        self.rest = b""
        self.number = 0
        self.socket = connect(path, alive, seconds)
        self._next(seconds)
        self("qmp_capabilities")

    def __call__(self, command, seconds=120, **arguments):
        self.number += 1
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments, "id": self.number}).encode() + b"\n")
        end = time.monotonic() + seconds
        while True:
            answer = self._next(max(0.0, end - time.monotonic()))
            if answer is None:
                raise Refused(f"{command}: no answer")
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise Refused(f"{command}: {answer['error']['desc']}")
                return answer["return"]

    def human(self, line):
        """A line of QEMU's monitor, for what has no command of its own."""
        return self("human-monitor-command", **{"command-line": line})

    def wait(self, name, seconds, where=lambda data: True):
        """The data of such an event, also of one that came before and was not asked for; None when it does not come."""
        end = time.monotonic() + seconds
        while True:
            for event in self.events:
                if event["event"] == name and where(event.get("data", {})):
                    self.events.remove(event)
                    return event.get("data", {})
            if time.monotonic() > end or (self._next(min(1.0, max(0.0, end - time.monotonic()))) is None and not self.alive()):
                return None

    def count(self, name):
        """How many such events came and were not taken."""
        while self._next(0):
            pass
        return sum(event["event"] == name for event in self.events)

    def close(self):
        self.socket.close()

    def _next(self, seconds):
        """One message, which is kept if it is an event; None when none comes in time."""
        while b"\n" not in self.rest:
            # Zero would mean "do not block" to the socket, and "now" is meant here.
            self.socket.settimeout(max(seconds, 0.001))
            try:
                data = self.socket.recv(65536)
            except (TimeoutError, BlockingIOError):
                return None
            except OSError:
                data = b""
            if not data:
                return None
            self.rest += data
        line, self.rest = self.rest.split(b"\n", 1)
        message = json.loads(line)
        if "event" in message:
            self.events.append(message)
        return message


def connect(path, alive, seconds):
    """A connection to a socket that QEMU is about to make."""
    end = time.monotonic() + seconds
    while True:
        one = socket.socket(socket.AF_UNIX)
        try:
            one.connect(str(path))
            return one
        except OSError:
            one.close()
            if time.monotonic() > end or not alive():
                raise
            time.sleep(0.05)
