#!/usr/bin/python3
"""The box's keys, sealed to a TPM: it opens them by itself after a restart and with a newly signed image, and in no other case; then two
papers do. Runs keyd, keepwell and swtpm as a box would.
"""

import os
import shutil
import subprocess
from pathlib import Path

from lib import trees
from lib.box import Authority, Keyd, Tpm, measured
from lib.checks import Checks
from lib.compare import differences
from lib.program import run

checks = Checks("tpm-seal")
KEYS, IMAGE = "our Secure Boot keys", "image 1"


class Clinic:
    """A box with a vault that keyd made, a first backup, and its kit on paper."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir()
        self.authority = Authority(self.folder / "authority")
        self.tpm = Tpm(self.folder / "tpm")
        self.tpm.boot(KEYS, IMAGE)
        self.keyd = Keyd(self.folder / "keyd", self.tpm, self.authority)
        self.keyd.policies = [self.authority.sign("image-1.json", [IMAGE])]
        self.keyd.start()
        self.vault = self.folder / "vault"
        self.source = trees.plain(self.folder / "source", 200, 2000, seed=5)
        self.made = run("vault", "init", "--vault", self.vault, "--disks", 2, "--test", "--owner", "Dr. Example", "--keyd", self.keyd.socket)

    def __call__(self, verb, *arguments, unlock=None):
        return run("vault", verb, "--vault", self.vault, "--unlock", unlock or self.keyd.unlock, *arguments)

    def boot(self, secure_boot=KEYS, image=IMAGE, policies=None):
        """The box is switched off and on."""
        self.keyd.stop()
        self.tpm.boot(secure_boot, image)
        if policies:
            self.keyd.policies = policies
        self.keyd.start()

    def restored(self, unlock=None):
        target = self.folder / "restored"
        done = self("restore", "latest", "--to", target, unlock=unlock)
        same = done.status == 0 and not differences(self.source, target)
        shutil.rmtree(target, ignore_errors=True)
        return same


def main():
    box = Clinic(checks.scratch / "box")
    papers = []
    with checks.part("a new vault"):
        papers = made(box)
    with checks.part("starts that open"):
        opens(box)
    with checks.part("starts that do not"):
        stays_locked(box)
    with checks.part("a stolen box"):
        stolen(box)
    with checks.part("a new box"):
        recovered(box, papers)
    with checks.part("nothing lies about"):
        nothing_lies_about(box, papers)
    checks.finish()


def made(box):
    checks.check("init lets keyd make the keys", box.made.status == 0, box.made)
    status = box.keyd.status()
    checks.check("they are open, and the TPM keeps them", (status.get("phase"), status.get("keeper")) == ("open", "tpm"), status)
    early = box.keyd("print", "--vault", box.vault, "--sheet", 2, "--keeper", "x", "--out", box.folder / "early.pdf")
    checks.check("papers are printed one at a time", early.status == 1 and early.report.get("code") == "out-of-turn", early)
    papers, runs = box.keyd.print_kit(box.vault, box.folder)
    checks.check("each is printed, and confirmed by six of its words", all(done.status == 0 for done in runs), [str(done) for done in runs if done.status])
    again = box.keyd("print", "--vault", box.vault, "--sheet", 1, "--keeper", "x", "--out", box.folder / "again.pdf")
    checks.check("then the box has forgotten what is on them", again.status == 1 and again.report.get("code") == "no-paper", again)
    names = [paper.get("keeper") for paper in box.keyd.status()["vaults"][0]["papers"]]
    checks.check("it knows who keeps which", names == ["the safe", "the notary", "Dr. Example"], names)
    backup = box("backup", box.source)
    checks.check("a backup with keyd's keys is complete", backup.status == 0, backup)
    checks.check("and restores exactly", box.restored())
    return papers


def opens(box):
    box.keyd.restart()
    checks.check("after a restart of keyd", box.keyd.status().get("phase") == "open", box.keyd.status())
    box.boot()
    checks.check("after a power cycle", box.keyd.status().get("phase") == "open" and box.restored(), box.keyd.status())
    newer = box.authority.sign("image-2.json", ["image 2", "image 2, later"])
    box.boot(image="image 2, later", policies=[newer])
    checks.check("with a newly signed image, without sealing again", box.keyd.status().get("phase") == "open" and box.restored(), box.keyd.status())
    planned = box.keyd("seal-again", "--pcr7", measured("our next Secure Boot keys"))
    checks.check("a change of firmware can be prepared", planned.status == 0, planned)
    box.boot(image="image 2", secure_boot="our next Secure Boot keys")
    checks.check("and then it opens", box.keyd.status().get("phase") == "open", box.keyd.status())
    box.boot(image="image 2")
    checks.check("and without it too", box.keyd.status().get("phase") == "open", box.keyd.status())
    box.keyd("seal-again")
    box.boot(policies=[box.authority.sign("image-1.json", [IMAGE])])


def stays_locked(box):
    refused(box, "another Secure Boot state", "wrong-pcr-7", secure_boot="somebody's keys")
    refused(box, "an image that nobody signed", "wrong-pcr-11", image="somebody's image")
    other = Authority(box.folder / "other-authority")
    refused(box, "an image that somebody else signed", "unknown-authority", image="theirs", policies=[other.sign("theirs.json", ["theirs"])])
    box.boot(policies=[box.authority.sign("image-1.json", [IMAGE])])
    box.keyd.stop()
    box.tpm.measure(12, "an add-on of the boot loader")
    box.keyd.start()
    locked(box, "something added to the command line", "pcr-not-zero")

    sealed = [path for path in box.keyd.state.iterdir() if path.is_file()]
    checks.check("the state is for keyd alone", all(path.stat().st_mode & 0o77 == 0 for path in [box.keyd.state, *sealed]), sealed)
    box.keyd.stop()
    copy = box.folder / "state-copy"
    shutil.copytree(box.keyd.state, copy)
    for path in sealed:
        flipped = bytearray(path.read_bytes())
        flipped[len(flipped) // 2] ^= 0x10
        path.write_bytes(flipped)
        box.tpm.boot(KEYS, IMAGE)
        try:
            box.keyd.start()
            status = box.keyd.status()
            said = [status.get("locked") or {}, *status.get("warnings", [])]
            fine = status.get("phase") == "open" or any(notice.get("text") for notice in said)
            checks.check(f"a bit flipped in {path.name}: it opens, or says what is wrong", fine and "panicked" not in box.keyd.log.read_text(), status)
            box.keyd.stop()
        except RuntimeError as error:
            checks.check(f"a bit flipped in {path.name}: keyd says why it does not start", "panicked" not in str(error) and len(str(error)) > 60, error)
            box.keyd.process = None
        shutil.rmtree(box.keyd.state)
        shutil.copytree(copy, box.keyd.state)
    shutil.rmtree(copy)
    box.boot()
    checks.check("as it was, it opens again", box.keyd.status().get("phase") == "open", box.keyd.status())


def refused(box, what, code, **start):
    before = box.keyd.policies
    box.boot(**start)
    locked(box, what, code)
    box.keyd.policies = before


def locked(box, what, code):
    status = box.keyd.status()
    checks.check(f"{what}: locked, and says so", status.get("phase") == "locked" and (status.get("locked") or {}).get("code") == code, status)
    before = fingerprint(box.vault)
    backup = box("backup", box.source)
    clear = backup.status == 1 and backup.report.get("code") == "locked" and backup.is_clear("kit")
    checks.check(f"{what}: no backup is written, and the kit is named as the way in", clear and fingerprint(box.vault) == before, backup)


def fingerprint(folder):
    return sorted((str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*") if path.is_file() and "cache" not in path.parts)


def stolen(box):
    """Attack 1: another system is started, and writes into PCR 11 what the good image is known to write."""
    box.keyd.stop()
    box.tpm.off()
    box.tpm.on()
    box.tpm.measure(7, "Secure Boot is off")
    box.tpm.measure(11, IMAGE)
    box.keyd.start()
    locked(box, "a replay of PCR 11", "wrong-pcr-7")

    # The state without the TPM it belongs to: disks moved into another box.
    box.keyd.stop()
    elsewhere = Tpm(box.folder / "other-tpm")
    elsewhere.boot(KEYS, IMAGE)
    own, box.keyd.tpm = box.keyd.tpm, elsewhere
    box.keyd.start()
    locked(box, "another TPM", "other-tpm")
    box.keyd.stop()
    elsewhere.off()
    box.keyd.tpm = own

    # The TPM without the state: another state partition in the same box.
    other_state = box.folder / "other-state"
    state, box.keyd.state = box.keyd.state, other_state
    box.tpm.boot(KEYS, IMAGE)
    box.keyd.start()
    backup = box("backup", box.source)
    checks.check("a swapped state knows no key of the vault", backup.status == 1 and box.keyd.status().get("phase") == "new", backup)
    box.keyd.stop()
    box.keyd.state = state
    box.keyd.start()
    stranger = run("vault", "list", "--vault", box.vault, "--unlock", box.keyd.unlock, user=65534)
    checks.check("another user of the box gets no key", stranger.status == 1, stranger)
    checks.check("the box itself opens still", box.keyd.status().get("phase") == "open", box.keyd.status())


def recovered(box, papers):
    one, other = papers[0], papers[2]
    box.keyd.stop()
    box.tpm.boot(KEYS, IMAGE)
    box.tpm.tool("clear", "-c", "p")
    box.keyd.start()
    locked(box, "a cleared TPM", "tpm-cleared")
    checks.check("the kit opens the vault without any TPM", box.restored(unlock=f"kit:{papers[1]},{other}"))
    back = box.keyd("recover", "--vault", box.vault, "--paper", one, "--paper", other)
    checks.check("two papers open it, and seal it to the TPM as it is now", back.status == 0 and back.report.get("sealed") is True, back)
    box.boot()
    checks.check("from then on it opens by itself", box.keyd.status().get("phase") == "open" and box.restored(), box.keyd.status())

    tpm = Tpm(box.folder / "new-tpm")
    tpm.boot(KEYS, IMAGE)
    new = Keyd(box.folder / "new-keyd", tpm, box.authority)
    new.policies = box.keyd.policies
    new.start()
    lone = new("recover", "--vault", box.vault, "--paper", one, "--paper", one)
    checks.check("one paper twice does not open a new box", lone.status == 1, lone)
    back = new("recover", "--vault", box.vault, "--paper", other, "--paper", papers[1])
    checks.check("a new box opens with two papers", back.status == 0, back)
    new.restart()
    checks.check("and by itself when it is started again", new.status().get("phase") == "open" and box.restored(unlock=new.unlock), new.status())
    new.stop()


def nothing_lies_about(box, papers):
    """Words of the papers, and the papers themselves, are in no file of the box and in no log."""
    rows = [line.split(maxsplit=1)[1].encode() for paper in papers for line in paper.read_text().splitlines() if line.startswith("words-")]
    found = []
    for place in (box.keyd.state, box.keyd.folder, box.vault, box.folder / "tpm"):
        for folder, _, names in os.walk(place):
            for name in names:
                path = Path(folder) / name
                if path.is_file() and any(row in path.read_bytes() for row in rows):
                    found.append(path)
    checks.check("no word of a paper is left on the box", not found and len(rows) == 12, found)
    control = any(row in Path(papers[0]).read_bytes() for row in rows)
    checks.check("and the search would have found one", control)
    limits = subprocess.run(["grep", "-c", "", box.keyd.log], capture_output=True, text=True, check=False).stdout
    checks.check("keyd has a log", int(limits or 0) > 5, limits)


main()
