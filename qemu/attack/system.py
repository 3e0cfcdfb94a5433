"""The attackers' own operating system: a kernel of Debian's and busybox, started directly on somebody's box. Serves the same shell port as the test image, and mounts nothing of the box."""

import shutil
import stat
from pathlib import Path

from lib.program import ROOT

IMAGE = ROOT / "target/image"
INIT = """#!/busybox sh
/busybox mkdir -p /bin /dev /proc /sys /tmp
/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t securityfs security /sys/kernel/security
until grep -qsx keepwell.test /sys/class/virtio-ports/*/name; do sleep 0.2; done
port=/dev/$(basename "$(dirname "$(grep -lx keepwell.test /sys/class/virtio-ports/*/name)")")
while :; do
    sh 0<>"$port" 1>&0 2>&1
    sleep 1
done
"""


def archive(files):
    """Files as the kernel wants its first file system (cpio, form "newc"): path to (mode, content)."""
    out = bytearray()
    for number, (path, (mode, content)) in enumerate([*sorted(files.items()), ("TRAILER!!!", (0, b""))], 1):
        name = path.encode() + b"\0"
        fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(name), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        out += bytes(-len(out) % 4) + content
        out += bytes(-len(out) % 4)
    return bytes(out)


def busybox():
    """A static one: the image's tools have it."""
    return (IMAGE / "tools/usr/bin/busybox").read_bytes()


def attackers(folder):
    """`kernel=` for a machine: (kernel, initrd, command line)."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    program = stat.S_IFREG | 0o755
    (folder / "initrd").write_bytes(archive({"busybox": (program, busybox()), "init": (program, INIT.encode()), "dev": (stat.S_IFDIR | 0o755, b"")}))
    shutil.copyfile(kernel(), folder / "vmlinuz")
    return folder / "vmlinuz", folder / "initrd", "console=ttyS0,115200 panic=-1"


def kernel():
    """The one that the image was made around: Debian's, with a driver for TPMs in it."""
    return IMAGE / "root.kernel/vmlinuz"
