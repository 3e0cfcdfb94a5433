#!/usr/bin/python3
"""The disks of a running box, changed as people change them: diskd has loop devices in place of disks, and vaultd its pool on what diskd mounts. A disk fails by its own
words, one joins, one is pulled and returns, one dies and is replaced, while the box stays open; what was backed up restores exactly.

Needs root (loop devices, mounts).
"""

import shutil
import subprocess

from lib import trees
from lib.appliance import Appliance
from lib.bays import Shelf
from lib.box import until
from lib.checks import Checks, need_root
from lib.program import run
from lib.servers import Samba

need_root("box-disks")
checks = Checks("box-disks")
MIB = 1 << 20
SIZE = 640 * MIB


class Disks:
    """The box's disks by its own words."""

    def __init__(self, box, shelf):
        self.box, self.shelf = box, shelf
        self.serial = {}

    def told(self):
        return self.box.get("vaultd", "/v1/disks")

    def membership(self, bay):
        return next((disk["membership"] for disk in self.told().get("disks", []) if disk["pool_name"] == self.serial[bay]), None)

    def state(self, bay):
        status = self.box.get("vaultd", "/v1/status")
        return next((disk["state"] for disk in status.get("disks", []) if disk["name"] == self.serial[bay]), None)

    def incidents(self):
        return [(one["duty"]["subject"].get("id"), one["code"]) for one in self.box.get("vaultd", "/v1/status").get("incidents", []) if one["duty"]["kind"] == "disk"]

    def whole(self):
        vault = self.box.get("vaultd", "/v1/vault")
        return vault.get("degraded_objects") == 0 and self.told().get("to_mend") == 0

    def change(self, verb, *words):
        return self.box("disks", verb, *words)


def main():
    server = Samba(checks.scratch / "samba")
    trees.plain(server.share / "files", 300, 60_000, seed=11)
    server.give()
    box = Appliance(checks.scratch / "box")
    shelf = Shelf(checks.scratch / "shelf", checks.scratch / "box/run/keyd.sock", 5, SIZE, "--no-automount")
    disks = Disks(box, shelf)
    with checks.part("a box whose pool is on disks"):
        moved_in(box, shelf, disks)
        added = box("shares", "add", "EHR", *server.to_read(), "--tier", 1)
        first = box("runs", "start", "EHR", "--wait")
        checks.check("its first backup is complete", added.status == 0 and first.status == 0, f"{added}\n{first}")
    with checks.part("a disk that joins"):
        joins(disks)
    with checks.part("a disk that fails by its own words"):
        fails(disks)
    with checks.part("a disk that is pulled, and returns"):
        pulled(box, disks)
    with checks.part("a disk that dies, and is replaced"):
        replaced(box, disks)
    with checks.part("afterwards"):
        afterwards(box, server, disks)
    checks.finish()


def moved_in(box, shelf, disks):
    """The first three disks get what the folders of the box have; from then on it is on them."""
    known = {}

    def found():
        known.update({disk["device"]: disk["serial"] for disk in shelf.known() if disk["standing"]["kind"] == "blank"})
        return all(bay.device.rsplit("/", 1)[1] in known for bay in shelf.bays)

    until(found)
    for bay in shelf.bays:
        disks.serial[bay] = known[bay.device.rsplit("/", 1)[1]]
    for bay in shelf.bays[:3]:
        serial = disks.serial[bay]
        prepared = run("disks", "prepare", serial, "--serial", serial, "--socket", shelf.diskd.socket)
        mounted = run("disks", "mount", serial, "--socket", shelf.diskd.socket)
        checks.check("a disk is prepared and mounted", prepared.status == 0 and mounted.status == 0, f"{prepared}\n{mounted}")
    places = [shelf.mounted_at(disks.serial[bay]) for bay in shelf.bays[:3]]
    box.stop()
    for number, place in enumerate(places, 1):
        subprocess.run(["cp", "-a", f"{box.folder}/disks/disk-{number}/.", place], check=True)
    shutil.rmtree(box.folder / "disks")
    (box.folder / "disks").mkdir()
    box.options = (*box.options, "--diskd", shelf.diskd.socket)
    box.start()
    members = until(lambda: all(disks.membership(bay) == "member" for bay in shelf.bays[:3]))
    checks.check("the box opens its vault on them, by their serial numbers", members and until(lambda: disks.state(shelf.bays[0]) == "healthy"), disks.told())


def joins(disks):
    new = disks.shelf.bays[3]
    wrong = disks.change("add", disks.serial[new], "--serial", "NOT-IT")
    checks.check("a wrong serial number ends it", wrong.status == 1 and disks.membership(new) is None, wrong)
    added = disks.change("add", disks.serial[new], "--serial", disks.serial[new])
    checks.check("an empty disk becomes one of the pool", added.status == 0 and disks.membership(new) == "member", added)
    checks.check("and gets its part of the data by and by", until(disks.whole), disks.told())


def fails(disks):
    bay = disks.shelf.bays[1]
    checks.check("it was healthy", until(lambda: disks.state(bay) == "healthy"), disks.told())
    seen = lambda: any(code.startswith(("suspect:", "failing:")) and disk == disks.serial[bay] for disk, code in disks.incidents())
    told = False
    for pending in (8, 24, 200):
        disks.shelf.says(bay, a197=pending, a198=pending)
        told = told or until(seen, 15)
    told = told or until(seen)
    checks.check("it is an incident with its sign", told, disks.incidents())
    left = until(lambda: disks.membership(bay) is None, 30)
    if not left:
        # Damage that stands still is for a person to decide about.
        removed = disks.change("remove", disks.serial[bay])
        left = until(lambda: disks.membership(bay) is None)
        checks.check("a person has it emptied, or it is under way", left, f"{removed}\n{disks.told()}")
    checks.check("it is emptied on to the others, and leaves", left and until(disks.whole), disks.told())
    checks.check("nothing is said of it any more", until(lambda: disks.serial[bay] not in [disk for disk, _ in disks.incidents()]), disks.incidents())


def pulled(box, disks):
    bay = disks.shelf.bays[0]
    disks.shelf.pull(bay, disks.serial[bay])
    missing = until(lambda: disks.membership(bay) == "missing")
    checks.check("it is missing, which is an incident", missing and until(lambda: (disks.serial[bay], "missing") in disks.incidents()), disks.told())
    backup = box("runs", "start", "EHR", "--wait")
    checks.check("a backup goes on without it", backup.status == 0, backup)
    disks.shelf.plug(bay)
    back = until(lambda: disks.membership(bay) == "member" and disks.state(bay) == "healthy")
    checks.check("it is used again without a restart", back, disks.told())
    checks.check("and what it missed is written to it", until(disks.whole), disks.told())


def replaced(box, disks):
    dead, new = disks.shelf.bays[2], disks.shelf.bays[4]
    disks.shelf.pull(dead, disks.serial[dead])
    checks.check("it is missing", until(lambda: disks.membership(dead) == "missing"), disks.told())
    gone = disks.change("remove", disks.serial[dead])
    checks.check("it can't be removed where the others are too few, in words", gone.status == 1 and gone.is_clear("disk"), gone)
    done = disks.change("add", disks.serial[new], "--serial", disks.serial[new], "--replaces", disks.serial[dead])
    checks.check("another one gets its place", done.status == 0 and until(lambda: disks.membership(dead) is None), f"{done}\n{disks.told()}")
    checks.check("and all is rebuilt", until(disks.whole), disks.told())
    log = box("log")
    checks.check("the log names it", disks.serial[new] in str(log.report), log)


def afterwards(box, server, disks):
    target = server.share.parent / "back"
    server.shares["back"] = ""
    server.add("back")
    box.sign_in()
    back = box("restore", "latest", "--to", server.url_of("back"), "--password-file", server.password, "--wait")
    same = {str(file.relative_to(server.share)): file.read_bytes() for file in server.share.rglob("*") if file.is_file()} == {
        str(file.relative_to(target)): file.read_bytes() for file in target.rglob("*") if file.is_file()}
    checks.check("all restores exactly", back.status == 0 and same, back)
    listed = box("disks", "list")
    checks.check("the list of the disks says that all is well", listed.status == 0, listed)
    box.stop()
    box.start()
    checks.check("a box that starts again finds the same disks", until(lambda: disks.told().get("disks") and disks.whole() and not disks.incidents()), disks.told())


main()
