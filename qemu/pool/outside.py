"""The disks of a pool without their box: mounted here, opened with two sheets of the kit, by the command line. Owns no checks."""

import contextlib
import subprocess
from pathlib import Path

from lib.checks import remove
from lib.program import run
from vm.disk import partitions

from .site import contents

# What a report of `vault verify` calls gone, in place of wanting redundancy.
LOST = ("lost", "packs_unreadable", "snapshots_lost", "files_lost", "foreign", "tombstones_damaged")


class Pool:
    """Disks that are files, mounted, as a folder that the command line takes for a vault. `with Pool(...) as pool`."""

    def __init__(self, folder, files, sheets):
        self.folder, self.files = Path(folder), files
        self.vault = self.folder / "vault"
        self.vault.mkdir(parents=True)
        papers = []
        for number, text in enumerate(sheets, 1):
            papers.append(self.folder / f"sheet-{number}.txt")
            papers[-1].write_text(text)
        self.unlock = f"kit:{papers[0]},{papers[1]}"
        self.mounted = []

    def __enter__(self):
        try:
            for number, file in enumerate(self.files, 1):
                self._mount(file, self.folder / f"mount-{number}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        while self.mounted:
            subprocess.run(["umount", self.mounted.pop()], check=True)

    def _mount(self, file, at):
        """One that no box has made its own, or not to the end, is left out, as by a box."""
        found = []
        with contextlib.suppress(ValueError):
            found = partitions(file)
        if not found:
            return
        at.mkdir()
        where = f"loop,nouuid,nosuid,nodev,noexec,offset={found[0].begin},sizelimit={found[0].size}"
        done = subprocess.run(["mount", "-t", "xfs", "-o", where, file, at], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{file.name} can't be mounted: {done.stderr}")
        self.mounted.append(at)
        (self.vault / f"disk-{len(self.mounted)}").symlink_to(at)

    def __call__(self, verb, *words):
        """`keepwell vault VERB`."""
        return run("vault", verb, "--vault", self.vault, "--unlock", self.unlock, *words)

    def listed(self):
        done = self("list")
        return {one["id"] for one in done.report.get("snapshots", [])}, done

    def restored(self, snapshot):
        """What comes back, and what was said of it."""
        target = self.folder / "restored"
        done = self("restore", snapshot, "--to", target)
        found = contents(target) if target.exists() else {}
        remove(target)
        return found, done

    def wrong(self, acknowledged, mending=False):
        """Each sentence of what is not as it was acknowledged, none if all is. `mending`: redundancy may lack, and nothing else."""
        listed, done = self.listed()
        faults = [f"{snapshot[:8]} is not listed: {done}" for snapshot in acknowledged if snapshot not in listed]
        for snapshot, held in acknowledged.items():
            if snapshot in listed:
                found, done = self.restored(snapshot)
                if done.status not in (0, 3) or found != held:
                    faults.append(f"{snapshot[:8]} does not come back as it was: {done}\n{differing(held, found)}")
        verified = self("verify", "--data")
        if verified.status and not (mending and verified.status == 3 and not any(verified.report.get(name, "?") for name in LOST)):
            faults.append(f"verify: {verified}")
        return faults


def differing(wanted, found):
    """The first paths that differ."""
    return [path for path in sorted(wanted.keys() | found.keys()) if wanted.get(path) != found.get(path)][:10]
