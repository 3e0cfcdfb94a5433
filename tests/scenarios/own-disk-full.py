#!/usr/bin/python3
"""The box's own disk, on which all its programs keep their state, is full. What was kept back for that is given away: the box says so, starts again, restores. Filled to the last byte
after that, it refuses in words what it can't record, ends nothing and loses nothing; with room again, all goes on by itself. Then the same once more with room for bytes, and for no more files.

Needs root (mounts).
"""

import errno
import itertools
import os
import shutil
import subprocess

from lib import trees
from lib.appliance import Appliance
from lib.bays import Shelf
from lib.box import until
from lib.checks import RUNNING, Checks, need_root
from lib.servers import Samba

need_root("own-disk-full")
checks = Checks("own-disk-full")
OWN = 96 << 20
SIZE = 640 << 20
# Some times what a box has, and far more than what it keeps back (crates/vaultd/src/reserve.rs).
FILES = 4096


def main():
    here = checks.scratch
    server = Samba(here / "samba")
    trees.plain(server.share / "files", 60, 20_000, seed=3)
    server.give()
    server.add("back")
    server.add("again")
    own = here / "own"
    own.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={OWN},nr_inodes={FILES}", "tmpfs", own], check=True)
    RUNNING.append(lambda: subprocess.run(["umount", "--lazy", own], check=False))
    shelf = Shelf(here / "shelf", own / "box/run/keyd.sock", 3, SIZE)
    box = Appliance(own / "box", "--without-pool", "--diskd", shelf.diskd.socket)
    with checks.part("a practice"):
        practice(box, shelf, server)
    kept = snapshots(box)
    with checks.part("full"):
        fill(own)
        full(box, server, "back")
    with checks.part("full to the last byte"):
        fill(own)
        fuller(box)
    with checks.part("room again"):
        room(box, kept, own / "filler")
    kept = snapshots(box)
    with checks.part("no more files"):
        fill_files(own)
        full(box, server, "again")
    with checks.part("not one more"):
        fill_files(own)
        fuller(box)
    with checks.part("room for files again"):
        room(box, kept, own / "files")
    checks.finish()


def practice(box, shelf, server):
    blank = lambda: [disk["serial"] for disk in shelf.known() if disk["standing"]["kind"] == "blank"]
    until(lambda: len(blank()) == 3 and box.get("vaultd", "/v1/pool").get("phase") == "none")
    order = {"disks": [{"serial": serial, "typed_serial": serial} for serial in blank()], "owner": "Dr. Example"}
    made = box.granted("disks-change", "/v1/pool", order)
    added = box("shares", "add", "EHR", *server.to_read(), "--tier", 1)
    run = box("runs", "start", "EHR", "--wait")
    checks.check("a share is backed up", made.status == 200 and added.status == 0 and run.status == 0, f"{made}\n{added}\n{run}")


def snapshots(box):
    return {one["id"] for one in box("snapshots").report.get("snapshots", [])}


def fill(own):
    """Whatever is free is taken."""
    with open(own / "filler", "ab", buffering=0) as file:
        for piece in (1 << 20, 4096):
            try:
                while file.write(bytes(piece)):
                    pass
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


def fill_files(own):
    """Whatever files can be made are made, and take no bytes."""
    (own / "files").mkdir(exist_ok=True)
    for number in itertools.count(len(os.listdir(own / "files"))):
        try:
            (own / f"files/{number}").touch()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            break
    stat = os.statvfs(own)
    checks.check("there is room, and no file can be made", stat.f_ffree == 0 and stat.f_bavail * stat.f_frsize > 16 << 20, stat)


def says_full(box):
    return any(one["code"] == "full" and one["duty"]["kind"] == "state" for one in box.get("vaultd", "/v1/status").get("incidents", []))


def full(box, server, to):
    checks.check("it is told as what it is", until(lambda: says_full(box), 180), box.get("vaultd", "/v1/status").get("incidents"))
    for name in ("vaultd", "authd", "keyd"):
        box.kill(name)
    checks.check("its programs start again", box.settled(), box.get("vaultd", "/v1/vault"))
    checks.check("and go on saying it", until(lambda: says_full(box), 180), box.get("vaultd", "/v1/status").get("incidents"))
    box.sign_in()
    back = box("restore", "EHR@latest", "--to", server.url_of(to), "--password-file", server.password, "--wait")
    tree = lambda folder: {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    checks.check("a share is restored meanwhile, byte for byte", back.status == 0 and tree(server.share) == tree(server.folder / to), back)


def fuller(box):
    run = box("runs", "start", "EHR")
    checks.check("what can't be recorded is refused in words", run.status == 0 or run.is_clear("full") or "full" in str(run), run)
    checks.check("all that is known is still told", box.get("vaultd", "/v1/vault").get("unready", 1) is None and box.get("authd", "/v1/status").get("claimed"), box.get("vaultd", "/v1/vault"))
    box.kill("vaultd")
    # It may not come up as long as there is no room at all; it is tried again and again.


def room(box, kept, filler):
    shutil.rmtree(filler) if filler.is_dir() else filler.unlink()
    checks.check("the box is there again by itself", box.settled(300), box.get("vaultd", "/v1/vault"))
    checks.check("nothing is full any more", until(lambda: box.get("vaultd", "/v1/status").get("incidents") is not None and not says_full(box), 240), box.get("vaultd", "/v1/status").get("incidents"))
    box.sign_in()
    checks.check("no copy is lost", kept <= snapshots(box), (kept, snapshots(box)))
    run = box("runs", "start", "EHR", "--wait")
    checks.check("backups go on", run.status == 0, run)
    log = box("log", "verify")
    checks.check("the log is whole", log.status == 0, log)


main()
