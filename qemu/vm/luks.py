"""The head of an encrypted partition, read from outside (LUKS2 on-disk format, section 3). Owns its shape; has no keys."""

import hashlib
import json
import struct

MAGIC = b"LUKS\xba\xbe"


def header(partition):
    """Its JSON: `tokens`, `keyslots`, `segments`. An error where there is no header that holds."""
    head = partition.read(0, 4096)
    magic, version, size = struct.unpack_from(">6sHQ", head)
    if magic != MAGIC or version != 2:
        raise ValueError(f"'{partition.label}' is not LUKS2: {head[:8]!r}")
    whole = bytearray(partition.read(0, size))
    said = bytes(whole[448:448 + 64])
    whole[448:448 + 64] = bytes(64)
    if hashlib.sha256(whole).digest() != said[:32]:
        raise ValueError(f"the header of '{partition.label}' is damaged")
    return json.loads(whole[4096:].split(b"\0", 1)[0])
