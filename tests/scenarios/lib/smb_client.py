"""An SMB client that is not ours (the Python package smbprotocol), to put things on a share and to look at what came of them. Never runs keepwell.

Paths are strings with backslashes; the share itself is "". What a server answers is kept raw wherever it is compared.
"""

import hashlib
import struct
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from smbprotocol.connection import Connection
from smbprotocol.exceptions import SMBResponseException
from smbprotocol.ioctl import CtlCode, IOCTLFlags, SMB2IOCTLRequest, SMB2IOCTLResponse
from smbprotocol.open import LockFlags, Open, SMB2LockElement, SMB2QueryInfoRequest, SMB2QueryInfoResponse, SMB2ReadResponse, SMB2SetInfoRequest
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

# MS-SMB2 2.2.13.1.1, 2.2.13
READ = 0x0012_0089
ALL = 0x001F_01FF
OPEN, CREATE, OPEN_IF = 1, 2, 3
A_FOLDER, NO_FOLDER = 0x1, 0x40
# MS-FSCC 2.6
READONLY, HIDDEN, SYSTEM, DIRECTORY, ARCHIVE, NORMAL, TEMPORARY, SPARSE, OFFLINE, NOT_INDEXED = 0x1, 0x2, 0x4, 0x10, 0x20, 0x80, 0x100, 0x200, 0x1000, 0x2000
# MS-FSCC 2.4
BASIC, RENAME, LINK, DISPOSITION, FULL_EA, ALL_INFO, END_OF_FILE, STREAMS, ID_BOTH = 4, 10, 11, 13, 15, 18, 20, 22, 37
OF_FILE, OF_SECURITY = 1, 3
OWNER_GROUP_DACL = 7
RELATED = b"\xff" * 16
SOON = 64 << 10
LARGE = 1 << 20
AT_ONCE = 12


@dataclass
class Seen:
    """Everything of one file or folder that a restore has to bring back; `number` tells which paths are one file."""

    attributes: int
    created: int
    written: int
    size: int
    links: int
    number: int
    descriptor: bytes
    extended: dict
    streams: dict
    content: str = ""
    ranges: list = field(default_factory=list)


@dataclass
class Listed:
    """One line of a listing."""

    name: str
    attributes: int
    size: int

    @property
    def is_folder(self):
        return bool(self.attributes & DIRECTORY)

    @property
    def is_small(self):
        """Whether one read brings all of it."""
        return not self.attributes & (DIRECTORY | SPARSE) and 0 < self.size <= SOON


ROOT = Listed("", DIRECTORY, 0)


class Share:
    """A connection to one share. Without `password_file` the URL's user has no password."""

    def __init__(self, url, password_file, encrypt=True):
        parts = urlsplit(url)
        self.connection = Connection(uuid.uuid4(), parts.hostname, parts.port or 445)
        self.connection.connect(timeout=120)
        password = password_file.read_text(encoding="utf-8").strip()
        self.session = Session(self.connection, parts.username, password, require_encryption=encrypt, auth_protocol="ntlm")
        self.session.connect()
        self.tree = TreeConnect(self.session, f"\\\\{parts.hostname}\\{parts.path.strip('/').split('/')[0]}")
        self.tree.connect()
        self.connection.echo(self.session.session_id, credit_request=256)

    def close(self):
        self.connection.disconnect()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # One open file

    @contextmanager
    def opened(self, path, access=READ, disposition=OPEN, options=0, attributes=0, sharing=7, contexts=None):
        handle = Open(self.tree, path)
        handle.create(2, access, attributes, sharing, disposition, options, contexts)
        try:
            yield handle
        finally:
            handle.close()

    def set(self, handle, what, buffer, kind=OF_FILE, parts=0):
        request = SMB2SetInfoRequest()
        request["info_type"], request["file_info_class"] = kind, what
        request["additional_information"], request["file_id"], request["buffer"] = parts, handle.file_id, buffer
        self._ask(request)

    def control(self, handle, code, given=b"", room=0):
        request = SMB2IOCTLRequest()
        request["ctl_code"], request["file_id"], request["flags"] = code, handle.file_id, IOCTLFlags.SMB2_0_IOCTL_IS_FSCTL
        request["max_output_response"], request["buffer"] = room, given
        answer = SMB2IOCTLResponse()
        answer.unpack(self._ask(request)["data"].get_value())
        return answer["buffer"].get_value()

    def _ask(self, request):
        return self.connection.receive(self.connection.send(request, self.session.session_id, self.tree.tree_connect_id), timeout=300)

    # Putting things there

    def folder(self, path, **how):
        with self.opened(path, ALL, OPEN_IF, A_FOLDER, DIRECTORY, **how):
            pass

    def put(self, path, content=b"", attributes=NORMAL, disposition=OPEN_IF):
        """Writes a file, or a stream (`file:stream`), from its start."""
        with self.opened(path, ALL, disposition, NO_FOLDER, attributes) as handle:
            for at in range(0, len(content), SOON):
                handle.write(content[at:at + SOON], at)

    def stream(self, path, name, content):
        with self.opened(f"{path}:{name}", ALL, OPEN_IF, 0, NORMAL) as handle:
            if content:
                handle.write(content, 0)

    def describe(self, path, descriptor, parts=4):
        """Sets a raw descriptor (default: its DACL)."""
        with self.opened(path, 0x000E_0080) as handle:
            self.set(handle, 0, descriptor, OF_SECURITY, parts)

    def extend(self, path, attributes):
        """Sets extended attributes (MS-FSCC 2.4.15)."""
        entries = [struct.pack("<BBH", 0, len(name), len(value)) + name + b"\0" + value for name, value in attributes.items()]
        last = len(entries) - 1
        padded = [entry + b"\0" * (-(len(entry) + 4) % 4) * (at != last) for at, entry in enumerate(entries)]
        buffer = b"".join(struct.pack("<I", (len(entry) + 4) * (at != last)) + entry for at, entry in enumerate(padded))
        with self.opened(path, 0x0000_0018) as handle:
            self.set(handle, FULL_EA, buffer)

    def stamp(self, path, created=0, accessed=0, written=0, attributes=0):
        """Sets times (100 ns since 1601) and attributes; what is 0 stays."""
        with self.opened(path, 0x0000_0180) as handle:
            self.set(handle, BASIC, struct.pack("<4QII", created, accessed, written, 0, attributes, 0))

    def link(self, path, to):
        name = to.encode("utf-16-le")
        with self.opened(path, ALL) as handle:
            self.set(handle, LINK, struct.pack("<B7xQI", 0, 0, len(name)) + name)

    def sparse(self, path, size, runs):
        with self.opened(path, ALL, OPEN_IF, NO_FOLDER, NORMAL) as handle:
            self.control(handle, CtlCode.FSCTL_SET_SPARSE)
            self.set(handle, END_OF_FILE, struct.pack("<Q", size))
            for at, content in runs:
                handle.write(content, at)

    def delete(self, path):
        with self.opened(path, 0x0001_0080) as handle:
            self.set(handle, DISPOSITION, b"\1")

    # Looking

    def list(self, path):
        """The listing of a folder."""
        found = []
        with self.opened(path, 0x0010_0081, options=A_FOLDER) as handle:
            flags = 0
            while True:
                request, _ = handle.query_directory("*", ID_BOTH, flags, max_output=SOON, send=False)
                try:
                    answer = SMB2QueryInfoResponse()
                    answer.unpack(self._ask(request)["data"].get_value())
                except SMBResponseException as error:
                    if error.status != 0x8000_0006:
                        raise
                    return found
                found += [line for line in listing(answer["buffer"].get_value()) if line.name not in (".", "..")]

    def walk(self, path=""):
        """Yields (path, Listed) of all that is below, folders before what is in them."""
        for line in self.list(path):
            below = f"{path}\\{line.name}".lstrip("\\")
            yield below, line
            if line.is_folder:
                yield from self.walk(below)

    def see(self, path, line):
        """Everything of one entry."""
        return self._seen(path, line, self._begin(path, line))

    def see_all(self):
        """Path -> everything, of the whole share. Several at a time: a busy machine makes each answer late."""
        found, waiting = {"": self.see("", ROOT)}, []
        for path, line in self.walk():
            waiting.append((path, line, self._begin(path, line)))
            if len(waiting) == AT_ONCE:
                found.update((path, self._seen(path, line, sent)) for path, line, sent in waiting)
                waiting = []
        found.update((path, self._seen(path, line, sent)) for path, line, sent in waiting)
        return found

    def _begin(self, path, line):
        """Asks for everything in one exchange: open, query, read what is small, close."""
        handle = Open(self.tree, path)
        create, _ = handle.create(2, READ, 0, 7, OPEN, 0, send=False)
        asks = [self._query(OF_FILE, ALL_INFO), self._query(OF_SECURITY, 0, OWNER_GROUP_DACL), self._query(OF_FILE, STREAMS), self._query(OF_FILE, FULL_EA)]
        if line.is_small:
            asks.append(handle.read(0, line.size, send=False)[0])
        return self.connection.send_compound([create, *asks, handle.close(send=False)[0]], self.session.session_id, self.tree.tree_connect_id, related=True)

    def _seen(self, path, line, sent):
        self.connection.receive(sent[0], timeout=300)
        basic, descriptor, streams, extended = (self._answer(request) for request in sent[1:5])
        seen = facts(basic, descriptor, extended)
        if line.is_small:
            answer = SMB2ReadResponse()
            answer.unpack(self.connection.receive(sent[5], timeout=300)["data"].get_value())
            seen.content = hashlib.blake2b(answer["buffer"].get_value()).hexdigest()
        self.connection.receive(sent[-1], timeout=300)
        if not line.is_folder and not line.is_small:
            with self.opened(path) as handle:
                seen.content = self._hash(handle, seen.size)
                seen.ranges = self._ranges(handle, seen.size) if seen.attributes & SPARSE else []
        seen.streams = {name: self._stream(path, name, size) for name, size in stream_list(streams) if name}
        return seen

    @staticmethod
    def _query(kind, what, parts=0):
        request = SMB2QueryInfoRequest()
        request["info_type"], request["file_info_class"], request["output_buffer_length"] = kind, what, SOON
        request["additional_information"], request["file_id"] = parts, RELATED
        return request

    def _answer(self, request):
        """The buffer that was asked for; nothing where there is nothing (STATUS_NO_EAS_ON_FILE and the like)."""
        try:
            response = self.connection.receive(request, timeout=300)
        except SMBResponseException as error:
            if error.status in (0xC000_0052, 0x8000_0012, 0x8000_0006):
                return b""
            raise
        answer = SMB2QueryInfoResponse()
        answer.unpack(response["data"].get_value())
        return answer["buffer"].get_value()

    def _hash(self, handle, size):
        digest = hashlib.blake2b()
        for at in range(0, size, LARGE):
            digest.update(handle.read(at, min(LARGE, size - at)))
        return digest.hexdigest()

    def _ranges(self, handle, size):
        answer = self.control(handle, CtlCode.FSCTL_QUERY_ALLOCATED_RANGES, struct.pack("<QQ", 0, size), SOON)
        return list(struct.iter_unpack("<QQ", answer))

    def _stream(self, path, name, size):
        with self.opened(f"{path}:{name}", READ) as handle:
            return self._hash(handle, size)


def facts(basic, descriptor, extended):
    """MS-FSCC 2.4.2 FILE_ALL_INFORMATION."""
    created, _, written, _, attributes = struct.unpack_from("<4QI", basic)
    size, links, _, is_folder = struct.unpack_from("<QI??", basic, 48)
    number = struct.unpack_from("<Q", basic, 64)[0]
    return Seen(attributes, created, written, 0 if is_folder else size, links, number, descriptor, extended_list(extended), {})


def extended_list(buffer):
    found, at = {}, 0
    while at < len(buffer):
        step, _, name, value = struct.unpack_from("<IBBH", buffer, at)
        found[bytes(buffer[at + 8:at + 8 + name])] = bytes(buffer[at + 9 + name:at + 9 + name + value])
        at = at + step if step else len(buffer)
    return found


def stream_list(buffer):
    """(name without type, size) of each stream; the main one is ''."""
    at = 0
    while at < len(buffer):
        step, length, size = struct.unpack_from("<IIQ", buffer, at)
        yield buffer[at + 24:at + 24 + length].decode("utf-16-le").split(":")[1], size
        at = at + step if step else len(buffer)


def listing(buffer):
    """MS-FSCC 2.4.17 FileIdBothDirectoryInformation."""
    at = 0
    while at < len(buffer):
        step, = struct.unpack_from("<I", buffer, at)
        size, = struct.unpack_from("<Q", buffer, at + 40)
        attributes, length = struct.unpack_from("<II", buffer, at + 56)
        yield Listed(buffer[at + 104:at + 104 + length].decode("utf-16-le"), attributes, size)
        at = at + step if step else len(buffer)


def share_differences(expected, found, but=()):
    """What differs between two views of `see_all`, a line each. `but` names fields that are not compared."""
    lines = [f"missing: {path!r}" for path in sorted(expected.keys() - found.keys())]
    lines += [f"too many: {path!r}" for path in sorted(found.keys() - expected.keys())]
    for path in sorted(expected.keys() & found.keys()):
        here, there = vars(expected[path]), vars(found[path])
        lines += [f"{name} of {path[-120:]!r}: {shown(here[name])} {shown(there[name])}" for name in here if name not in ("number", *but) and here[name] != there[name]]
    if twins(expected) != twins(found):
        lines.append(f"hard links: {twins(expected)} {twins(found)}")
    return lines


def twins(view):
    """The paths that are one file, in groups."""
    groups = {}
    for path, seen in view.items():
        if seen.links > 1 and not seen.attributes & DIRECTORY:
            groups.setdefault(seen.number, []).append(path)
    return sorted(sorted(group) for group in groups.values())


def shown(value):
    return value.hex() if isinstance(value, bytes) else value if not isinstance(value, int) else hex(value)
