"""Disks that are files, which the kernel shows as loop devices, and a diskd that has them: what its smartctl says of each is the scenario's to write. Owns no checks."""

import json
import shutil
import subprocess
from pathlib import Path

from .box import DISKD, Program
from .checks import RUNNING
from .program import ROOT, run

HEALTHY = json.loads((ROOT / "crates/diskd/tests/smart/sata-hdd-healthy.json").read_text())


class Bay:
    """A file that the kernel shows as a disk."""

    def __init__(self, folder, name, size):
        self.file = Path(folder) / name
        with open(self.file, "wb") as file:
            file.truncate(size)
        self.device = None
        RUNNING.append(self.pull)

    def plug(self):
        done = subprocess.run(["losetup", "--find", "--show", "--partscan", self.file], check=True, capture_output=True, text=True)
        self.device = done.stdout.strip()
        return self

    def pull(self):
        if self.device:
            subprocess.run(["losetup", "--detach", self.device], check=False, capture_output=True)
            self.device = None


class Shelf:
    """diskd with bays, which asks keyd at `keyd` for the box's identity."""

    def __init__(self, folder, keyd, bays, size, *options):
        self.folder = Path(folder)
        self.files, self.answers, self.mounts = (self.folder / part for part in ("files", "smart", "mounts"))
        for made in (self.files, self.answers):
            made.mkdir(parents=True)
        smartctl = self.folder / "smartctl"
        smartctl.write_text(f'#!/bin/sh\nfor last; do :; done\ncat "{self.answers}/$(basename "$last").json"\n')
        smartctl.chmod(0o755)
        self.bays = [Bay(self.files, f"bay-{number}", size) for number in range(1, bays + 1)]
        for bay in self.bays:
            self.plug(bay)
        RUNNING.append(self.unmount_all)
        self.diskd = Program(
            self.folder / "diskd", DISKD, "--state", self.folder / "state", "--mounts", self.mounts, "--keyd", keyd, "--smartctl", smartctl,
            "--poll-every", 1, "--no-self-tests", "--allow-loop", self.files, *options).start()

    def moved_to(self, keyd):
        """The same disks in another box, whose diskd knows nothing of them, and asks keyd at `keyd`."""
        self.diskd.stop()
        self.unmount_all()
        shutil.rmtree(self.folder / "state")
        words = list(self.diskd.arguments)
        words[words.index("--keyd") + 1] = keyd
        self.diskd.arguments = words
        self.diskd.start()

    def plug(self, bay, **attributes):
        bay.plug()
        self.says(bay, **attributes)

    def pull(self, bay, serial):
        """Gone without a word: a loop device goes with its last user, so its mount goes first."""
        place = self.mounted_at(serial)
        bay.pull()
        # Where diskd was quicker, it is gone already.
        subprocess.run(["umount", "--lazy", str(place)], check=False, capture_output=True)
        # diskd looks at once, as it does when a real disk goes; whatever it is asked.
        run("disks", "unmount", serial, "--socket", self.diskd.socket)

    def known(self):
        return run("disks", "list", "--socket", self.diskd.socket).report.get("disks", [])

    def mounted_at(self, serial):
        return next((disk["standing"].get("mounted_at") for disk in self.known() if disk["serial"] == serial), None)

    def says(self, bay, **attributes):
        """What smartctl says of a disk from now on: raw values by attribute number, as `a197=8`."""
        report = json.loads(json.dumps(HEALTHY))
        for row in report["ata_smart_attributes"]["table"]:
            value = attributes.get(f"a{row['id']}")
            if value is not None:
                row["raw"] = {"value": value, "string": str(value)}
        (self.answers / f"{Path(bay.device).name}.json").write_text(json.dumps(report))

    def unmount_all(self):
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            if str(self.mounts) in line:
                subprocess.run(["umount", "--lazy", line.split()[4]], check=False)
