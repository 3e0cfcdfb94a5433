"""Puts onto a share what makes backup programs stumble, with the independent client: names, descriptors, streams, attributes, times, shapes."""

import random
import struct

from smbprotocol.exceptions import SMBException

from .smb_client import ARCHIVE, DIRECTORY, HIDDEN, NORMAL, NOT_INDEXED, OFFLINE, READONLY, ROOT, SYSTEM, TEMPORARY

FOREIGN = "S-1-5-21-3623811015-3361044348-30300820"
SECOND = 10_000_000
# 1970 in 100 ns since 1601
EPOCH = 116_444_736_000_000_000

NAMES = [
    "CON", "aux.txt", "nul", "COM1.log", "lpt9", "trailing dot.", "trailing space ", "dots...", " leading", ".hidden", "caf\u00e9", "cafe\u0301", "\u1e9e\u00df", "\u0130\u0131",
    "\U0001f600 \U00020000", "\u202eright to left", "zero\u200bwidth", "private \uf022\uf020", "n" * 255, "\u20ac" * 85, "LONGFI~1.TXT", "percent %41 $(x) `x`", "-rf", "semi;colon, comma=",
    "quo'te & [brackets] {}", "tilde~", "#hash", "\u0085next", "\ufeffmark", "\ufffe", "a.b.c.d", "no.extension.", "thumbs.db", "desktop.ini", "~$word.docx", "$RECYCLE", "back\u2216slash",
]


def nasty(share, seed=1):
    """Everything, below a folder for each kind. Returns what this server would not take."""
    r, refused = random.Random(seed), []
    for make in (names, long_paths, descriptors, streams, extended, attributes, shapes, times):
        share.folder(make.__name__)
        make(share, r, Attempts(make.__name__, refused))
    return refused


class Attempts:
    """Tries what a server may refuse, and notes it."""

    def __init__(self, kind, refused):
        self.kind, self.refused = kind, refused

    def __call__(self, what, act, *arguments, **more):
        try:
            act(*arguments, **more)
        except (SMBException, UnicodeError) as error:
            self.refused.append(f"{self.kind}: {what[:60]!r}: {str(error).splitlines()[0][-120:]}")
            return False
        return True


def names(share, r, attempt):
    for name in NAMES:
        attempt(name, share.put, f"names\\{name}", r.randbytes(r.randrange(1, 200)))
    for name in ("CON", "folder.", "folder ", "caf\u00e9", "cafe\u0301", "\U0001f600"):
        inside = f"names\\in {name}\\{name}"
        if attempt(inside, share.folder, f"names\\in {name}") and attempt(inside, share.folder, inside):
            attempt(inside, share.put, f"{inside}\\{name}", name.encode())


def long_paths(share, r, attempt):
    """3,600 characters deep, with a file at each depth. Samba takes up to 4,096 bytes, its own folder included."""
    path = "long_paths"
    for letter in "abcdefghijklmnopqrst":
        path = f"{path}\\{letter * 180}"
        share.folder(path)
        share.put(f"{path}\\leaf of {letter}", r.randbytes(40))
    attempt("a stream far below", share.stream, f"{path}\\leaf of {path[-1]}", "far", b"far below")


def sid(text):
    """MS-DTYP 2.4.2.2."""
    revision, authority, *parts = (int(part) for part in text.split("-")[1:])
    return struct.pack("<BB", revision, len(parts)) + authority.to_bytes(6, "big") + struct.pack(f"<{len(parts)}I", *parts)


def ace(kind, flags, mask, who):
    """MS-DTYP 2.4.4: kind 0 allows, 1 denies."""
    who = sid(who) if isinstance(who, str) else who
    return struct.pack("<BBHI", kind, flags, 8 + len(who), mask) + who


def dacl(aces, control=0):
    """A self-relative descriptor of a DACL only (MS-DTYP 2.4.6)."""
    body = b"".join(aces)
    acl = struct.pack("<BBHHH", 2, 0, 8 + len(body), len(aces), 0) + body
    return struct.pack("<BBHIIII", 1, 0, 0x8004 | control, 0, 0, 0, 20) + acl


def owner_of(descriptor):
    at = struct.unpack_from("<I", descriptor, 4)[0]
    return descriptor[at:at + 8 + 4 * descriptor[at + 1]]


def descriptors(share, r, attempt):
    me = owner_of(share.see("", ROOT).descriptor)
    full, everyone, admins = ace(0, 0, 0x1F01FF, me), "S-1-1-0", "S-1-5-32-544"
    cases = {
        "explicit": [full, ace(0, 0, 0x1200A9, everyone)],
        "deny first": [ace(1, 0, 0x10000, f"{FOREIGN}-1105"), full, ace(0, 0, 0x1200A9, everyone)],
        "deny write attributes": [ace(1, 0, 0x110, f"{FOREIGN}-513"), full],
        "foreign": [full, ace(0, 0, 0x1301BF, f"{FOREIGN}-1105"), ace(0, 0, 0x1200A9, f"{FOREIGN}-512")],
        "well known": [full, *(ace(0, 0, 0x1200A9, who) for who in ("S-1-5-11", "S-1-5-18", "S-1-3-4", "S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464", "S-1-16-8192"))],
        "not in order": [full, ace(1, 0, 0x2, f"{FOREIGN}-9"), ace(0, 0, 0x89, everyone), ace(1, 0, 0x4, f"{FOREIGN}-8")],
        "twice": [full, full, ace(0, 0, 0x89, everyone), ace(0, 0, 0x89, everyone)],
        "generic rights": [full, ace(0, 0, 0x8000_0000, f"{FOREIGN}-77"), ace(0, 0, 0x1000_0000, f"{FOREIGN}-78")],
        "inherited on a file": [full, ace(0, 0x10, 0x1200A9, admins), ace(1, 0x10, 0x40, f"{FOREIGN}-4")],
        "long": [full, *(ace(n % 2, 0, 0x89, f"{FOREIGN}-{2000 + n}") for n in range(40))],
    }
    for name, aces in cases.items():
        for mark, control in (("", 0), (" protected", 0x1000), (" auto inherited", 0x500)):
            path = f"descriptors\\{name}{mark}"
            share.put(path, name.encode())
            attempt(path, share.describe, path, dacl(aces, control))
    inheriting(share, attempt, full, me)


def inheriting(share, attempt, full, me):
    """Folders with every kind of inheritance, and children made below them by the server's own rules; then one that goes its own way."""
    for number, flags in enumerate((0x1, 0x2, 0x3, 0x0B, 0x07, 0x0D)):
        top = f"descriptors\\inherit {flags:02x}"
        share.folder(top)
        attempt(top, share.describe, top, dacl([full, ace(0, 0x3, 0x1F01FF, me), ace(0, flags, 0x1301BF, f"{FOREIGN}-{1200 + number}"), ace(1, flags, 0x40, f"{FOREIGN}-{1300 + number}")], 0x1000 if number % 2 else 0x500))
        share.folder(f"{top}\\below")
        share.put(f"{top}\\file", b"inherits")
        share.put(f"{top}\\below\\file", b"inherits from above")
        share.put(f"{top}\\below\\own", b"protected")
        attempt(top, share.describe, f"{top}\\below\\own", dacl([full], 0x1000))


def streams(share, r, attempt):
    share.put("streams\\several", b"main")
    for number in range(8):
        attempt("several", share.stream, "streams\\several", f"number {number}", r.randbytes(40 * number))
    share.put("streams\\large", b"main")
    attempt("3 KB", share.stream, "streams\\large", "three KB", r.randbytes(3000))
    share.put("streams\\only in the stream")
    attempt("Zone.Identifier", share.stream, "streams\\only in the stream", "Zone.Identifier", b"[ZoneTransfer]\r\nZoneId=3\r\n")
    share.put("streams\\odd names", b"main")
    for name in ("sp ace", "dot.", "\u00fcml\u00e4ut", "\U0001f600", "CON", "e\u0301", "Upper lower"):
        attempt(name, share.stream, "streams\\odd names", name, name.encode())
    share.put("streams\\empty", b"main")
    attempt("empty", share.stream, "streams\\empty", "nothing", b"")
    share.folder("streams\\folder")
    attempt("of a folder", share.stream, "streams\\folder", "of the folder", b"a folder has some too")
    attempt("of a folder", share.stream, "streams\\folder", "second", b"")
    share.put("streams\\folder\\inside.", b"in")
    attempt("of a name with a dot", share.stream, "streams\\folder\\inside.", "s", b"dot")


def extended(share, r, attempt):
    share.put("extended\\file", b"main")
    attempt("several", share.extend, "extended\\file", {b"ONE": b"1", b"TWO.two": r.randbytes(300), b"LXMOD": b"\xa4\x81\0\0"})
    share.folder("extended\\folder")
    attempt("of a folder", share.extend, "extended\\folder", {b"FOLDER": b"\0\xff\n"})
    share.put("extended\\with stream", b"main")
    attempt("both", share.extend, "extended\\with stream", {b"BOTH": b"ea"})
    attempt("both", share.stream, "extended\\with stream", "both", b"stream")


def attributes(share, _r, attempt):
    kinds = {"readonly": READONLY, "hidden": HIDDEN, "system": SYSTEM, "archive": ARCHIVE, "temporary": TEMPORARY, "offline": OFFLINE, "not indexed": NOT_INDEXED, "normal": NORMAL}
    kinds |= {"all four": READONLY | HIDDEN | SYSTEM | ARCHIVE, "hidden system": HIDDEN | SYSTEM}
    for name, value in kinds.items():
        share.put(f"attributes\\{name}", name.encode())
        attempt(name, share.stamp, f"attributes\\{name}", attributes=value)
        if value != NORMAL:
            share.folder(f"attributes\\folder {name}")
            share.put(f"attributes\\folder {name}\\inside", name.encode())
            attempt(name, share.stamp, f"attributes\\folder {name}", attributes=value | DIRECTORY)
    share.put("attributes\\hidden with a stream", b"main")
    attempt("a stream of a hidden file", share.stream, "attributes\\hidden with a stream", "s", b"hidden too")
    attempt("a stream of a hidden file", share.stamp, "attributes\\hidden with a stream", attributes=HIDDEN | READONLY)


def shapes(share, r, attempt):
    share.put("shapes\\empty")
    share.folder("shapes\\empty folder")
    for size in (1, 4095, 4096, 4097, 65535, 65536, 65537, (1 << 20) - 1, (1 << 20) + 1, (8 << 20) + 3):
        share.put(f"shapes\\{size}", r.randbytes(size))
    share.put("shapes\\zeros", bytes(1 << 20))
    attempt("sparse", share.sparse, "shapes\\sparse", 64 << 20, [(0, b"start"), (20 << 20, r.randbytes(9000)), ((64 << 20) - 4096, r.randbytes(4096))])
    attempt("sparse", share.sparse, "shapes\\ends in a hole", 10 << 20, [(1 << 20, r.randbytes(5000))])
    attempt("sparse", share.sparse, "shapes\\all hole", 3 << 20, [])
    share.put("shapes\\linked", r.randbytes(3000))
    share.folder("shapes\\sub")
    for other in ("shapes\\linked too", "shapes\\sub\\linked", "names\\a link"):
        attempt("hard link", share.link, "shapes\\linked", other)
    share.put("shapes\\linked with a stream", b"main")
    attempt("stream", share.stream, "shapes\\linked with a stream", "s", b"one for both")
    attempt("hard link", share.link, "shapes\\linked with a stream", "shapes\\sub\\again")


def times(share, r, attempt):
    year = 365 * 86400 * SECOND
    stamps = {"before 1970": EPOCH - 7 * year + 1234567, "just before 1970": EPOCH - 1, "epoch": EPOCH, "2038": EPOCH + (1 << 31) * SECOND + 1, "2100": EPOCH + 130 * year + 9999999,
              "fraction": EPOCH + 50 * year + 1, "nearly a second": EPOCH + 50 * year + 9999999, "2300": EPOCH + 330 * year + 7}
    for name, when in stamps.items():
        share.put(f"times\\{name}", r.randbytes(10))
        attempt(name, share.stamp, f"times\\{name}", written=when, accessed=when, created=when - 3)
        share.folder(f"times\\folder {name}")
        share.put(f"times\\folder {name}\\inside", b"x")
        attempt(name, share.stamp, f"times\\folder {name}", written=when, created=when + 5)
    share.put("times\\made in the future, written in the past", b"x")
    attempt("both", share.stamp, "times\\made in the future, written in the past", created=EPOCH + 100 * year, written=EPOCH + 3 * year)
