#!/usr/bin/python3
"""Damage and mistakes. Within the layout's parity everything heals; beyond it, exactly what is lost is named and all else restores;
a mistake (wrong key, full disk, two writers, ...) is one clear message, a non-zero exit, and changes nothing."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

from lib import trees
from lib.checks import Checks, move_away, remove
from lib.compare import differences, folder_hash
from lib.program import Vault, run
from lib.shards import ACTIONS, newer_label, newer_object, of_kind

KINDS = ("data", "metadata", "manifest", "keyring", "slots")
checks = Checks("damage")


def main():
    with checks.part("damage within the parity"):
        within()
    with checks.part("damage beyond the parity"):
        beyond()
    with checks.part("mistakes"):
        mistakes()
    with checks.part("two writers"):
        two_writers()
    with checks.part("full and read-only disks"):
        disks_that_refuse()
    checks.finish()


# A vault with two snapshots: `first` holds tree/old; `second` adds tree/new. Nothing is in both packs.

class Example:
    def __init__(self, name, layout="2+1"):
        self.home = checks.scratch / name
        self.vault = Vault(self.home, layout, passphrase=passphrase_file())
        self.tree = self.home / "tree"
        trees.plain(self.tree / "old", 60, 20_000, seed=1)
        self.first = self.save()
        self.first_packs = set(of_kind(self.vault, "data")) | set(of_kind(self.vault, "metadata"))
        self.first_tree = self.home / "tree-1"
        subprocess.run(["cp", "-a", self.tree, self.first_tree], check=True)
        trees.plain(self.tree / "new", 60, 20_000, seed=2)
        self.second = self.save()
        self.pristine = self.home / "pristine"
        subprocess.run(["cp", "-a", self.vault.dir, self.pristine], check=True)

    def save(self):
        run = self.vault.backup(self.tree)
        if run.status:
            raise RuntimeError(str(run))
        return run.report["snapshot"]

    def reset(self):
        remove(self.vault.dir)
        subprocess.run(["cp", "-a", self.pristine, self.vault.dir], check=True)

    def restore(self, snapshot, expected):
        """(run, differences) of a restore into a fresh folder, which is removed again."""
        out = self.home / "out"
        run = self.vault.restore(snapshot, out)
        wrong = differences(expected, out) if out.exists() else ["nothing was restored"]
        remove(out)
        return run, wrong


def passphrase_file():
    path = checks.scratch / "passphrase"
    if not path.exists():
        path.write_text("correct horse battery staple\n")
    return path


# Within

def within():
    example = Example("within")
    vault = example.vault
    for what in (*KINDS, "label"):
        for action in ACTIONS:
            example.reset()
            hurt = one_of_each(vault, what, action)
            found = vault.verify(keys=False)
            checks.check(f"{what}, {action}: verify without keys finds it ({hurt} files)", found.status == 3, found)
            run, wrong = example.restore(example.second, example.tree)
            checks.check(f"{what}, {action}: restore reads around it, exit 0", run.status == 0 and not wrong, f"{wrong}\n{run}")
            repaired = vault.repair(keys=False)
            after = vault.verify(data=True)
            checks.check(f"{what}, {action}: repair without keys, then verify --data is clean", repaired.status == 0 and after.status == 0, f"{repaired}\n{after}")
    for action, hurt in ACTIONS.items():
        example.reset()
        hurt(vault.dir / "cache/index.sqlite")
        run, wrong = example.restore(example.first, example.first_tree)
        checks.check(f"index, {action}: restore does not mind", run.status == 0 and not wrong, f"{wrong}\n{run}")
        saved, verified = vault.backup(example.tree), vault.verify(data=True)
        small = saved.report.get("statistics", {}).get("new_stored_bytes", 1 << 30) < 100_000
        checks.check(f"index, {action}: the next backup finds what is there", saved.status == 0 and verified.status == 0 and small, f"{saved}\n{verified}")
    example.reset()
    disk = vault.disk(2)
    shutil.rmtree(disk)
    disk.mkdir()
    repaired, after = vault.repair(), vault.verify()
    checks.check("an emptied disk: repair fills it again", repaired.status == 0 and after.status == 0, f"{repaired}\n{after}")
    shutil.rmtree(vault.disk(1))
    run, wrong = example.restore(example.second, example.tree)
    checks.check("and the vault then bears the loss of another one", run.status == 0 and not wrong, f"{wrong}\n{run}")
    remove(example.home)


def one_of_each(vault, what, action):
    """Damages one shard of every object of a kind (2+1: one is within the parity). Returns how many files that were."""
    if what == "label":
        files = [vault.disk(1) / "keepwell-disk"]
    else:
        files = [copies[number % len(copies)].path for number, copies in enumerate(of_kind(vault, what).values())]
    for path in files:
        ACTIONS[action](path)
    return len(files)


# Beyond

def beyond():
    example = Example("beyond")
    for action in ACTIONS:
        lose_data(example, action)
        lose_catalog(example, action)
        lose_manifest(example, action)
        lose_keys(example, action)
    lose_label(example)
    remove(example.home)


def destroy(vault, kind, action, spare=(), wholly=False):
    """Damages more shards than the parity covers, or all, of every object of a kind but those to spare."""
    for name, copies in of_kind(vault, kind).items():
        if name not in spare:
            limit = len(copies) if wholly or copies[0].data == 1 else copies[0].parity + 1
            for shard in copies[:limit]:
                ACTIONS[action](shard.path)


def lose_data(example, action):
    """With one more shard damaged than the parity covers, files in what is left may still be read; with all shards gone, none."""
    example.reset()
    vault = example.vault
    wholly = action == "delete"
    what = f"data beyond, {action}" + (", all shards" if wholly else "")
    destroy(vault, "data", action, spare=example.first_packs, wholly=wholly)
    new = {f"new/{path.relative_to(example.tree / 'new')}".encode() for path in (example.tree / "new").rglob("file-*")}
    verified = vault.verify(data=True)
    named = set(verified.paths("files_lost"))
    snapshots = {item["snapshot"] for item in verified.report.get("files_lost", [])}
    only_new = named and named <= new and (named == new or not wholly) and snapshots == {example.second}
    checks.check(f"{what}: verify names lost files, only new ones ({len(named)} of {len(new)}), exit 3", verified.status == 3 and only_new, f"{sorted(named ^ new)[:5]}\n{verified}")
    out = example.home / "out"
    run = vault.restore(example.second, out)
    checks.check(f"{what}: restore names the same files, exit 3", run.status == 3 and set(run.paths("missing")) == named, run)
    rest = differences(example.tree, out, exclude=[f"/{os.fsdecode(path)}" for path in named])
    checks.check(f"{what}: all else is restored", not rest, "\n".join(rest))
    whole_there = [path for path in named if is_same(example.tree, out, path)]
    checks.check(f"{what}: no file is called lost that is there", not whole_there, whole_there)
    remove(out)
    whole(example, what)
    repaired, again = vault.repair(), vault.backup(example.tree)
    run, wrong = example.restore(again.report.get("snapshot", "latest"), example.tree)
    checks.check(f"{what}: repair tells of the same loss, exit 3", repaired.status == 3 and set(repaired.paths("files_lost")) == named, repaired)
    checks.check(f"{what}: the next backup brings the files back", again.status == 0 and run.status == 0 and not wrong, f"{wrong}\n{again}\n{run}")


def is_same(expected, found, path):
    expected, found = expected / os.fsdecode(path), found / os.fsdecode(path)
    return found.exists() and found.read_bytes() == expected.read_bytes()


def lose_catalog(example, action):
    example.reset()
    destroy(example.vault, "metadata", action, spare=example.first_packs)
    verified = example.vault.verify(data=True)
    snapshots = {item["snapshot"] for item in verified.report.get("files_lost", []) + verified.report.get("snapshots_lost", [])}
    checks.check(f"catalog beyond, {action}: verify names the snapshot, exit 3", verified.status == 3 and snapshots == {example.second}, verified)
    run, _ = example.restore(example.second, example.tree)
    checks.check(f"catalog beyond, {action}: restore says what it can't bring, exit 1 or 3", run.status in (1, 3) and (run.report.get("missing") or run.message), run)
    whole(example, f"catalog beyond, {action}")


def lose_manifest(example, action):
    example.reset()
    vault = example.vault
    for copies in [of_kind(vault, "manifest")[example.first]]:
        for shard in copies:
            ACTIONS[action](shard.path)
    verified = vault.verify(data=True)
    names = str(verified.report.get("snapshots_lost")) + str(verified.report.get("lost"))
    checks.check(f"manifest beyond, {action}: verify names the snapshot, exit 3", verified.status == 3 and example.first in names, verified)
    run, wrong = example.restore(example.second, example.tree)
    checks.check(f"manifest beyond, {action}: the other snapshot restores", run.status == 0 and not wrong, f"{wrong}\n{run}")
    run, _ = example.restore(example.first, example.tree)
    checks.check(f"manifest beyond, {action}: the lost one is refused clearly", run.status == 1 and run.is_clear("snapshot"), run)


def lose_keys(example, action):
    for kind in ("keyring", "slots"):
        example.reset()
        for copies in of_kind(example.vault, kind).values():
            for shard in copies:
                ACTIONS[action](shard.path)
        refused(example, f"{kind} beyond, {action}", lambda: example.vault.list(), "key")
        refused(example, f"{kind} beyond, {action}, backup", lambda: example.vault.backup(example.tree), "key")


def lose_label(example):
    for action in ACTIONS:
        example.reset()
        for number in (1, 2):
            ACTIONS[action](example.vault.disk(number) / "keepwell-disk")
        refused(example, f"two of three labels, {action}", lambda: example.vault.backup(example.tree), "disk|label")


def whole(example, what):
    run, wrong = example.restore(example.first, example.first_tree)
    checks.check(f"{what}: the earlier snapshot is whole", run.status == 0 and not wrong, f"{wrong}\n{run}")


# Mistakes

def refused(example, what, act, pattern, statuses=(1,)):
    """One clear message, non-zero exit, nothing changed in the vault."""
    before = folder_hash(example.vault.dir, skip=[b"/cache"])
    run = act()
    after = folder_hash(example.vault.dir, skip=[b"/cache"])
    changed = [path for path in before.keys() | after.keys() if before.get(path) != after.get(path)]
    checks.check(f"{what}: exit {run.status}, one clear message, nothing changed", run.status in statuses and run.is_clear(pattern) and not changed, f"changed: {changed[:5]}\n{run}")


def mistakes():
    example = Example("mistakes")
    vault = example.vault
    stranger = Vault(checks.scratch / "stranger", "1+0")
    wrong = checks.scratch / "wrong-passphrase"
    wrong.write_text("incorrect horse\n")
    mixed = f"kit:{vault.kit}/kit-1.txt,{stranger.kit}/kit-2.txt"
    spoiled = checks.scratch / "kit-1.txt"
    spoiled.write_text(vault.kit.joinpath("kit-1.txt").read_text().replace("words-2: ", "words-2: zoo ", 1))
    keys = {
        "wrong passphrase": (f"passphrase:{wrong}", "passphrase"),
        "kit of another vault": (stranger.unlock, "vault"),
        "papers of two kits": (mixed, "vault|kit|set"),
        "a paper with a wrong word": (f"kit:{spoiled},{vault.kit}/kit-2.txt", "word|row"),
        "a paper that is not there": (f"kit:{vault.kit}/kit-1.txt,{vault.kit}/kit-9.txt", "kit-9"),
    }
    for what, (unlock, pattern) in keys.items():
        refused(example, what, lambda unlock=unlock: vault.backup(example.tree, unlock=unlock), pattern)
    right = vault.list(unlock=f"passphrase:{passphrase_file()}")
    checks.check("the right passphrase opens it", right.status == 0 and len(right.report.get("snapshots", [])) == 2, right)
    refused(example, "the same paper twice", lambda: vault.list(unlock=f"kit:{vault.kit}/kit-1.txt,{vault.kit}/kit-1.txt"), "same|two|differ", (1, 2))
    refused(example, "init over a vault", lambda: run("vault", "init", "--vault", vault.dir, "--kit-out", checks.scratch / "kit-2"), "empty|vault")
    refused(example, "a source that is not there", lambda: vault.backup(example.home / "nowhere"), "nowhere")
    full = example.home / "target"
    trees.put(full / "precious", b"do not overwrite")
    refused(example, "restore into a folder with files", lambda: vault.restore("latest", full), "empty|target")
    checks.check("and the files there are as they were", (full / "precious").read_bytes() == b"do not overwrite" and len(os.listdir(full)) == 1)
    refused(example, "a snapshot that is not there", lambda: vault.restore("0123456789abcdef", example.home / "none"), "snapshot")
    empty = example.home / "empty"
    empty.mkdir()
    gone = run("vault", "list", "--vault", empty, "--unlock", vault.unlock)
    checks.check("a folder that is no vault: exit 1, one clear message", gone.status == 1 and gone.is_clear("vault|disk") and not os.listdir(empty), gone)
    too_few_disks(example)
    foreign_disk(example, stranger)
    foreign_files(example)
    newer(example)
    remove(example.home)
    remove(stranger.folder)


def too_few_disks(example):
    vault = example.vault
    back = move_away([vault.disk(1), vault.disk(3)], example.home / "gone")
    refused(example, "two of three disks gone, backup", lambda: vault.backup(example.tree), "disk")
    refused(example, "two of three disks gone, repair", lambda: vault.repair(), "disk", (1, 3))
    verified = vault.verify(keys=False)
    checks.check("two of three disks gone: verify says so", verified.status in (1, 3), verified)
    back()
    run, wrong = example.restore(example.second, example.tree)
    checks.check("disks back: all is there", run.status == 0 and not wrong, f"{wrong}\n{run}")


def foreign_disk(example, stranger):
    vault = example.vault
    back = move_away([vault.disk(2)], example.home / "gone")
    shutil.copytree(stranger.disk(1), vault.disk(2))
    found = vault.verify(keys=False)
    checks.check("a disk of another vault: verify says so, exit 3", found.status in (1, 3) and "disk-2" in str(found.report) + found.message, found)
    before = folder_hash(vault.disk(2))
    saved = vault.backup(example.tree)
    vault.repair()
    checks.check("a disk of another vault: backup and repair leave it alone", before == folder_hash(vault.disk(2)), saved)
    shutil.rmtree(vault.disk(2))
    back()
    example.reset()


def foreign_files(example):
    vault = example.vault
    foreign = [vault.disk(1) / "packs/holiday.jpg", vault.disk(2) / "manifests/0123-0-1-1", vault.disk(3) / "letter.txt"]
    for path in foreign:
        path.write_bytes(b"not ours")
    found = vault.verify(keys=False)
    named = "holiday.jpg" in str(found.report) and "0123-0-1-1" in str(found.report)
    checks.check("foreign files: verify names them, exit 3", found.status == 3 and named, found)
    saved, repaired = vault.backup(example.tree), vault.repair()
    kept = all(path.read_bytes() == b"not ours" for path in foreign)
    checks.check("foreign files: backup works, nothing touches them", saved.status == 0 and kept, f"{saved}\n{repaired}")
    example.reset()


def newer(example):
    vault = example.vault
    for number in (1, 2, 3):
        newer_label(vault.disk(number))
    refused(example, "disks of a newer format, backup", lambda: vault.backup(example.tree), "newer|version")
    refused(example, "disks of a newer format, repair", lambda: vault.repair(), "newer|version")
    example.reset()
    newer_object(vault, "slots")
    refused(example, "key slots of a newer format", lambda: vault.backup(example.tree), "newer|version")
    example.reset()
    newer_object(vault, "keyring")
    refused(example, "a keyring of a newer format", lambda: vault.backup(example.tree), "newer|version")
    example.reset()


# Two writers

def two_writers():
    example = Example("writers")
    vault = example.vault
    running, caught = writing(example)
    try:
        checks.check("the first writer is caught in the middle", caught)
        refused(example, "a second writer", lambda: vault.backup(example.tree), "another|in use|already|running|writ")
        refused(example, "repair beside a writer", lambda: vault.repair(), "another|in use|already|running|writ")
        run, wrong = example.restore(example.second, example.first_tree.with_name("tree"))
        checks.check("a reader is not kept waiting", run.status == 0 and all("large" in line or line.endswith(" ./") for line in wrong), f"{wrong[:9]}\n{run}")
    finally:
        running.send_signal(signal.SIGCONT)
        running.communicate(timeout=900)
    checks.check("the first writer completes", running.returncode == 0, running.returncode)
    run, wrong = example.restore("latest", example.tree)
    checks.check("and its snapshot is whole", run.status == 0 and not wrong, f"{wrong}\n{run}")
    remove(example.home)


def writing(example):
    """A backup that stands still while it writes, and whether it does. One that is quicker than this looks is tried again with more to write."""
    for attempt in range(10):
        trees.plain(example.tree / f"large-{attempt}", 40, 4 << 20, seed=3 + attempt)
        running = example.vault.start_backup(example.tree)
        end = time.monotonic() + 300
        while running.poll() is None and not busy(example.vault) and time.monotonic() < end:
            time.sleep(0.005)
        running.send_signal(signal.SIGSTOP)
        while running.poll() is None and not stopped(running.pid):
            time.sleep(0.005)
        if running.poll() is None:
            break
        running.communicate()
    return running, running.returncode is None


def busy(vault):
    """Whether a writer has begun a file."""
    return any(path.name.startswith(".tmp-") for path in vault.dir.glob("disk-*/packs/.tmp-*"))


def stopped(pid):
    """Whether all its threads have come to rest: a write that is under way ends first."""
    try:
        return all(" (stopped)" in status for status in thread_states(pid))
    except OSError:
        # A thread has just ended.
        return False


def thread_states(pid):
    return [path.read_text().split("State:", 1)[1].split("\n", 1)[0] for path in Path(f"/proc/{pid}/task").glob("*/status")]


# Disks that refuse

def disks_that_refuse():
    if os.geteuid() != 0:
        print("   not checked: mounting small disks needs root")
        return
    example = Example("refuse", "2+1")
    vault, mounted = example.vault, []
    try:
        for number in (1, 2, 3):
            disk, aside = vault.disk(number), example.home / f"was-{number}"
            disk.rename(aside)
            disk.mkdir()
            if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", disk], capture_output=True, check=False).returncode:
                print("   not checked: this machine does not let us mount")
                return
            mounted.append(disk)
            subprocess.run(["cp", "-a", f"{aside}/.", disk], check=True)
        full_disk(example, mounted)
        read_only_disk(example, mounted)
    finally:
        for disk in mounted:
            subprocess.run(["umount", disk], check=False)
    remove(example.home)


def full_disk(example, mounted):
    vault = example.vault
    trees.plain(example.tree / "too-much", 40, 4 << 20, seed=4)
    run = vault.backup(example.tree)
    checks.check("full disks: exit 1, one clear message", run.status == 1 and run.is_clear("full|space"), run)
    whole(example, "full disks")
    verified = vault.verify(data=True)
    checks.check("full disks: what was acknowledged verifies", verified.status == 0, verified)
    for disk in mounted:
        subprocess.run(["mount", "-o", "remount,size=400m", disk], check=True)
    saved = vault.backup(example.tree)
    run, wrong = example.restore("latest", example.tree)
    checks.check("with room again the next run completes", saved.status == 0 and run.status == 0 and not wrong, f"{wrong[:9]}\n{saved}\n{run}")


def read_only_disk(example, mounted):
    vault = example.vault
    for disk in mounted:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    trees.change_plain(example.tree, seed=9)
    refused(example, "read-only disks", lambda: vault.backup(example.tree), "read-only|read only|written|write")
    whole(example, "read-only disks")
    subprocess.run(["mount", "-o", "remount,rw", mounted[0]], check=True)
    subprocess.run(["mount", "-o", "remount,rw", mounted[1]], check=True)
    saved = vault.backup(example.tree)
    run, wrong = example.restore("latest", example.tree)
    checks.check("one read-only disk: backup goes on with the others", saved.status in (0, 3) and run.status == 0 and not wrong, f"{wrong[:9]}\n{saved}\n{run}")


if __name__ == "__main__":
    main()
