#!/usr/bin/python3
"""An NFS export comes back as it was: version 3 both ways, with names of any bytes; version 4.1 as a source. Compared behind the servers.

Ganesha's server for plain folders offers no access lists (NFSACL), so there are none here.

Needs root (Ganesha).
"""

import json
import os
import random
import socket
import stat
import subprocess

from lib import trees
from lib.checks import Checks, full_size, need_root
from lib.compare import differences, walk
from lib.program import Vault, source
from lib.servers import Ganesha

PLAIN = 20_000 if full_size() else 1500
MIB = 1 << 20
need_root("nfs-exact")
checks = Checks("nfs-exact")


def main():
    # On one server the folder behind a second export would need more of its configuration than the script has.
    server, empty = Ganesha(checks.scratch / "from"), Ganesha(checks.scratch / "to")
    vault = Vault(checks.scratch / "vault", "1+0")
    with checks.part("version 3 and back"):
        exact(server, empty, vault)
    with checks.part("changes"):
        changed(server, vault)
    with checks.part("conflicts"):
        conflicts(server, empty, vault)
    with checks.part("version 4.1 as a source"):
        newer_version(server, vault)
    with checks.part("who may not"):
        refused(server, vault)
    checks.finish()


def seed(root):
    r = random.Random(11)
    trees.plain(root / "plain", PLAIN, 3000, seed=3)
    (root / "large.bin").write_bytes(r.randbytes(MIB) * (1024 if full_size() else 200) + b"end")
    for make in (trees.links, trees.names, trees.contents, trees.permissions):
        make(root / make.__name__, r, 0)
    trees.deep(root / "deep", r, 0, length=3000)
    shapes(root / "holes", r)
    specials(root / "specials")
    trees.times(root, r)
    # The protocol's seconds have no sign and 32 bits (RFC 1813, nfstime3).
    for path in [*(root / "times").iterdir(), root / "times", root / "permissions/locked"]:
        ns = os.lstat(path).st_mtime_ns
        if not 0 <= ns < 2**32 * 10**9:
            os.utime(path, ns=(5, 10**9 * 2**31 + 5), follow_symlinks=False)


def shapes(root, r):
    trees.sparse(root / "big", 64 * MIB, [(0, b"start"), (20 * MIB, r.randbytes(70_000)), (64 * MIB - 4096, r.randbytes(4096))])
    trees.sparse(root / "ends-in-a-hole", 10 * MIB, [(MIB, r.randbytes(5000))])
    trees.sparse(root / "all-hole", 3 * MIB, [])


HOLES = ("big", "ends-in-a-hole", "all-hole")


def specials(root):
    root.mkdir()
    os.mkfifo(root / "fifo", 0o640)
    os.mkfifo(root / "fifo-to-twin")
    os.link(root / "fifo-to-twin", root / "fifo-twin")
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "block", stat.S_IFBLK | 0o600, os.makedev(259, 700))
    here = os.getcwd()
    os.chdir(root)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    os.chdir(here)


# How rsync says that a symbolic link has another time, and nothing else.
LINK_TIMES = ".L..t...... ", "hL..t...... "


def compared(what, expected, found, but=()):
    """Holes apart: the protocol does not show them, and long runs of zeros of a sparse file become such."""
    wrong = [line for line in differences(expected, found) if not line.startswith(("holes differ", *but))]
    wrong += [f"{name}: takes {(found / 'holes' / name).stat().st_blocks // 2} KiB" for name in HOLES if (found / "holes" / name).exists() and (found / "holes" / name).stat().st_blocks > 1024]
    checks.check(what, not wrong, f"{len(wrong)} differences\n" + "\n".join(wrong))


def exact(server, empty, vault):
    seed(server.share)
    entries = sum(1 for _ in walk(server.share, lambda *_: None))
    checks.check("thousands of entries are behind the export", entries > PLAIN, entries)
    found = source("check", server.url)
    checks.check("source check: exit 0, and says that nothing is encrypted", found.status == 0 and "encrypt" in str(found.report).lower() and "AES" not in str(found.report), found)
    first = vault.backup(server.url)
    checks.check("backup is complete: exit 0", first.status == 0 and first.report.get("outcome") == "complete", first)
    again = vault.backup(server.url)
    numbers = again.report.get("statistics", {})
    checks.check("a second one reads nothing", again.status == 0 and numbers.get("read_bytes") == 0 and numbers.get("files", 0) > PLAIN, again)
    local = vault.restore("latest", checks.scratch / "local")
    checks.check("restore into a folder: exit 0", local.status == 0, local)
    compared("and all is as it is behind the export", server.share, checks.scratch / "local")
    receipt = checks.scratch / "receipt.json"
    back = vault.restore("latest", empty.url, "--receipt", receipt)
    told = {item.get("text") for item in back.report.get("differences", [])}
    links = sum(1 for _, kind in walk(server.share, lambda _fd, _name, status: stat.S_IFMT(status.st_mode)) if kind == stat.S_IFLNK)
    only_links = back.report.get("differing", 1 << 60) <= links and told == {"times"}
    checks.check("restore into an empty export: exit 3, as Ganesha sets no times of symbolic links, and nothing else is missing", back.status == 3 and only_links and not back.report.get("missing"), back)
    checks.check("what was written was read back", back.report.get("compared", 0) >= numbers.get("files", 1 << 60), back)
    compared("and all is as it is behind the first: bytes of names, modes, owners, links, holes, times", server.share, empty.share, but=LINK_TIMES)
    text = receipt.read_text() if receipt.exists() else ""
    checks.check("the receipt names the snapshot and the files", again.report.get("snapshot", "?") in text and text.count("file-0") > PLAIN // 2 and json.loads(text), text[:500])


def changed(server, vault):
    root = server.share
    trees.change_plain(root / "plain", seed=5)
    trees.same_size_same_time(root / "contents/random-4096", random.Random(6))
    (root / "permissions/mode-755").chmod(0o700)
    os.rename(root / "names/folder", root / "names/folder\udcfe")
    (root / "contents/one-byte").unlink()
    (root / "contents/one-byte").mkdir()
    run = vault.backup(server.url)
    few = run.report.get("statistics", {}).get("read_bytes", 1 << 60) < 2 * MIB
    checks.check("after changes only these are read: exit 0", run.status == 0 and few, run)
    out = checks.scratch / "changed"
    back = vault.restore("latest", out)
    checks.check("restore: exit 0", back.status == 0, back)
    compared("and all is as it is now", root, out)


def conflicts(server, empty, vault):
    """Over what was restored before; only the folder `contents` of the newest snapshot."""
    there = empty.share / "contents"
    url = f"{empty.url.split('?')[0]}/contents?{empty.url.split('?')[1]}"
    trees.put(there / "twin", b"changed later")
    kept = trees.put(there / "came later", b"stays")
    (there / "random-65536").unlink()
    before = snapshot_of(there)
    run = vault.restore("latest", url, "--conflict", "replace", "--dry-run", path="contents")
    checks.check("dry run: exit 0 or 3, changes nothing", run.status in (0, 3) and run.report.get("replaced", 0) > 0 and snapshot_of(there) == before, run)
    run = vault.restore("latest", url, "--conflict", "skip", path="contents")
    after = snapshot_of(there)
    unchanged = all(after.get(path) == seen for path, seen in before.items())
    checks.check("skip: brings what was gone, leaves all else", unchanged and b"/random-65536" in after and run.report.get("skipped", 0) > 2000, run)
    run = vault.restore("latest", url, "--conflict", "replace", path="contents")
    wrong = [line for line in differences(server.share / "contents", there, exclude=["/one-byte"]) if "came later" not in line and not line.endswith(" ./")]
    checks.check("replace: all files are as in the backup, and what came later stays", not wrong and kept.read_bytes() == b"stays", "\n".join(wrong) + str(run))


def snapshot_of(root):
    return dict(walk(root, lambda _fd, _name, status: (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino if stat.S_ISREG(status.st_mode) else 0) if not stat.S_ISDIR(status.st_mode) else 0))


def newer_version(server, vault):
    """What documentation says of 4.1: no POSIX ACLs, no names but UTF-8 (gaps), no holes. So a tree without them."""
    for name in ("names", "holes", "specials"):
        subprocess.run(["rm", "-rf", server.share / name], check=True)
    (server.share / "links/raw-target").unlink()
    url = again(server)
    run = vault.backup(url, name="newer")
    checks.check("backup is complete: exit 0", run.status == 0, run)
    back = vault.restore("newer@latest", checks.scratch / "newer")
    checks.check("restore: exit 0", back.status == 0, back)
    compared("and all is as it is behind the export", server.share, checks.scratch / "newer")
    trees.put(server.share / os.fsdecode(b"names/no text \xff"), b"gap")
    trees.put(server.share / "names/text", b"there")
    run = vault.backup(again(server), name="newer")
    checks.check("a name that is no text is a gap: exit 3, and the others are there", run.status == 3 and run.report.get("statistics", {}).get("gaps") == 1, run)


def again(server):
    """The server anew: it remembers what it listed, whatever is done behind its back."""
    return server.restart().url_of("4.1")


def refused(server, vault):
    run = vault.backup(server.url.replace("/share?", "/nowhere?"), timeout=300)
    checks.check("an export that is not there: exit 1, clear words", run.status == 1 and run.is_clear("export|nowhere"), run)
    server.stop()
    run = vault.backup(server.url, timeout=300)
    checks.check("a server that is not there: exit 1, clear words", run.status == 1 and run.is_clear("refused|reach|answer|connect"), run)


if __name__ == "__main__":
    main()
