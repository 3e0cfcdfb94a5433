"""A unified kernel image as who attacks sees it (PE/COFF; systemd-stub): its sections, the values of PCR 11 that follow from it, and copies of it that nobody signed. Everything here is public."""

import hashlib
import json
import struct

# In the order in which the stub measures them; the signatures themselves are not measured.
MEASURED = (".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname", ".sbat", ".pcrpkey")
CERTIFICATES = 4


class Uki:
    """One image, by its bytes."""

    def __init__(self, content):
        self.content = bytes(content)
        self.header = struct.unpack_from("<I", self.content, 0x3C)[0]
        if self.content[self.header:self.header + 4] != b"PE\0\0":
            raise ValueError("no PE image")
        self.optional = self.header + 24

    def sections(self):
        """Name to (place in the file, size)."""
        count, size = struct.unpack_from("<H12xH", self.content, self.header + 6)
        found = {}
        for number in range(count):
            name, virtual, _, _, place = struct.unpack_from("<8sIIII", self.content, self.optional + size + 40 * number)
            found[name.rstrip(b"\0").decode()] = (place, virtual)
        return found

    def section(self, name):
        place, size = self.sections()[name]
        return self.content[place:place + size]

    def measurements(self, phases):
        """What is extended into PCR 11 by the stub, and then by systemd for each phase."""
        here = self.sections()
        texts = [text for name in MEASURED if name in here for text in (name.encode() + b"\0", self.section(name))]
        return [hashlib.sha256(text).digest() for text in (*texts, *(phase.encode() for phase in phases))]

    def signatures(self):
        """What opens the keys of which phase: systemd's object, with keyd's policies in it."""
        return json.loads(self.section(".pcrsig").rstrip(b"\0"))

    # What others make of it

    def unsigned(self):
        """The same without its signature."""
        content = bytearray(self.content)
        entry = self.optional + 112 + 8 * CERTIFICATES
        place, size = struct.unpack_from("<II", content, entry)
        if not size:
            raise ValueError("it is not signed")
        content[entry:entry + 8] = bytes(8)
        return bytes(content[:place])

    def with_command_line(self, old, new):
        """Another command line of the same length; the signature stays, and holds no more."""
        place, size = self.sections()[".cmdline"]
        line = self.content[place:place + size]
        if line.count(old) != 1 or len(old) != len(new):
            raise ValueError(f"not once in the command line: {old}")
        return self.content[:place] + line.replace(old, new) + self.content[place + size:]


def extended(digests):
    """A PCR that these were extended into, from zero."""
    value = bytes(32)
    for digest in digests:
        value = hashlib.sha256(value + digest).digest()
    return value
