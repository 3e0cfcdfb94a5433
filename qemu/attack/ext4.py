"""Where things lie in an ext4 (kernel documentation, "ext4 Data Structures and Algorithms"): as on each box that was made the same way, so thieves know it without reading theirs."""

import base64
import struct


def inode_place(read, number):
    """Where an inode begins. `read(at, length)` gives bytes of the file system."""
    head = read(1024, 1024)
    log_size, per_group = struct.unpack_from("<I", head, 24)[0], struct.unpack_from("<I", head, 40)[0]
    first, inode_size, wide = struct.unpack_from("<I", head, 20)[0], struct.unpack_from("<H", head, 88)[0], struct.unpack_from("<I", head, 96)[0] & 0x80
    block = 1024 << log_size
    each = struct.unpack_from("<H", head, 254)[0] if wide else 32
    group, index = divmod(number - 1, per_group)
    entry = read((first + 1) * block + group * each, each)
    table = struct.unpack_from("<I", entry, 8)[0] | (struct.unpack_from("<I", entry, 40)[0] << 32 if wide else 0)
    return table * block + index * inode_size


def reader(machine, device):
    """`read` for a device that root of a machine has open."""
    def read(at, length):
        before = at % 512
        count = (before + length + 511) // 512
        said = machine.sh(f"dd if={device} bs=512 skip={at // 512} count={count} 2>/dev/null | base64")
        return base64.b64decode(said.output)[before:before + length]

    return read
