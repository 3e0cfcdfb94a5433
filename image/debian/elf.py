"""Reads of an ELF file what it is linked with: interpreter, libraries (DT_NEEDED), and those it may open by name (the note .note.dlopen of systemd's programs). 64 bit, little-endian; nothing else is known here.

Sources: the ELF-64 object file format; systemd's page "ELF dlopen metadata" for the note.
"""

import json
import struct
from dataclasses import dataclass, field

DLOPEN = 0x407C0C0A


@dataclass
class Program:
    """What a program or library wants to find."""

    interpreter: str = ""
    needed: list = field(default_factory=list)
    opened: list = field(default_factory=list)


def read(path):
    """A Program, or None where the file is no ELF file of this kind."""
    with open(path, "rb") as file:
        if file.read(6) != b"\x7fELF\x02\x01":
            return None
        file.seek(0)
        data = file.read()
    offset, size, count = struct.unpack_from("<Q", data, 32)[0], *struct.unpack_from("<HH", data, 54)
    segments = [struct.unpack_from("<IIQQQQQQ", data, offset + number * size) for number in range(count)]
    loads = [(address, at, length) for kind, _, at, address, _, length, _, _ in segments if kind == 1]
    found = Program()
    for kind, _, at, _, _, length, _, _ in segments:
        if kind == 3:
            found.interpreter = data[at : at + length].rstrip(b"\0").decode()
        elif kind == 2:
            found.needed = dynamic(data, at, length, loads)
        elif kind == 4:
            found.opened += notes(data, at, length)
    return found


def dynamic(data, at, length, loads):
    """Names of DT_NEEDED (1), in the string table DT_STRTAB (5)."""
    entries = [struct.unpack_from("<qQ", data, at + step) for step in range(0, length, 16)]
    tables = [value for tag, value in entries if tag == 5]
    if not tables:
        return []
    start = next((tables[0] - address + begin for address, begin, size in loads if address <= tables[0] < address + size), None)
    if start is None:
        return []
    names = [start + value for tag, value in entries if tag == 1]
    return [data[name : data.index(b"\0", name)].decode() for name in names]


def notes(data, at, length):
    """First name of each library of a note that the program asks for, unless it is only suggested."""
    names, end = [], at + length
    while at + 12 <= end:
        owner, size, kind = struct.unpack_from("<III", data, at)
        body = at + 12 + (owner + 3) // 4 * 4
        if kind == DLOPEN and data[at + 12 : at + 12 + owner].rstrip(b"\0") == b"FDO":
            for one in json.loads(data[body : body + size].rstrip(b"\0")):
                if one.get("priority", "recommended") != "suggested":
                    names.append(one["soname"][0])
        at = body + (size + 3) // 4 * 4
    return names
