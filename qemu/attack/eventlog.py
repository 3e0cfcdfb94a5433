"""What a firmware says it measured (TCG PC Client Platform Firmware Profile, section 10, "Event Logging"). Owns the parser."""

import struct
from dataclasses import dataclass

WHERE = "/sys/kernel/security/tpm0/binary_bios_measurements"
NO_ACTION = 3
SIZES = {0x0004: 20, 0x000B: 32, 0x000C: 48, 0x000D: 64}


@dataclass
class Event:
    """One entry; `digest` is that of the SHA-256 bank."""

    pcr: int
    kind: int
    digest: bytes
    data: bytes

    @property
    def text(self):
        """Its data, as far as people read it: the stub writes UTF-16."""
        return self.data.replace(b"\0", b"").decode("ascii", "replace")


def events(log):
    """All that were measured. The first entry is of an older form and says how the others are."""
    at = 32 + struct.unpack_from("<I", log, 28)[0]
    found = []
    while at + 12 <= len(log):
        pcr, kind, count = struct.unpack_from("<III", log, at)
        at += 12
        digest = b""
        for _ in range(count):
            algorithm = struct.unpack_from("<H", log, at)[0]
            size = SIZES[algorithm]
            if algorithm == 0x000B:
                digest = log[at + 2:at + 2 + size]
            at += 2 + size
        size = struct.unpack_from("<I", log, at)[0]
        if kind != NO_ACTION:
            found.append(Event(pcr, kind, digest, log[at + 4:at + 4 + size]))
        at += 4 + size
    return found


def measured(log, pcr):
    """What was extended into a PCR, in order."""
    return [event.digest for event in events(log) if event.pcr == pcr]
