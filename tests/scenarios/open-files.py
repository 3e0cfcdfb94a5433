#!/usr/bin/python3
"""Files that others have open: growing, locked whole, locked in part. They are labelled, all else is there; a server's snapshot has them all.

Needs root (Samba) and the Python packages that tests/setup installs.
"""

import os
import random
import subprocess
import threading
import time
from contextlib import contextmanager

from lib import trees
from lib.checks import Checks, need_root, remove
from lib.compare import content_hash, walk
from lib.line import Line
from lib.program import Vault, source
from lib.servers import Samba
from lib.smb_client import ALL, LockFlags, Share, SMB2LockElement

MIB = 1 << 20
OLD, NEW = "@GMT-2026.11.20-00.00.00", "@GMT-2026.11.21-12.30.00"
need_root("open-files")
checks = Checks("open-files")


def main():
    samba = Samba(checks.scratch / "samba")
    keys = ("--password-file", samba.password)
    vault = Vault(checks.scratch / "vault", "1+0")
    trees.plain(samba.share / "rest", 300, 2000, seed=1)
    trees.put(samba.share / "journal.log", random.Random(2).randbytes(24 * MIB))
    trees.put(samba.share / "sub/database.mdb", b"as it was at first" * 1000)
    samba.give()
    for title, part in (("a file that grows", growing), ("a file that nobody else may open", locked), ("a file that is locked in part", locked_in_part),
                        ("with the server's snapshots", snapshots)):
        with checks.part(title):
            part(samba, vault, keys)
    checks.finish()


def contents(root):
    """Path -> content of all files below, but for what the server hides."""
    found = walk(root, lambda folder, name, status: content_hash(folder, name) if status.st_mode & 0o170000 == 0o100000 else None)
    return {path: seen for path, seen in found if seen and not path.startswith(b"/.snapshots/")}


def restored(vault, snapshot):
    """(run, contents) of a restore into a fresh folder."""
    out = checks.scratch / "out"
    run = vault.restore(snapshot, out)
    found = contents(out) if out.exists() else {}
    remove(out)
    return run, found


def gap(run, path):
    """What a run says of one entry."""
    return next((item for item in run.report.get("gaps", []) if item.get("path", "").lstrip("/") == path), {})


@contextmanager
def appending(path):
    """Somebody writes to the end of a file, as fast as loggers do."""
    done = threading.Event()

    def append():
        with open(path, "ab", buffering=0) as file:
            while not done.is_set():
                file.write(b"one more line\n")
                time.sleep(0.002)

    thread = threading.Thread(target=append)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def growing(samba, vault, keys):
    path = samba.share / "journal.log"
    before = path.stat().st_size
    # So slow that it is written to while it is read, however busy this machine is.
    line = Line(samba.port)
    line.slow(16 * MIB)
    with appending(path):
        run = vault.backup(line.url(samba.url), *keys)
    line.close()
    checks.check("partial: exit 3, and one file is called inconsistent", run.status == 3 and run.report.get("statistics", {}).get("inconsistent") == 1, run)
    said = run.report.get("inconsistent", [])
    checks.check("it is named, and why", [item.get("path") for item in said] == ["journal.log"] and "changed while" in str(said), said)
    out = checks.scratch / "growing"
    back = vault.restore("latest", out)
    content, now = (out / "journal.log").read_bytes(), path.read_bytes()
    checks.check("what was read of it is there", before <= len(content) <= len(now) and now.startswith(content[:before]), f"{before} {len(content)} {len(now)}\n{back}")
    (out / "journal.log").unlink()
    rest = {path: seen for path, seen in contents(samba.share).items() if path != b"/journal.log"}
    checks.check("and all else as it is", contents(out) == rest, back)
    run = vault.backup(samba.url, *keys)
    back, found = restored(vault, "latest")
    checks.check("once it rests the next run is complete", run.status == 0 and back.is_plain and found == contents(samba.share), f"{run}\n{back}")


@contextmanager
def held_open(samba, path, sharing):
    with Share(samba.url, samba.password) as client, client.opened(path, ALL, sharing=sharing) as handle:
        yield handle


def locked(samba, vault, keys):
    name = "sub/database.mdb"
    trees.put(samba.share / name, b"changed since" * 1000)
    trees.put(samba.share / "sub/never seen", b"new and locked at once")
    samba.give()
    with held_open(samba, "sub\\database.mdb", 0), held_open(samba, "sub\\never seen", 0):
        checked = source("check", samba.url, *keys)
        run = vault.backup(samba.url, *keys)
    checks.check("source check names them, exit 3", checked.status == 3 and "database.mdb" in str(checked.report), checked)
    reasons = [gap(run, path).get("reason") for path in (name, "sub/never seen")]
    checks.check("partial: exit 3, both are labelled as locked", run.status == 3 and reasons == ["locked", "locked"], run)
    back, found = restored(vault, "latest")
    rest = {path: seen for path, seen in contents(samba.share).items() if not path.startswith(b"/sub/")}
    checks.check("all else is there, and the restore says what is not: exit 3", back.status == 3 and {path: seen for path, seen in found.items() if not path.startswith(b"/sub/")} == rest, back)
    with held_open(samba, "sub\\database.mdb", 7):
        run = vault.backup(samba.url, *keys)
    back, found = restored(vault, "latest")
    checks.check("open in another program that shares it: complete", run.status == 0 and back.is_plain and found == contents(samba.share), f"{run}\n{back}")


def locked_in_part(samba, vault, keys):
    trees.put(samba.share / "sub/database.mdb", random.Random(5).randbytes(3 * MIB))
    samba.give()
    with held_open(samba, "sub\\database.mdb", 7) as handle:
        element = SMB2LockElement()
        element["offset"], element["length"] = 2 * MIB, 4096
        element["flags"] = LockFlags.SMB2_LOCKFLAG_EXCLUSIVE_LOCK | LockFlags.SMB2_LOCKFLAG_FAIL_IMMEDIATELY
        handle.lock([element])
        run = vault.backup(samba.url, *keys)
    checks.check("partial: exit 3, labelled as locked", run.status == 3 and gap(run, "sub/database.mdb").get("reason") == "locked", run)
    run = vault.backup(samba.url, *keys)
    checks.check("and complete once the lock is gone", run.status == 0, run)


def snapshots(samba, vault, keys):
    old, new = (samba.share / ".snapshots" / name for name in (OLD, NEW))
    (samba.share / ".snapshots").mkdir()
    take(samba, old)
    trees.put(samba.share / "sub/database.mdb", b"as of the newer snapshot" * 1000)
    trees.put(samba.share / "rest/between", b"made between the two")
    samba.give(samba.share / "sub", samba.share / "rest")
    take(samba, new)
    trees.put(samba.share / "sub/database.mdb", b"as it is now" * 1000)
    trees.put(samba.share / "rest/after", b"made after the newer one")
    samba.give(samba.share / "sub", samba.share / "rest")
    listed = source("snapshots", samba.url, *keys)
    checks.check("source snapshots names both", listed.status == 0 and all(time in str(listed.report) for time in ("2026-11-20T00:00:00", "2026-11-21T12:30:00")), listed)
    with held_open(samba, "sub\\database.mdb", 0):
        live(samba, vault, keys, new)
        run = vault.backup(samba.url, "--as-of", "latest", *keys, name="as-of")
        checks.check("--as-of latest: complete, exit 0, locked or not", run.status == 0, run)
    back, found = restored(vault, "as-of@latest")
    checks.check("--as-of latest: it is the snapshot's state", back.is_plain and found == contents(new), f"{differing(found, contents(new))}\n{back}")
    run = vault.backup(samba.url, "--as-of", "2026-11-20T00:00:00Z", *keys, name="as-of-time")
    back, found = restored(vault, "as-of-time@latest")
    checks.check("--as-of a time: exit 0, and that snapshot's state", run.status == 0 and back.is_plain and found == contents(old), f"{differing(found, contents(old))}\n{run}\n{back}")
    run = vault.backup(samba.url, "--as-of", "2026-11-19T00:00:00Z", *keys, name="as-of-time")
    checks.check("--as-of a time without snapshot: exit 1, clear words", run.status == 1 and run.is_clear("snapshot"), run)


def live(samba, vault, keys, new):
    run = vault.backup(samba.url, *keys, name="live")
    said = gap(run, "sub/database.mdb")
    checks.check("the locked file is labelled: exit 3, with the snapshot's time", run.status == 3 and said.get("reason") == "locked" and "2026-11-21" in said.get("text", ""), run)
    back, found = restored(vault, "live@latest")
    expected = contents(samba.share) | {b"/sub/database.mdb": contents(new)[b"/sub/database.mdb"]}
    checks.check("and is in the backup as of the newest snapshot, all else as it is now", found == expected, f"{differing(found, expected)}\n{back}")


def differing(one, other):
    return [path for path in sorted(one.keys() | other.keys()) if one.get(path) != other.get(path)][:9]


def take(samba, where):
    """A server's snapshot: a copy with all its attributes, that the server shows as a previous version."""
    where.mkdir()
    for name in os.listdir(samba.share):
        if name != ".snapshots":
            subprocess.run(["cp", "-a", samba.share / name, where], check=True)
    subprocess.run(["chown", "--reference", samba.share, samba.share / ".snapshots", where], check=True)


if __name__ == "__main__":
    main()
