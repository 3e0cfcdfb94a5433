"""The box's own screen as somebody in front of it sees and uses it: keepwell-tty on a pseudo terminal of 80 columns and 24 rows. Owns no checks."""

import fcntl
import os
import re
import select
import signal
import struct
import subprocess
import termios
import time

import pyte

from .checks import RUNNING
from .hands import Hands
from .program import BINARY

SIZE = (80, 24)


class Screen(Hands):
    """`screen.shows("PATTERN")` waits for it; `screen.keys("12")` presses these."""

    def __init__(self, box, *options, diskd=None):
        self.terminal = pyte.Screen(*SIZE)
        self.stream = pyte.ByteStream(self.terminal)
        # Whatever was shown at any time, and all that came.
        self.seen = []
        self.raw = b""
        self.ours, self.theirs = os.openpty()
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, struct.pack("HHHH", SIZE[1], SIZE[0], 0, 0))
        places = {name: box.folder / "run" / f"{name}.sock" for name in ("vaultd", "authd", "keyd", "diskd", "recoverd")}
        places["diskd"] = diskd or places["diskd"]
        sockets = [word for name, place in places.items() for word in (f"--{name}", str(place))]
        environment = {**os.environ, "TERM": "xterm", "LANG": "C.UTF-8"}
        self.process = subprocess.Popen([str(BINARY.with_name("keepwell-tty")), *sockets, *map(str, options)],
                                        stdin=self.theirs, stdout=self.theirs, stderr=self.theirs, env=environment, start_new_session=True)
        RUNNING.append(self.stop)

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
            self.process = None
            os.close(self.ours)
            os.close(self.theirs)

    def read(self, seconds=0.05):
        """Takes in what came; waits so long for something at most."""
        while select.select([self.ours], [], [], seconds)[0]:
            try:
                data = os.read(self.ours, 65536)
            except OSError:
                return
            self.raw += data
            self.stream.feed(data)
            seconds = 0
        if not self.seen or self.seen[-1] != self.text:
            self.seen.append(self.text)

    @property
    def text(self):
        return "\n".join(line.rstrip() for line in self.terminal.display)

    def shows(self, pattern, seconds=90):
        """Whether it comes to stand on the screen."""
        return self.until(lambda: re.search(pattern, self.text), seconds)

    def until(self, condition, seconds=90):
        end = time.monotonic() + seconds
        self.read()
        while not condition():
            if time.monotonic() > end:
                return False
            self.read(0.1)
        return True

    def keys(self, text):
        """Presses keys; a line feed is Enter."""
        os.write(self.ours, text.replace("\n", "\r").encode())

    def escape(self):
        # Alone: what follows before it was taken would be one key with it.
        os.write(self.ours, b"\x1b")
        self.until(lambda: struct.unpack("i", fcntl.ioctl(self.theirs, termios.FIONREAD, bytes(4)))[0] == 0)

    def home(self):
        """Back to the first page, from wherever."""
        for _ in range(8):
            self.read()
            if "Press a digit" in self.text:
                return True
            before = self.text
            self.escape()
            self.until(lambda before=before: self.text != before, 20)
        return self.shows("Press a digit")
