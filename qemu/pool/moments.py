"""Moments at which the power could have gone: how long the log of each disk was then, while a machine ran on. Owns when a machine stands still for a look, and which of all moments are worth one; what a disk holds after
one of them is vm/writelog.py's.
"""

import os
import signal
import threading
import time
from dataclasses import dataclass

from vm import writelog

# Seconds between two looks. Each takes a fifth of a millisecond, and of the small writes at the end of a backup, each of which is flushed at once, longer pauses see next to none.
PAUSE = 0.003


@dataclass
class Moment:
    """As long as each log was, and what the box had called complete by then."""

    sizes: tuple
    acknowledged: dict
    # Of each disk: writes up to its last flush, and those after it.
    durable: tuple = ()
    open: tuple = ()

    @property
    def under_way(self):
        return sum(self.open)


class Recorder:
    """Stops the machine for an instant again and again, and writes down how long the logs of its pool's disks are: `with Recorder(site) as seen`. `freeze` leaves it standing."""

    def __init__(self, site):
        self.site, self.box = site, site.box
        self.disks = [disk for disk in self.box.disks if disk.logged]
        # The system's disk has to be whole as well, for the cut itself.
        self.logs = [writelog.Log(disk.log) for disk in (*self.disks, self.box.system) if disk.logged]
        self.moments = []
        self.condition = None
        self.frozen, self.ended = threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.began = sum(log.size() for log in self.logs[:len(self.disks)])

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        """A machine that was frozen stays so, for whoever cuts it."""
        self.ended.set()
        self.thread.join()
        for log in self.logs:
            log.close()

    def freeze(self, condition=lambda grown, under_way: True, seconds=300):
        """Leaves the machine standing at the first moment at which the condition holds: bytes that were written since the recorder began, and writes that no disk has promised yet. Whether there was one."""
        self.condition = condition
        return self.frozen.wait(seconds)

    def _run(self):
        while not self.ended.wait(PAUSE):
            now = self._look()
            if now and self.condition and self.condition(sum(now.sizes) - self.began, now.under_way):
                self.frozen.set()
                return
            self._on()

    def _on(self):
        self.box.process.send_signal(signal.SIGCONT)

    def _look(self):
        """The machine stands still afterwards; nothing is told where a write to a log had begun and another one, behind it, had ended."""
        self.box.process.send_signal(signal.SIGSTOP)
        # When the last of its threads is out of the kernel.
        os.waitid(os.P_PID, self.box.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        sizes = [log.size() for log in self.logs]
        seen = [log.at(size) for log, size in zip(self.logs, sizes, strict=True)]
        if None in seen:
            return None
        pool = len(self.disks)
        now = Moment(tuple(sizes[:pool]), dict(self.site.acknowledged), *zip(*seen[:pool], strict=True))
        if not self.moments or now != self.moments[-1]:
            self.moments.append(now)
        return now

    def worth(self, count):
        """So many of them with writes under way, in their order: one for each state that the disks had promised; half of them those with the most writes, the others from all over the time."""
        best = {}
        for number, moment in enumerate(self.moments):
            state = (moment.durable, len(moment.acknowledged))
            if moment.under_way and (state not in best or moment.under_way >= self.moments[best[state]].under_way):
                best[state] = number
        numbers = sorted(best.values())
        most = sorted(numbers, key=lambda number: -self.moments[number].under_way)[:count // 2]
        rest = [number for number in numbers if number not in most]
        left = count - len(most)
        spread = {rest[at * (len(rest) - 1) // max(1, left - 1)] for at in range(left)} if rest else set()
        return [self.moments[number] for number in sorted({*most, *spread})]


class Kept:
    """Logs that outlive the cut of their machine, which does away with them: made before it."""

    def __init__(self, recorder, folder):
        folder.mkdir(parents=True)
        self.folder, self.names = folder, [disk.name for disk in recorder.disks]
        for disk in recorder.disks:
            os.link(disk.before, folder / f"{disk.name}.before")
            os.link(disk.log, folder / f"{disk.name}.writes")

    def replayed(self, moment, seed):
        """The disks as they would have been, and what each lost."""
        files, lost = [], {}
        for name, size in zip(self.names, moment.sizes, strict=True):
            before, log, after = (self.folder / f"{name}.{end}" for end in ("before", "writes", "raw"))
            lost[name] = writelog.replay(before, log, after, f"{seed} {name}", size)
            files.append(after)
        return files, lost
