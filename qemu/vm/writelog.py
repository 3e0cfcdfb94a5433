"""What a disk holds after the power went: QEMU's log of all writes (driver blklogwrites, the format of dm-log-writes), replayed up to the last flush. Owns that decision.

A disk promises what it said was flushed, and writes with FUA. Everything after that may or may not have reached it, whole physical sectors at a time and in any order. So of each write after the
last flush a seeded choice keeps all, none, or the first sectors. NVMe disks are not logged: QEMU (7.2; not looked at since) offers the guest FUA there and passes none of it on, so the log would call lost what the guest was promised.
"""

import os
import random
import struct
from dataclasses import dataclass

from .disk import PHYSICAL, SECTOR, copy

MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD = 1, 2, 4


@dataclass
class Entry:
    """One write: where its bytes lie in the log (`at`), and where they belong."""

    sector: int
    sectors: int
    flags: int
    at: int


@dataclass
class Lost:
    """What a cut took, for the scenario's output."""

    writes: int
    durable: int
    kept: int
    torn: int
    dropped: int


def entries(log, until=None):
    """All of them, or those within the first bytes of the log, in the order in which QEMU took them up. A log that breaks off ends there, as it would have at the power cut."""
    return [entry for entry, _ in following(log, beginning(log), until)]


def beginning(log):
    """Where the first entry is; none as long as nothing was ever flushed."""
    log.seek(0)
    head = log.read(28)
    magic, version, _, size = struct.unpack("<QQQI", head) if len(head) == 28 else (0, 0, 0, 0)
    return size if magic == MAGIC and version == 1 and size == SECTOR else None


def following(log, at, until=None):
    """Each entry that begins there or later, and where it ends."""
    log.seek(0, 2)
    end = log.tell() if until is None else min(until, log.tell())
    while at is not None and at + SECTOR <= end:
        log.seek(at)
        sector, sectors, flags, _ = struct.unpack("<QQQQ", log.read(32))
        if not sectors and not flags:
            return
        entry = Entry(sector, sectors, flags, at + SECTOR)
        at += SECTOR + (0 if flags & DISCARD else sectors * SECTOR)
        if at > end:
            return
        yield entry, at


class Log:
    """One that still grows: the writes before its last flush, and those after it, read once."""

    def __init__(self, path):
        # What was read of a place may have been written since.
        self.file = open(path, "rb", buffering=0)
        self.end, self.writes, self.durable = None, 0, 0

    def close(self):
        self.file.close()

    def size(self):
        return os.fstat(self.file.fileno()).st_size

    def at(self, size):
        """How many of both there were when the log had that many bytes; None where an entry in it had not come to its end. Asked for longer and longer ones."""
        self.end = self.end or beginning(self.file)
        for entry, end in following(self.file, self.end, size):
            self.end, self.writes = end, self.writes + 1
            if entry.flags & FLUSH:
                self.durable = self.writes
        return (self.durable, self.writes - self.durable) if self.end == size else None


def replay(before, log, after, seed, until=None):
    """Makes `after` from `before` and the log, or as much of it as there was at another moment; says what was lost."""
    copy(before, after)
    choice = random.Random(seed)
    with open(log, "rb") as source, open(after, "r+b") as target:
        found = entries(source, until)
        flushed = max((number for number, entry in enumerate(found) if entry.flags & FLUSH), default=-1)
        lost = Lost(len(found), flushed + 1, 0, 0, 0)
        for number, entry in enumerate(found):
            sectors = entry.sectors
            if number > flushed and not entry.flags & FUA:
                sectors = choice.choice((0, entry.sectors, torn(entry, choice)))
                lost.kept += sectors == entry.sectors
                lost.dropped += sectors == 0 != entry.sectors
                lost.torn += 0 < sectors < entry.sectors
            apply(entry, sectors, source, target)
    return lost


def torn(entry, choice):
    """How many of its sectors reached the disk: up to the end of one of the disk's own."""
    each = PHYSICAL // SECTOR
    end = (entry.sector + choice.randrange(entry.sectors + 1)) // each * each
    return max(0, end - entry.sector)


def apply(entry, sectors, source, target):
    if not sectors or entry.flags & DISCARD:
        # What was discarded may still be there.
        return
    source.seek(entry.at)
    target.seek(entry.sector * SECTOR)
    target.write(source.read(sectors * SECTOR))
