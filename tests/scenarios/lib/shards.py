"""Looks at a vault's files from outside, by docs/format.md alone: which shards there are, of what. Damages them."""

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from .blake3 import blake3

HEADER = 160
CLASSES = {1: "pack", 2: "manifest", 3: "keyring", 4: "slots"}


@dataclass(frozen=True)
class Shard:
    """One shard file and what its header says."""

    path: Path
    object: str
    index: int
    data: int
    parity: int
    kind: str


def shards(vault):
    """All shards by object: {object id: [Shard]}; packs are told apart as "data" and "metadata"."""
    found = {}
    for path in sorted(vault.dir.glob("disk-*/*/*")):
        header = path.open("rb").read(HEADER + 64)
        if header[:8] == b"KWSHARD\0":
            index, data, parity, kind = header[10:14]
            found.setdefault(header[32:64].hex(), []).append((path, index, data, parity, CLASSES[kind], header[HEADER:]))
    return {name: [Shard(path, name, index, data, parity, refined(kind, copies)) for path, index, data, parity, kind, _ in copies] for name, copies in found.items()}


def refined(kind, copies):
    if kind != "pack":
        return kind
    first = next(start for _, index, data, _, _, start in copies if index == 0 or data == 1)
    return {1: "data", 2: "metadata"}[first[10]]


def of_kind(vault, kind):
    """{object id: [Shard]} of one kind."""
    return {name: copies for name, copies in shards(vault).items() if copies[0].kind == kind}


def flip(path, at=None):
    """Turns one bit, by default in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if at is None else at] ^= 0x10
    path.write_bytes(content)


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def delete(path):
    path.unlink()


ACTIONS = {"flip": flip, "truncate": truncate, "delete": delete}


def newer_label(disk):
    """Gives a disk's label the next format version, with a right hash."""
    path = disk / "keepwell-disk"
    label = path.read_bytes()[:-32]
    label = label[:8] + struct.pack("<H", 2) + label[10:]
    path.write_bytes(label + blake3(label))


def newer_object(vault, kind):
    """Gives every object of a kind the next format version, rightly hashed and named: what a later release would write."""
    for copies in of_kind(vault, kind).values():
        for shard in copies:
            assert shard.data == 1, "a whole copy"
            raw = shard.path.read_bytes()
            length = struct.unpack("<Q", raw[64:72])[0]
            payload = bytearray(raw[HEADER:])
            payload[8:10] = struct.pack("<H", 2)
            name = blake3(bytes(payload[:length]))
            header = raw[:32] + name + raw[64:80] + blake3(bytes(payload)) + bytes(16)
            shard.path.unlink()
            renamed = shard.path.with_name(shard.path.name.replace(shard.object, name.hex()))
            renamed.write_bytes(header + blake3(header) + payload)
