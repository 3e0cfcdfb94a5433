#!/usr/bin/python3
"""What goes in comes out: names, content, holes, metadata; every layout, disks missing, caches deleted, after changes, as a normal user.

SCALE sets the size of the generated data sets (0.05 by default), SIZE=full takes all of /usr and whole data sets.
"""

import os
import shutil
import signal
import subprocess
import sys
import time

from lib import trees
from lib.checks import Checks, full_size, move_away, remove
from lib.compare import differences, fingerprint
from lib.program import BINARY, ROOT, Vault, start

LAYOUTS = ("2+1", "1+0", "1+1", "4+2")
NOBODY = 65534
checks = Checks("roundtrip")


def main():
    data = data_sets()
    for layout in LAYOUTS:
        with checks.part(f"layout {layout}"):
            everything(layout, data)
    with checks.part("/usr"):
        system_files()
    with checks.part("deeper than any path"):
        too_deep()
    with checks.part("a restore that is killed"):
        killed()
    with checks.part("as a normal user"):
        normal_user()
    checks.finish()


def data_sets():
    """clinic, imaging, db and random, first generation."""
    folder = checks.scratch / "data"
    scale = os.environ.get("SCALE", "1" if full_size() else "0.05")
    generator("make", folder, scale)
    return folder


def generator(verb, folder, scale=None):
    environment = {**os.environ, **({"SCALE": scale} if scale else {})}
    subprocess.run([sys.executable, ROOT / "tests/bench/make_dataset.py", verb, folder], check=True, env=environment)


def everything(layout, data):
    """Nasty tree and data sets: two snapshots each, restored with m disks missing, without caches, and in part."""
    here = checks.scratch / layout
    vault = Vault(here, layout)
    nasty = here / "nasty"
    big = 5 * trees.GIB if layout == LAYOUTS[0] or full_size() else trees.GIB // 4
    for skipped in trees.nasty(nasty, big=big):
        print(f"   not made here: {skipped}")
    sources = {"nasty": nasty, "data": data}
    first = {name: saved(vault, layout, name, source) for name, source in sources.items()}
    for name, source in sources.items():
        restored(vault, f"{layout} {name}, first snapshot", first[name], source, here / f"{name}-1")
    in_part(vault, layout, first["nasty"], nasty, here)

    trees.change_nasty(nasty)
    generator("apply", data)
    second = {name: saved(vault, layout, name, source) for name, source in sources.items()}
    with missing(vault, here):
        for name, source in sources.items():
            lost = f"with {vault.parity} of {vault.disks} disks missing"
            restored(vault, f"{layout} {name}, second snapshot, {lost}", second[name], source, here / f"{name}-2")
            vault.forget_cache()
            again = f"{layout} {name}, first snapshot again, {lost} and without caches"
            restored(vault, again, first[name], here / f"{name}-1", here / f"{name}-again")
    verified = vault.verify(data=True)
    checks.check(f"{layout}: verify --data finds all disks and files well", verified.status == 0, verified)
    generator("revert", data)
    remove(here)


def saved(vault, layout, name, source):
    """Backs up and returns the snapshot's id."""
    run = vault.backup(source, name=name)
    checks.check(f"{layout} {name}: backup is complete", run.status == 0 and run.report.get("snapshot"), run)
    return run.report.get("snapshot", "latest")


def restored(vault, what, snapshot, expected, target):
    run = vault.restore(snapshot, target)
    wrong = differences(expected, target) if run.status == 0 else [run]
    checks.check(f"{what}: comes out as it went in", not wrong, "\n".join(map(str, wrong)))


def in_part(vault, layout, snapshot, nasty, here):
    for path in ("links/b", "contents", "names"):
        run = vault.restore(snapshot, here / "part", path=path)
        wrong = differences(nasty / path, here / "part") if run.status == 0 else [run]
        checks.check(f"{layout}: --path {path} brings what it held", not wrong, "\n".join(map(str, wrong)))
        remove(here / "part")
    run = vault.restore(snapshot, here / "part", path="no/such/path")
    checks.check(f"{layout}: --path that is not there is refused", run.status == 1 and not list_of(here / "part"), run)
    remove(here / "part")


def list_of(folder):
    return os.listdir(folder) if folder.exists() else []


class missing:
    """m disks gone: the first one and, where there are two to lose, an empty folder in place of the last."""

    def __init__(self, vault, here):
        disks = [vault.disk(1), vault.disk(vault.disks)][: vault.parity]
        self.back = move_away(disks, here / "gone")
        self.empty = disks[1:]

    def __enter__(self):
        for disk in self.empty:
            disk.mkdir()

    def __exit__(self, *_):
        for disk in self.empty:
            shutil.rmtree(disk)
        self.back()


def system_files():
    """Files of this machine: all of /usr in the long run, programs and Python's library otherwise."""
    for source in ["/usr"] if full_size() else ["/usr/bin", "/usr/lib/python3"]:
        here = checks.scratch / "usr"
        vault = Vault(here, "2+1")
        snapshot = saved(vault, "2+1", source, source)
        with missing(vault, here):
            restored(vault, f"{source} with a disk missing", snapshot, source, here / "out")
        remove(here)


def too_deep():
    """rsync does not go where this tree goes, so our own walk compares."""
    here = checks.scratch / "abyss"
    vault = Vault(here, "1+0")
    trees.abyss(here / "tree")
    snapshot = saved(vault, "1+0", "abyss", here / "tree")
    run = vault.restore(snapshot, here / "out")
    same = run.status == 0 and fingerprint(here / "tree") == fingerprint(here / "out")
    checks.check("9,000 bytes of path come out as they went in", same, run)
    remove(here)


def killed():
    """A restore that is killed in its middle, three times, then one with `--conflict skip`: all is there, folders, links and times too."""
    here = checks.scratch / "killed"
    vault = Vault(here, "1+0")
    tree = trees.plain(here / "tree", 3000, 40_000, seed=9)
    trees.nasty(tree / "nasty", big=trees.GIB // 16)
    snapshot = saved(vault, "1+0", "killed", tree)
    out, cut = here / "out", 0
    for most in (500, 1000, 1500):
        for _ in range(10):
            rule = ("--conflict", "skip") if out.exists() else ()
            process = start("vault", "restore", "--vault", vault.dir, "--unlock", vault.unlock, snapshot, *rule, "--to", out)
            if killed_at(process, out, most):
                cut += 1
                break
            # It was quicker than this looked: once more, from the beginning.
            remove(out)
    left = [name for _, _, files in os.walk(out) for name in files if name.endswith(".part")]
    checks.check("three restores were killed in their middle, and left no file that is not whole", cut == 3 and not left, (cut, left))
    run = vault.restore(snapshot, out, "--conflict", "skip")
    wrong = differences(tree, out) if run.status == 0 and run.report.get("skipped", 1) else [run]
    checks.check("with --conflict skip the next one completes it: as it went in", not wrong, "\n".join(map(str, wrong)))
    remove(here)


def killed_at(process, out, most):
    """Lets a restore go on in small steps, and kills it when so many files are there. Whether it was in its middle."""
    while process.poll() is None:
        process.send_signal(signal.SIGSTOP)
        if sum(len(files) for _, _, files in os.walk(out)) >= most:
            break
        process.send_signal(signal.SIGCONT)
        time.sleep(0.005)
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


def normal_user():
    """What can't be read is a gap, named, with exit 3; all else is there."""
    here = checks.scratch / "user"
    user = NOBODY if os.geteuid() == 0 else None
    here.mkdir()
    binary = shutil.copy(BINARY, checks.scratch / "keepwell")
    os.chmod(binary, 0o755)
    tree = here / "tree"
    trees.plain(tree, 200, 3000, seed=5)
    trees.put(tree / "open/readable", b"yes")
    closed = [trees.put(tree / "closed-file", b"secret"), trees.put(tree / "closed-folder/inside", b"secret")]
    closed[0].chmod(0)
    closed[1].parent.chmod(0)
    vault = Vault(here / "vault", "2+1", user=user, binary=binary)
    run = vault.backup(tree)
    checks.check("backup as a normal user is partial: exit 3", run.status == 3, run)
    gaps = str(run.report.get("gaps"))
    checks.check("both gaps are named", "closed-file" in gaps and "closed-folder" in gaps and "file-0" not in gaps, run)
    out = vault.folder / "out"
    run = vault.restore("latest", out)
    checks.check("restore says that it is partial: exit 3", run.status == 3, run)
    same = everyones(tree) == everyones(out)
    checks.check("what could be read comes out as it went in", same, run)
    again = vault.backup(tree)
    checks.check("the next run says it again", again.status == 3 and "closed-file" in str(again.report.get("gaps")), again)
    closed[1].parent.chmod(0o755)
    closed[0].chmod(0o644)
    healed = vault.backup(tree)
    checks.check("and is complete once all can be read", healed.status == 0, healed)
    remove(here)


def everyones(root):
    """What a normal user can restore: all but owners, without the closed things and the folder that holds them."""
    seen = {path: entry for path, entry in fingerprint(root).items() if not path.startswith(b"/closed")}
    return {path: entry[:2] + entry[4:] for path, entry in seen.items()}


if __name__ == "__main__":
    main()
