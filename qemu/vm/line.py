"""The serial line of a machine, with somebody at a terminal on the other end: reads what stands there, presses keys. Owns the connection."""

import re
import threading
import time

from lib.hands import Hands

from .qmp import connect
from .terminal import Terminal


class Line(Hands):
    """The words are those of tests/scenarios/lib/screen.py: `shows`, `keys`, `home`."""

    def __init__(self, path, alive):
        self.alive = alive
        self.terminal = Terminal()
        # Whatever came, for what a page shows for a moment only.
        self.raw = bytearray()
        self.lock = threading.Lock()
        self.socket = connect(path, alive, 60)
        self.thread = threading.Thread(target=self._take, daemon=True)
        self.thread.start()

    def _take(self):
        # Always taken at once: a line that nobody reads would hold the machine up.
        while True:
            try:
                data = self.socket.recv(65536)
            except OSError:
                return
            if not data:
                return
            with self.lock:
                self.raw += data
                answer = self.terminal.feed(data)
            if answer:
                self._send(answer)

    def close(self):
        try:
            self.socket.shutdown(2)
        except OSError:
            pass
        self.thread.join(10)
        self.socket.close()

    def _send(self, data):
        try:
            self.socket.sendall(data)
        except OSError:
            pass

    @property
    def text(self):
        """What stands on the terminal."""
        with self.lock:
            return self.terminal.text

    @property
    def log(self):
        """All that ever came, without what moves the cursor."""
        with self.lock:
            raw = bytes(self.raw)
        return re.sub(r"\x1b(\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])", "", raw.decode(errors="replace")).replace("\r", "")

    def shows(self, pattern, seconds=180):
        """Whether it comes to stand there."""
        return self.until(lambda: re.search(pattern, self.text), seconds)

    def said(self, pattern, seconds=180):
        """Whether it came at any time, of the kernel for instance."""
        return self.until(lambda: re.search(pattern, self.log), seconds)

    def until(self, condition, seconds):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end or not self.alive():
                return bool(condition())
            time.sleep(0.1)
        return True

    def keys(self, text):
        """Presses keys, not faster than a person with a hurry: a line has no room for more. A line feed is Enter."""
        for at in range(0, len(text), 8):
            self._send(text[at:at + 8].replace("\n", "\r").encode())
            time.sleep(0.02)

    def escape(self):
        self._send(b"\x1b")
        # Alone: what follows at once would be one key with it.
        time.sleep(0.5)

    def home(self, seconds=180):
        """Back to the first page, from wherever."""
        end = time.monotonic() + seconds
        while "Press a digit" not in self.text:
            if time.monotonic() > end:
                return False
            before = self.text
            self.escape()
            self.until(lambda before=before: self.text != before, 10)
        return True
