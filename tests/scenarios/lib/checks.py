"""Counts and prints checks. Owns the last line of every scenario, and its scratch folder."""

import atexit
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from contextlib import contextmanager
from pathlib import Path


class Checks:
    """One scenario's checks and its scratch folder, which goes away at the end (KEEP=1: stays)."""

    def __init__(self, name):
        self.name = name
        self.passed = 0
        self.failed = 0
        self.began = time.monotonic()
        self.scratch = Path(tempfile.mkdtemp(prefix=f"keepwell-{name}-", dir=os.environ.get("TMPDIR", "/var/tmp")))
        self.scratch.chmod(0o755)
        Trash.folder = self.scratch / ".trash"
        Trash.folder.mkdir()
        signal.signal(signal.SIGTERM, ended)

    def check(self, what, holds, detail=""):
        """Counts one check. `detail` says what was seen when it fails."""
        if holds:
            self.passed += 1
        else:
            self.failed += 1
        stamp = f"{time.monotonic() - self.began:6.1f} s"
        print(f"{stamp}  {'ok    ' if holds else 'FAILED'}  {what}", flush=True)
        if not holds and detail:
            text = str(detail).strip()
            print("".join(f"             | {line[:1500]}\n" for line in text.splitlines()[:30]), end="", flush=True)
        return bool(holds)

    @contextmanager
    def part(self, title):
        """A part that must not take the others down: an exception in it is one failed check."""
        print(f"-- {title}", flush=True)
        try:
            yield
        except Exception:  # noqa: BLE001: whatever it was, it is reported and counted
            self.check(f"{title}: runs to its end", False, traceback.format_exc())

    def finish(self):
        end_all()
        if os.environ.get("KEEP"):
            print(f"kept: {self.scratch}")
        else:
            empty_trash()
            subprocess.run(["rm", "-rf", "--one-file-system", self.scratch], check=False)
        print(f"{self.name}: {time.monotonic() - self.began:.0f} s")
        print(f"{self.passed} passed, {self.failed} failed")
        sys.exit(1 if self.failed or not self.passed else 0)


def ended(_signal, frame):
    """Whoever is ended from outside (tests/lanes, for the time it took) says where it was, and ends its servers."""
    print("ended in the middle of:\n" + "".join(traceback.format_stack(frame)), flush=True)
    sys.exit(143)


# What has to end before the scratch folder goes: servers.
RUNNING = []


@atexit.register
def end_all():
    while RUNNING:
        RUNNING.pop()()


class Trash:
    """What was removed while the scenario goes on: taking thousands of files away is slow where others sync."""

    folder = None
    removals = []


def need_root(name):
    """Real file servers are started by root only: anybody else is told, and that is no failure."""
    if os.geteuid() != 0:
        print(f"{name}: not checked here: starting file servers needs root")
        sys.exit(0)


def remove(path):
    """Takes a tree away at once, however deep it is and whatever its modes are; its space comes back soon after."""
    if not os.path.lexists(path):
        return
    aside = Trash.folder / str(len(Trash.removals))
    os.rename(path, aside)
    Trash.removals.append(subprocess.Popen(["sh", "-c", 'chmod -R u+rwX "$1" 2> /dev/null; rm -rf --one-file-system "$1"', "sh", aside]))


def empty_trash():
    for removal in Trash.removals:
        removal.wait()


def full_size():
    """Whether this is the long run (`make test-long`)."""
    return os.environ.get("SIZE") == "full"


def move_away(paths, where):
    """Moves folders aside and returns a function that puts them back."""
    where = Path(where)
    where.mkdir(parents=True, exist_ok=True)
    moved = [(Path(path), where / f"{number}-{Path(path).name}") for number, path in enumerate(paths)]
    for path, aside in moved:
        shutil.move(path, aside)

    def back():
        for path, aside in moved:
            shutil.move(aside, path)

    return back
