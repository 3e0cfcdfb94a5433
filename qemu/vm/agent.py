"""A root shell inside the machine, by the virtio port that only the test image's initrd serves. Owns the words on that port; what is run there is the scenario's."""

import base64
import time
from dataclasses import dataclass

from .qmp import connect

# Bytes of a file in one command, which as base64 has to fit into one argument of 128 KiB.
PART = 48 * 1024
# Seconds that a machine gets beyond a command's own time.
GRACE = 60


class Silent(Exception):
    """The shell did not answer in time, or the machine ended."""


@dataclass
class Done:
    """What a command gave back: its status, and both of its outputs as one text."""

    status: int
    output: str

    def __str__(self):
        return f"exit {self.status}\n{self.output}"

    @property
    def lines(self):
        return self.output.splitlines()


class Agent:
    """`agent.run("uname -r")`. Each command runs in a busybox shell of its own, so nothing is left of a folder or a variable."""

    def __init__(self, path, alive, log):
        self.alive = alive
        self.log = open(log, "ab")
        self.socket = connect(path, alive, 60)
        self.number = 0
        self.rest = b""

    def close(self):
        self.socket.close()
        self.log.close()

    def answers(self, seconds):
        """Whether there is a shell, within that time. What was left on the way by a machine that was reset is passed over."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.alive():
            self.number += 1
            mark = f"<<here {self.number}>>".encode()
            self._send(b"\necho '" + mark + b"'\n")
            try:
                self._until(mark + b"\n", min(10.0, max(0.1, end - time.monotonic())))
                return True
            except Silent:
                pass
        return False

    def run(self, script, seconds=120):
        """Runs a script; one that takes longer is ended inside the machine with status 137."""
        self.number += 1
        text = base64.b64encode(script.encode()).decode()
        # Standard input is closed to it: whatever reads it would take the next command. The line is ended first, whatever was left of one.
        run = f'timeout -s KILL {max(1, round(seconds))} sh -c "$(echo {text} | base64 -d)" < /dev/null 2>&1'
        self._send(f"\necho '<<begin {self.number}>>'; {run}; printf '\\n<<done {self.number} %d>>\\n' $?\n".encode())
        # Slow as machines without hardware support are, the one inside gets time to end the command first.
        end = time.monotonic() + seconds + GRACE
        self._until(f"<<begin {self.number}>>\n".encode(), end - time.monotonic())
        before = self._until(f"\n<<done {self.number} ".encode(), end - time.monotonic())
        status = self._until(b">>\n", GRACE)
        self.log.write(b"$ " + script.encode() + b"\n" + before + b"\n= " + status + b"\n")
        self.log.flush()
        return Done(int(status), before.decode(errors="replace"))

    def put(self, path, content):
        """Writes a file."""
        self._checked(f": > '{path}'")
        for at in range(0, len(content), PART):
            part = base64.b64encode(content[at:at + PART]).decode()
            self._checked(f"base64 -d >> '{path}' <<'END'\n{part}\nEND")

    def get(self, path, seconds=300):
        """The bytes of a file."""
        return base64.b64decode(self._checked(f"base64 '{path}'", seconds).output)

    def _checked(self, script, seconds=120):
        done = self.run(script, seconds)
        if done.status:
            raise RuntimeError(f"{script[:200]}: {done}")
        return done

    def _send(self, data):
        self.socket.settimeout(120)
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Silent(f"the port takes nothing: {error}") from error

    def _until(self, mark, seconds):
        """What came before the mark; the mark itself goes."""
        end = time.monotonic() + seconds
        while mark not in self.rest:
            self.socket.settimeout(max(0.01, min(1.0, end - time.monotonic())))
            try:
                data = self.socket.recv(1 << 20)
            except TimeoutError:
                data = None
            except OSError:
                data = b""
            if data == b"" or not self.alive():
                raise Silent(f"the machine ended: {self.rest[-500:]!r}")
            if data is None and time.monotonic() > end:
                raise Silent(f"no answer within {seconds:.0f} s: {self.rest[-500:]!r}")
            self.rest += data or b""
        before, self.rest = self.rest.split(mark, 1)
        return before
