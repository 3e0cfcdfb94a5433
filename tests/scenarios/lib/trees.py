"""Makes the trees that the scenarios back up: a nasty one, a plain one, and seeded changes to them."""

import contextlib
import os
import random
import socket
import stat
import subprocess
from pathlib import Path

GIB = 1 << 30
YEAR = 365 * 86400 * 10**9


def put(path, content=b"", mode=0o644):
    path = Path(os.fsdecode(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def sparse(path, size, runs):
    """A file of `size` with data only at the (offset, bytes) of `runs`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.truncate(size)
        for offset, content in runs:
            file.seek(offset)
            file.write(content)


def nasty(root, seed=1, big=5 * GIB):
    """Everything that makes backup programs stumble. Returns the names of what this machine would not make."""
    root, r, skipped = Path(root), random.Random(seed), []
    root.mkdir(parents=True)
    for make in (holes, links, names, deep, contents, specials, permissions, attributes, devices):
        problem = make(root / make.__name__, r, big)
        if problem:
            skipped.append(f"{make.__name__}: {problem}")
    times(root, r)
    return skipped


def holes(root, r, big):
    root.mkdir()
    sparse(root / "big", big, [(0, b"start"), (big // 5 + 12288, r.randbytes(70000)), (big - 4096, r.randbytes(4096))])
    sparse(root / "ends-in-a-hole", 10 << 20, [(1 << 20, r.randbytes(5000))])
    sparse(root / "all-hole", 3 << 20, [])
    sparse(root / "comb", 300 * 65536, [(n * 65536, r.randbytes(4096)) for n in range(300)])
    put(root / "zeros-that-are-data", bytes(1 << 20))


def links(root, r, _big):
    put(root / "a/one", r.randbytes(3000))
    for other in ("b/two", "b/c/three", "a/four"):
        (root / other).parent.mkdir(parents=True, exist_ok=True)
        os.link(root / "a/one", root / other)
    put(root / "z-first", b"")
    os.link(root / "z-first", root / "b/empty-twin")
    targets = {"dangling": "no/such/thing", "self": "self", "loop-1": "loop-2", "loop-2": "loop-1", "here": ".", "up": "../..", "absolute": "/etc/hostname"}
    for name, target in targets.items():
        os.symlink(target, root / name)
    os.symlink(b"\xff\xfe raw", root / "raw-target")
    os.symlink("t" * 4095, root / "long-target")
    os.link(root / "dangling", root / "b/dangling-twin", follow_symlinks=False)


def names(root, r, _big):
    folder = os.fsencode(root)
    os.mkdir(folder)
    odd = [b"\xff\xfe\x80", b"n" * 255, b"\xe9" * 255, b"line\nbreak", b" lead", b"trail ", b"-rf", b"--help", b"back\\slash", b'quo"te', b"tab\t", b"\x01\x7f",
           b"con", b"case", b"CASE", b"Case", "\u00e9".encode(), "e\u0301".encode(), "\U0001f600".encode(), b"*?[", b"$(x)", b"%41", b"...", b"a", b"a.txt", b"a\x01", b"~", b"a:b"]
    for name in odd:
        with open(os.path.join(folder, name), "wb") as file:
            file.write(r.randbytes(r.randrange(200)))
    for name in (b"folder", b"folder.d", b"folder\xff", b"folder "):
        os.mkdir(os.path.join(folder, name))
        with open(os.path.join(folder, name, b"in"), "wb") as file:
            file.write(name)


def deep(root, r, _big, length=4040):
    """A path of `length` bytes below the tree's root."""
    root.mkdir()
    here, so_far = os.open(root, os.O_RDONLY), len("deep/")
    while so_far < length - 10:
        name = "d" * min(200, length - so_far - 8)
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here, so_far = below, so_far + len(name) + 1
    fd = os.open("leaf", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=here)
    os.write(fd, r.randbytes(100))
    os.close(fd)
    os.close(here)


def abyss(root, seed=1):
    """A tree deeper than any path the system takes in one piece."""
    Path(root).mkdir(parents=True)
    deep(Path(root) / "deep", random.Random(seed), 0, length=9000)


def contents(root, r, _big):
    put(root / "empty")
    (root / "empty-folder").mkdir()
    put(root / "one-byte", b"1")
    for size in (4095, 4096, 4097, 65536, 262143, 262144, 1 << 20, (8 << 20) + 1):
        put(root / f"random-{size}", r.randbytes(size))
    put(root / "text", b"the same line over and over\n" * 200_000)
    put(root / "twin", b"the same line over and over\n" * 200_000)
    for number in range(2000):
        put(root / f"many/{number:05}", b"%d " % number * r.randrange(1, 40))


def specials(root, _r, _big):
    root.mkdir()
    os.mkfifo(root / "fifo", 0o640)
    os.mkfifo(root / "fifo-to-twin")
    os.link(root / "fifo-to-twin", root / "fifo-twin")
    with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(root):
        listener.bind("socket")


def permissions(root, r, _big):
    put(root / "locked/inside", b"x", 0o400)
    (root / "locked").chmod(0o555)
    for mode in (0o400, 0o604, 0o755, 0o2755, 0o4755, 0o6711):
        put(root / f"mode-{mode:o}", b"m", mode)
    (root / "sticky").mkdir()
    (root / "sticky").chmod(0o1777)
    if os.geteuid() != 0:
        return "other owners need root"
    put(root / "mode-0", b"m", 0)
    os.chown(put(root / "somebody", r.randbytes(10)), 12345, 54321)
    os.chown(put(root / "last-id", b""), 2**32 - 2, 2**32 - 2)
    os.symlink("somebody", root / "link-of-somebody")
    os.chown(root / "link-of-somebody", 12345, 54321, follow_symlinks=False)
    return None


def attributes(root, r, _big):
    file, folder = put(root / "file", b"attributes"), root / "folder"
    folder.mkdir()
    for path in (file, folder):
        os.setxattr(path, "user.empty", b"")
        os.setxattr(path, b"user.\xff raw name", b"\0\xff\n")
        os.setxattr(path, "user.large", r.randbytes(2500))
    for entry in (["-m", "u:12345:r,g:54321:rw", file], ["-m", "u:12345:rwx", folder], ["-d", "-m", "u:12345:r,o::-", folder]):
        done = subprocess.run(["setfacl", *entry], capture_output=True, check=False)
        if done.returncode:
            return f"ACLs: {done.stderr.decode().strip()}"
    put(folder / "inherits", b"")
    if os.geteuid() != 0:
        return "trusted attributes need root"
    try:
        os.setxattr(file, "trusted.keepwell", b"t")
        os.setxattr(put(root / "capable", b"#!"), "security.capability", bytes.fromhex("0100000200040000000000000000000000000000"))
    except PermissionError as error:
        return f"trusted attributes: {error.strerror}"
    return None


def devices(root, _r, _big):
    root.mkdir()
    try:
        os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
        os.mknod(root / "block", stat.S_IFBLK | 0o600, os.makedev(259, 70000))
    except PermissionError as error:
        return error.strerror
    return None


def times(root, _r):
    """Last, because making entries changes folders' times."""
    stamps = {"before-1970": -7 * YEAR + 123456789, "just-before-1970": -1, "epoch": 0, "after-2038": 80 * YEAR + 987654321, "after-2106": 200 * YEAR + 1, "fraction": 10**18 + 999999999}
    for name, ns in stamps.items():
        os.utime(put(root / "times" / name, name.encode()), ns=(ns, ns))
    os.symlink("x", root / "times/link")
    os.utime(root / "times/link", ns=(-5, -YEAR - 5), follow_symlinks=False)
    os.utime(root / "contents/empty-folder", ns=(3, 3 * YEAR + 3))
    os.utime(root / "permissions/locked", ns=(3, -3 * YEAR + 3))
    os.utime(root / "times", ns=(7, 90 * YEAR + 7))


def change_nasty(root, seed=2):
    """Modify, append, truncate, delete, rename, replace by another kind, change metadata only."""
    root, r = Path(root), random.Random(seed)
    with open(root / "contents/random-8388609", "r+b") as file:
        file.seek(3_000_000)
        file.write(r.randbytes(50_000))
    with open(root / "contents/text", "ab") as file:
        file.write(b"and one more\n")
    os.truncate(root / "contents/twin", 1_000_001)
    with open(root / "holes/ends-in-a-hole", "r+b") as file:
        file.seek(5 << 20)
        file.write(b"no hole here any more")
    with open(root / "links/b/two", "ab") as file:
        file.write(b"all its names see this")
    (root / "links/a/four").unlink()
    os.rename(root / "contents/many", root / "contents/renamed")
    for number in range(0, 2000, 50):
        (root / f"contents/renamed/{number:05}").unlink()
        put(root / f"contents/renamed/new-{number:05}", r.randbytes(100))
    (root / "contents/one-byte").unlink()
    (root / "contents/one-byte").mkdir()
    (root / "contents/empty-folder").rmdir()
    os.symlink("one-byte", root / "contents/empty-folder")
    (root / "permissions/mode-755").chmod(0o700)
    os.setxattr(root / "attributes/file", "user.empty", b"not any more")
    os.utime(root / "times/epoch", ns=(0, YEAR))
    same_size_same_time(root / "contents/random-4096", r)


def same_size_same_time(path, r):
    """A change that only the change time shows."""
    before = path.stat().st_mtime_ns
    path.write_bytes(r.randbytes(path.stat().st_size))
    os.utime(path, ns=(before, before))


def plain(root, files, size, seed, prefix="file"):
    """`files` files of about `size` bytes that do not compress, in folders of a hundred."""
    r = random.Random(seed)
    for number in range(files):
        put(Path(root) / f"{number // 100:03}/{prefix}-{number:05}", r.randbytes(max(1, int(size * (0.5 + r.random())))))
    return Path(root)


def change_plain(root, seed, share=0.1):
    """Rewrites, appends to, adds, removes and renames a share of the files of a plain tree."""
    r = random.Random(seed)
    files = sorted(path for path in Path(root).rglob("*") if path.is_file())
    for number, path in enumerate(r.sample(files, max(5, int(len(files) * share)))):
        action = number % 5
        if action == 0:
            path.write_bytes(r.randbytes(path.stat().st_size + 1))
        elif action == 1:
            with open(path, "ab") as file:
                file.write(r.randbytes(777))
        elif action == 2:
            put(path.with_name(f"{path.name}-{seed}"), r.randbytes(5000))
        elif action == 3:
            path.unlink()
        else:
            path.rename(path.with_name(f"{path.name}-r"))
