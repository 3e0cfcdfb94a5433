"""Disks of a machine as files of this one: made, copied without their holes, looked into by partition. Owns their bytes while the machine is off."""

import os
import struct
import subprocess
import uuid
from dataclasses import dataclass, field
from pathlib import Path

from .firmware import QEMU_IMG

SECTOR = 512
# What a disk writes at a time, whatever its interface counts in: so it is with nearly all disks for sale.
PHYSICAL = 4096
MIB = 1 << 20
ESP_TYPE = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")


@dataclass
class Disk:
    """One disk. `kind`: `ata` (AHCI, stays in), `nvme` (behind a root port, comes and goes), `virtio`. With `logged`, every write is kept for a power cut
    (writelog.py). `errors`: what QEMU's blkdebug is to do, a list of its rules."""

    name: str
    kind: str = "ata"
    size: int = 4 << 30
    logged: bool = False
    errors: list = field(default_factory=list)
    # The file, and its form; a machine sets them when it is made.
    path: Path = None
    form: str = "raw"

    @property
    def serial(self):
        return f"KW-{self.name.upper()}"

    @property
    def log(self):
        return self.path.with_suffix(".writes")

    @property
    def before(self):
        return self.path.with_suffix(".before")

    def make(self, folder):
        """An empty one, if there is none yet."""
        if self.path is None:
            self.path = Path(folder) / f"{self.name}.{self.form}"
            with open(self.path, "xb") as file:
                file.truncate(self.size)

    def flatten(self):
        """One file without another below it, for those who look into it from here."""
        if self.form == "raw":
            return
        raw = self.path.with_suffix(".raw")
        subprocess.run([QEMU_IMG, "convert", "-O", "raw", self.path, raw], check=True)
        self.path.unlink()
        self.path, self.form = raw, "raw"

    def partition(self, label):
        """The partition of that name."""
        self.flatten()
        for one in partitions(self.path):
            if one.label == label:
                return one
        raise KeyError(f"{self.path.name} has no partition '{label}': {[one.label for one in partitions(self.path)]}")

    def esp(self):
        self.flatten()
        return Esp(self.path, next(one for one in partitions(self.path) if one.type == ESP_TYPE))


@dataclass
class Partition:
    """Where it lies; its bytes can be read and changed."""

    file: Path
    label: str
    type: uuid.UUID
    begin: int
    size: int

    def read(self, at, length):
        with open(self.file, "rb") as file:
            file.seek(self.begin + at)
            return file.read(min(length, self.size - at))

    def write(self, at, content):
        if at + len(content) > self.size:
            raise ValueError(f"beyond the end of '{self.label}'")
        with open(self.file, "r+b") as file:
            file.seek(self.begin + at)
            file.write(content)

    def flip(self, at):
        """Turns one bit of the byte there."""
        self.write(at, bytes([self.read(at, 1)[0] ^ 1]))

    def copy_from(self, other):
        """All of another one's content, as who swaps disks has it."""
        if other.size > self.size:
            raise ValueError(f"'{other.label}' is bigger than '{self.label}'")
        with open(other.file, "rb") as source, open(self.file, "r+b") as target:
            for at in range(0, other.size, 4 * MIB):
                source.seek(other.begin + at)
                target.seek(self.begin + at)
                target.write(source.read(min(4 * MIB, other.size - at)))


def partitions(path):
    """What the first copy of the GPT says (UEFI 2.10, section 5.3)."""
    found = []
    with open(path, "rb") as file:
        file.seek(SECTOR)
        header = file.read(SECTOR)
        if header[:8] != b"EFI PART":
            raise ValueError(f"{path}: no GPT")
        table, count, each = struct.unpack_from("<QII", header, 72)
        file.seek(table * SECTOR)
        entries = file.read(count * each)
    for at in range(0, len(entries), each):
        kind, _, first, last, _, label = struct.unpack_from("<16s16sQQQ72s", entries, at)
        if any(kind):
            name = label.decode("utf-16-le").rstrip("\0")
            found.append(Partition(path, name, uuid.UUID(bytes_le=kind), first * SECTOR, (last - first + 1) * SECTOR))
    return found


class Esp:
    """The partition that the firmware reads. Paths as on it, such as `/EFI/Linux`."""

    def __init__(self, file, partition):
        self.image = f"{file}@@{partition.begin}"

    def _tool(self, name, *words, **more):
        return subprocess.run([name, "-i", self.image, *map(str, words)], check=True, capture_output=True, env={**os.environ, "MTOOLS_SKIP_CHECK": "1"}, **more).stdout

    def names(self, folder):
        """Names in a folder; none where it is missing."""
        try:
            return self._tool("mdir", "-b", f"::{folder}/").decode().split()
        except subprocess.CalledProcessError:
            return []

    def get(self, path):
        return self._tool("mcopy", f"::{path}", "-")

    def put(self, path, content):
        """Writes a file, whose folders are made where they are missing. `content`: bytes, or the path of a file here."""
        parts = path.strip("/").split("/")
        for depth in range(1, len(parts)):
            folder = "/" + "/".join(parts[:depth])
            try:
                self._tool("mmd", f"::{folder}")
            except subprocess.CalledProcessError:
                # It is there.
                pass
        if isinstance(content, bytes):
            self._tool("mcopy", "-o", "-", f"::{path}", input=content)
        else:
            self._tool("mcopy", "-o", content, f"::{path}")

    def remove(self, path):
        self._tool("mdel", f"::{path}")

    def images(self):
        """The unified kernel images, with their folder."""
        return [f"/EFI/Linux/{Path(name).name}" for name in self.names("/EFI/Linux") if name.lower().endswith(".efi")]

    def boot_only(self, content):
        """One image in place of those that are there, under the name of the first of them."""
        there = self.images()
        if not there:
            raise RuntimeError("the ESP has no image in /EFI/Linux")
        for name in there:
            self.remove(name)
        self.put(there[0], content)


def copy(source, target):
    """A copy with its holes, shared with the first where the file system can do that."""
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", source, target], check=True)
