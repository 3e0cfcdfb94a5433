#!/usr/bin/python3
"""The life of a pool's disks, on real file systems: prepared, watched, emptied when their health goes down, frozen, pulled, filled up, damaged,
replaced and erased. diskd has loop devices in place of disks, and a smartctl whose answers the scenario writes.

Needs root (loop devices, mounts).
"""

import os
import random
import shutil
import subprocess
from pathlib import Path

from lib import shards, trees
from lib.bays import Shelf
from lib.box import Keyd, until
from lib.checks import RUNNING, Checks, need_root
from lib.compare import differences
from lib.program import BINARY, parse, run

MIB = 1 << 20
LABEL = "keepwell-disk"
SIZE = 640 * MIB
need_root("disk-life")
checks = Checks("disk-life")


class Box(Shelf):
    """diskd and its bays, with a keyd."""

    def __init__(self, folder, bays):
        folder = Path(folder)
        folder.mkdir(parents=True)
        self.keyd = Keyd(folder / "keyd").start()
        passphrase = folder / "passphrase"
        passphrase.write_text("a passphrase for the scenario")
        self.unlocked = self.keyd("unlock", "--passphrase-file", passphrase)
        super().__init__(folder, self.keyd.socket, bays, SIZE)
        self.serials = {}
        until(lambda: len(self.loops()) == bays)
        for bay in self.bays:
            self.serials[bay] = self.loops()[Path(bay.device).name]["serial"]

    def __call__(self, verb, *arguments):
        """`keepwell disks VERB`."""
        return run("disks", verb, "--socket", self.diskd.socket, *arguments)

    def loops(self):
        """By device."""
        return {disk["device"]: disk for disk in self.known() if disk["bus"] == "loop" and disk["device"]}

    def disk(self, bay):
        return next((disk for disk in self.known() if disk["serial"] == self.serials[bay]), {})

    def verdict(self, bay):
        return self.disk(bay).get("health", {}).get("verdict")

    def place(self, bay):
        return self.disk(bay).get("standing", {}).get("mounted_at")


class Vault:
    """A vault whose disks are where diskd mounted them."""

    def __init__(self, folder, places, layout):
        self.dir = Path(folder) / "vault"
        self.kit = Path(folder) / "kit"
        self.unlock = f"kit:{self.kit}/kit-1.txt,{self.kit}/kit-2.txt"
        self.dir.mkdir(parents=True)
        for number, place in enumerate(places, 1):
            self.place(number, place)
        self.made = run("vault", "init", "--vault", self.dir, "--disks", len(places), "--layout", layout, "--kit-out", self.kit, "--test")

    def place(self, number, where):
        (self.dir / f"disk-{number}").symlink_to(where)

    def __call__(self, *words, keys=True):
        at = ["--vault", self.dir, *(["--unlock", self.unlock] if keys else [])]
        split = 2 if words[0] == "disk" else 1
        return run("vault", *words[:split], *at, *words[split:])

    def id_of(self, disk):
        return next(item["id"] for item in self("disk", "list", keys=False).report["disks"] if item["name"] == disk)


def main():
    box = Box(checks.scratch / "box", 5)
    source = trees.plain(checks.scratch / "source", 400, 100_000, seed=21)
    with checks.part("disks are prepared"):
        prepared(box)
    vault = Vault(checks.scratch / "clinic", [box.place(bay) for bay in box.bays[:3]], "2+1")
    with checks.part("a vault on them"):
        checks.check("a vault is made on mounted disks", vault.made.status == 0, vault.made)
        backup = vault("backup", "--name", "main", source)
        checks.check("a backup is complete", backup.status == 0, backup)
    with checks.part("rising 197 and 198"):
        drained(box, vault, source)
    with checks.part("a disk is pulled, and returns"):
        pulled(box, vault, source)
    with checks.part("a disk that does not answer"):
        frozen(box, vault, source)
    with checks.part("500 flipped bits"):
        flipped(vault, source)
    with checks.part("full"):
        full(box, vault, source)
    with checks.part("erased"):
        erased(box, vault)
    with checks.part("grown under backups"):
        grown()
    checks.finish()


def restores(vault, source):
    target = checks.scratch / "restored"
    done = vault("restore", "latest", "--to", target)
    same = done.status == 0 and not differences(source, target)
    shutil.rmtree(target, ignore_errors=True)
    return same


def prepared(box):
    checks.check("keyd stands in without a TPM, and says so", box.unlocked.status == 0 and box.keyd.status().get("keeper") == "stand-in", box.unlocked)
    checks.check("every disk is found once", len(box.loops()) == len(box.bays), box("list"))
    wrong = box("prepare", box.serials[box.bays[0]], "--serial", "NOT-IT")
    checks.check("a wrong serial number ends it", wrong.status == 1 and wrong.is_clear("serial"), wrong)
    foreign = box.bays[4]
    subprocess.run(["mkfs.ext4", "-q", foreign.device], check=True)
    refused = box("prepare", box.serials[foreign])
    checks.check("a disk with something on it is not prepared unless its serial number is typed", refused.status == 1 and refused.is_clear("ext4|foreign|on it"), refused)
    for bay in box.bays[:4]:
        done = box("prepare", box.serials[bay], "--serial", box.serials[bay])
        until(lambda bay=bay: box.place(bay), 60)
        if not box.place(bay):
            box("mount", box.serials[bay])
        checks.check("a disk is prepared and mounted", done.status == 0 and bool(box.place(bay)), done)


def drained(box, vault, source):
    bay = box.bays[1]
    checks.check("it was healthy", until(lambda: box.verdict(bay) == "healthy"), box.disk(bay))
    for pending in (8, 24, 200):
        box.says(bay, a197=pending, a198=pending)
        until(lambda: box.verdict(bay) in ("suspect", "failing"), 15)
    until(lambda: box.verdict(bay) in ("suspect", "failing"))
    checks.check("then it is suspect, in words for a person", box.verdict(bay) in ("suspect", "failing") and box.disk(bay)["health"]["reasons"], box.disk(bay))
    check = vault("tend", "--check", "--socket", box.diskd.socket, keys=False)
    checks.check("a check says what would be done", check.status == 3 and [item["name"] for item in check.report["tended"] if item["drain"]] == ["disk-2"], check)
    stuck = vault("tend", "--socket", box.diskd.socket, keys=False)
    checks.check("without a fourth disk it can't be emptied, which is said", stuck.status == 3, stuck)
    vault.place(4, box.place(box.bays[3]))
    done = vault("tend", "--socket", box.diskd.socket, keys=False)
    checks.check("with an empty disk in the fourth bay it is emptied onto that", done.status == 0, done)
    names = [item["name"] for item in vault("disk", "list", keys=False).report["disks"] if item["slot"] is not None]
    checks.check("and has left the vault", "disk-2" not in names and len(names) == 3, names)
    left = sum(1 for path in Path(box.place(bay)).rglob("*") if path.is_file())
    checks.check("verify finds the vault whole", vault("verify", keys=False).status == 0, left)
    checks.check("and it restores exactly", restores(vault, source))
    (vault.dir / "disk-2").unlink()
    box.says(bay)


def pulled(box, vault, source):
    bay = box.bays[0]
    place = box.place(bay)
    box("unmount", box.serials[bay])
    bay.pull()
    until(lambda: not box.place(bay))
    (source / "after-the-pull").write_bytes(os.urandom(300_000))
    backup = vault("backup", "--name", "main", source)
    checks.check("a backup goes on without it, and says so", backup.status in (0, 3) and "disk-1" in backup.errors, backup)
    checks.check("it restores", restores(vault, source))
    bay.plug()
    box.says(bay)
    back = until(lambda: box.place(bay) == place, 60)
    if not back:
        box("mount", box.serials[bay])
    checks.check("it is recognised when it returns, by its label", box.place(bay) == place, box.disk(bay))
    repair = vault("repair", keys=False)
    checks.check("repair is all that it needs", repair.status == 0 and vault("verify", keys=False).status == 0, repair)


def frozen(box, vault, source):
    place = box.place(box.bays[2])
    (source / "while-frozen").write_bytes(os.urandom(3 * MIB))
    output = checks.scratch / "frozen.json"
    subprocess.run(["fsfreeze", "--freeze", place], check=True)
    thaw = lambda: subprocess.run(["fsfreeze", "--unfreeze", place], check=False, capture_output=True)
    RUNNING.append(thaw)
    with open(output, "wb") as file:
        words = ["backup", "--vault", vault.dir, "--unlock", vault.unlock, "--name", "main", source, "--json"]
        backup = subprocess.Popen([BINARY, "vault", *words], stdout=file, stderr=subprocess.DEVNULL)
        # The process itself can only end when the kernel lets go of what hangs; its answer is there before.
        answered = until(lambda: output.read_bytes().endswith(b"}\n"), 300)
        thaw()
        status = backup.wait()
    report = parse(output.read_bytes())
    checks.check("a backup leaves it out, and is there before the disk answers again", answered and status in (0, 3) and report.get("snapshot"), report)
    repair = vault("repair", keys=False)
    checks.check("when it answers again, repair takes it back", repair.status == 0 and vault("verify", keys=False).status == 0, repair)
    checks.check("and all restores exactly", restores(vault, source))


def flipped(vault, source):
    """At most one shard of an object, as many as the layout can lose; the places are random."""
    r = random.Random(77)
    chosen = {}
    for path in sorted(vault.dir.glob("disk-*/packs/*")) + sorted(vault.dir.glob("disk-*/manifests/*")):
        chosen.setdefault(path.name.split(".")[0], []).append(path)
    targets = [r.choice(paths) for paths in chosen.values()]
    for number in range(500):
        shards.flip(targets[number % len(targets)], at=r.randrange(targets[number % len(targets)].stat().st_size))
    scrub = vault("scrub", "--budget", "100G")
    lost = scrub.report.get("files_lost", [])
    checks.check("a scrub finds and heals them, and no file is lost", scrub.status in (0, 3) and not lost, scrub)
    again = vault("scrub", "--budget", "100G")
    checks.check("the next one finds nothing", again.status == 0, again)
    checks.check("and all restores exactly", restores(vault, source))


def full(box, vault, source):
    last = None
    bulk = checks.scratch / "bulk"
    for number in range(40):
        trees.plain(bulk, 20, 4 * MIB, seed=1000 + number, prefix=f"bulk-{number}")
        last = vault("backup", "--name", "bulk", bulk)
        if last.status == 1:
            break
    checks.check("a backup into a full pool fails, and says which disk is full", last.status == 1 and last.is_clear("full|space|room"), last)
    shutil.rmtree(bulk)
    done = vault("restore", "main@latest", "--to", checks.scratch / "from-full")
    checks.check("a restore from a full pool is exact", done.status == 0 and not differences(source, checks.scratch / "from-full"), done)
    shutil.rmtree(checks.scratch / "from-full")


def erased(box, vault):
    bay = box.bays[1]
    member = box("erase", box.serials[box.bays[0]], "--serial", box.serials[box.bays[0]], "--vault", vault.dir)
    checks.check("a disk that the vault needs is not erased", member.status == 1 and member.is_clear("vault|pool|need"), member)
    place = Path(box.place(box.bays[0]))
    (place / LABEL).rename(place / "set-aside")
    lost = box("erase", box.serials[box.bays[0]], "--serial", box.serials[box.bays[0]], "--vault", vault.dir)
    checks.check("nor is one whose label was lost", lost.status == 1 and lost.is_clear("not empty"), lost)
    (place / "set-aside").rename(place / LABEL)
    box("unmount", box.serials[bay])
    file = checks.scratch / "certificate.json"
    done = box("erase", box.serials[bay], "--serial", box.serials[bay], "--vault", vault.dir, "--asked-by", "Dr. Example", "--certificate", file)
    text = file.read_text() if file.exists() else ""
    checks.check("one that has left is, with a certificate that names it", done.status == 0 and box.serials[bay] in text and "Dr. Example" in text, done)
    with open(bay.device, "rb") as disk:
        blank = all(not any(disk.read(MIB)) for _ in range(SIZE // MIB))
    checks.check("nothing is on it any more", blank)


def grown():
    """From two disks to four while backups go on, then to another layout, then one less; and two of six lost at 4+2."""
    home = checks.scratch / "grown"
    source = trees.plain(home / "source", 200, 60_000, seed=4)
    places = [home / f"d{number}" for number in range(1, 7)]
    for place in places:
        place.mkdir()
    vault = Vault(home, places[:2], "1+1")
    for step, words in enumerate([["add", "disk-3"], ["add", "disk-4"], ["add", "disk-5", "disk-6", "--layout", "4+2"]]):
        backup = vault("backup", "--name", "main", source)
        checks.check(f"backup {step + 1} is complete", backup.status == 0, backup)
        for name in words[1:]:
            if name.startswith("disk-"):
                vault.place(int(name[5:]), places[int(name[5:]) - 1])
        done = vault("disk", words[0], *words[1:], keys=False)
        checks.check(f"{' '.join(words)}", done.status == 0 and vault("verify", keys=False).status == 0, done)
        trees.change_plain(source, seed=step)
    checks.check("backup on six disks", vault("backup", "--name", "main", source).status == 0)
    for place in places[1], places[4]:
        shutil.rmtree(place)
        place.mkdir()
    (vault.dir / "disk-2").unlink()
    (vault.dir / "disk-5").unlink()
    checks.check("with two of six lost it restores exactly", restores(vault, source))
    vault.place(2, places[1])
    vault.place(5, places[4])
    repair = vault("repair", keys=False)
    checks.check("two empty disks in their places are filled again", repair.status == 0 and vault("verify", keys=False).status == 0, repair)


main()
