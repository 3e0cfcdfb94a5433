"""Clocks that are not what they were: for programs of a scenario, and for nothing else of the machine. Needs root.

    later = Later(30 * DAY)        Linux counts so many seconds more since its start (time_namespaces(7)): time that went by, to who trusts that clock alone; later.within(...) runs something then
    with wrong_clock("+10y"):      what is started meanwhile reads another date, as after somebody set the clock
"""

import os
import subprocess
from contextlib import contextmanager
from pathlib import Path

from .box import until
from .checks import RUNNING

DAY = 86_400
LIBRARY = "libfaketime/libfaketimeMT.so.1", "faketime/libfaketimeMT.so.1"


class Later:
    """Another time since the start, as long as the scenario runs."""

    def __init__(self, seconds):
        # It ends with its standard input.
        self._holder = subprocess.Popen(["unshare", "--time", f"--boottime={seconds}", "--fork", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        RUNNING.append(self.close)
        self._file = f"/proc/{self._holder.pid}/ns/time_for_children"
        if not until(lambda: os.readlink(self._file) != os.readlink("/proc/self/ns/time"), 60):
            raise RuntimeError("no time of its own")
        # The offset is set before there is a child, and never after that.
        if not until(lambda: Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children").read_text().strip(), 60):
            raise RuntimeError("no process in it")

    def within(self, *words):
        return ["nsenter", f"--time={self._file}", "--", *map(str, words)]

    def close(self):
        self._holder.stdin.close()
        self._holder.wait()


@contextmanager
def wrong_clock(offset):
    """The date alone: the clock that nobody can set stays as it is."""
    found = next(path for folder in Path("/usr/lib").glob("*-linux-gnu") for name in LIBRARY if (path := folder / name).is_file())
    changed = {"LD_PRELOAD": str(found), "FAKETIME": offset, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name in changed:
            del os.environ[name]
