#!/usr/bin/python3
"""An SMB share comes back as it was: seeded, and compared afterwards, by a client that is not ours. Then conflicts, a dry run, wrong passwords.

Needs root (Samba) and the Python packages that tests/setup installs.
"""

import json
import os
import random
import subprocess

from lib import trees
from lib.checks import Checks, full_size, need_root
from lib.compare import walk
from lib.program import Vault, source
from lib.servers import Samba
from lib.smb_client import Share, share_differences
from lib.smb_nasty import EPOCH, SECOND, nasty

PLAIN = 20_000 if full_size() else 1800
MIB = 1 << 20
need_root("smb-exact")
checks = Checks("smb-exact")


def main():
    samba = Samba(checks.scratch / "samba", shares={"empty": "", "strict": "case sensitive = yes", "strict-empty": "case sensitive = yes", "work": ""})
    vault = Vault(checks.scratch / "vault", "1+0")
    keys = ("--password-file", samba.password)
    with checks.part("the share and back"):
        exact(samba, vault, keys)
    with checks.part("names that differ in case only"):
        case_pairs(samba, vault, keys)
    with checks.part("conflicts"):
        conflicts(samba, vault, keys)
    with checks.part("who may not"):
        refused(samba, vault)
    checks.finish()


def view(samba, share):
    with Share(samba.url_of(share), samba.password) as client:
        return client.see_all()


def equal(what, expected, found, but=()):
    wrong = share_differences(expected, found, but)
    checks.check(f"{what} ({len(expected)} entries)", not wrong, f"{len(wrong)} differences\n" + "\n".join(wrong))


def changes(folder):
    """When anything of what lies behind the server was changed last."""
    return dict(walk(folder, lambda _fd, _name, status: (status.st_mtime_ns, status.st_ctime_ns)))


# All of it

def exact(samba, vault, keys):
    seed(samba)
    before = view(samba, "share")
    checks.check("thousands of files and folders are on the share", len(before) > PLAIN, len(before))
    checked(samba, keys, before)
    behind = changes(samba.share)
    first = vault.backup(samba.url, *keys)
    checks.check("backup is complete: exit 0", first.status == 0 and first.report.get("outcome") == "complete", first)
    again = vault.backup(samba.url, *keys)
    numbers = again.report.get("statistics", {})
    files = numbers.get("files", -1)
    checks.check("a second one reads nothing but a folder's streams", again.status == 0 and numbers.get("read_bytes", 1 << 60) < 100 and files > PLAIN, again)
    checks.check("reading has changed nothing on the share, not even change times", changes(samba.share) == behind)
    receipt = checks.scratch / "receipt.json"
    back = vault.restore(again.report.get("snapshot", "latest"), samba.url_of("empty"), *keys, "--receipt", receipt)
    checks.check("restore into an empty share is complete: exit 0", back.status == 0, back)
    checks.check("what was written was read back", back.report.get("compared", 0) >= files and back.report.get("differing") == 0, back)
    equal("the other client sees the same: names, bytes, descriptors, streams, attributes, times", before, view(samba, "empty"))
    same_by_smbcacls(samba, before)
    receipts(receipt, again, before)


def seed(samba):
    """Plain files from behind the server, nasty ones through it."""
    r = random.Random(7)
    trees.plain(samba.share / "plain", PLAIN, 3000, seed=3)
    (samba.share / "large.bin").write_bytes(r.randbytes(MIB) * (1024 if full_size() else 200) + b"end")
    for name in ("not\u00e9 from Unix", "two  spaces", "plain.lnk"):
        trees.put(samba.share / "plain" / name, name.encode())
    for number, path in enumerate([*samba.share.rglob("*"), samba.share]):
        # Read after it was written: for a file that came from behind, Samba says that the earliest of its times is when it was made.
        written = 1_600_000_000_123_456_700 + number * 1_000_000_100
        os.utime(path, ns=(written + 10**9, written))
    samba.give()
    with Share(samba.url, samba.password) as client:
        born(client)
        for line in nasty(client):
            print(f"   not taken by the server: {line}")


def born(client):
    """Says when the share itself was made: Samba makes it up otherwise, anew with each change."""
    client.stamp("", created=EPOCH + 10**9 * SECOND)


def checked(samba, keys, before):
    """`source check`, `ls` and `snapshots` on it."""
    found = source("check", samba.url, *keys)
    checks.check("source check: exit 0", found.status == 0, found)
    text = json.dumps(found.report).lower()
    checks.check("source check says that it is encrypted, and with what", "encrypted" in text and "aes" in text and "3.1.1" in text, found)
    top = source("ls", samba.url, *keys)
    names = {line for line in before if line and "\\" not in line}
    checks.check("source ls names what is there", top.status == 0 and all(json.dumps(name)[1:-1] in json.dumps(top.report) for name in names), top)
    none = source("snapshots", samba.url, *keys)
    checks.check("source snapshots: there are none", none.status == 0 and none.report.get("snapshots") == [], none)


def same_by_smbcacls(samba, before):
    """Samba's own tool, on both shares."""
    password = samba.password.read_text().strip()
    paths = sorted(path for path in before if path.startswith("descriptors\\"))[::6]

    def acl(share, path):
        command = ["smbcacls", "--numeric", "--client-protection=encrypt", f"//127.0.0.1/{share}", path, "-p", str(samba.port), "-U", f"{samba.user}%{password}", "-s", str(samba.folder / "smb.conf")]
        done = subprocess.run(command, capture_output=True, check=False, text=True)
        return done.stdout if done.returncode == 0 else f"{path}: exit {done.returncode} {done.stderr}"

    wrong = [f"{path}\n{here}\n{there}" for path in paths for here, there in [(acl("share", path), acl("empty", path))] if here != there or "ACL:" not in here]
    checks.check(f"smbcacls sees the same descriptors ({len(paths)} looked at)", paths and not wrong, "\n".join(wrong))


def receipts(path, snapshot, before):
    receipt = json.loads(path.read_text()) if path.exists() else {}
    text = json.dumps(receipt)
    checks.check("the receipt names the snapshot", snapshot.report.get("snapshot", "?") in text, text[:1000])
    checks.check("and the files", text.count("large.bin") >= 1 and text.count("file-0") > PLAIN // 2, f"{len(before)} entries; {text[:1000]}")


# Case

def case_pairs(samba, vault, keys):
    """Samba tells them apart where it is told to."""
    with Share(samba.url_of("strict"), samba.password) as client:
        for name in ("Report.txt", "REPORT.TXT", "report.txt"):
            client.put(name, name.encode())
        for name in ("Folder", "FOLDER"):
            client.folder(name)
            client.put(f"{name}\\in", name.encode())
        born(client)
    before = view(samba, "strict")
    run = vault.backup(samba.url_of("strict"), *keys, name="strict")
    checks.check("backup is complete", run.status == 0 and len(before) == 8, run)
    back = vault.restore("strict@latest", samba.url_of("strict-empty"), *keys)
    checks.check("restore where case counts: exit 0", back.status == 0, back)
    equal("and all are there", before, view(samba, "strict-empty"))


# Conflicts

def conflicts(samba, vault, keys):
    """A small share, restored over itself in each way."""
    url = samba.url_of("work")
    with Share(url, samba.password) as client:
        client.folder("f")
        for name in ("a", "b", "c", "f\\d", "f\\e"):
            client.put(name, f"first {name}".encode())
        client.stream("b", "s", b"stream of b")
        born(client)
    run = vault.backup(url, *keys, name="work")
    checks.check("backup is complete", run.status == 0, run)
    snapshot = run.report.get("snapshot", "work@latest")
    original = view(samba, "work")
    with Share(url, samba.password) as client:
        client.delete("c")
        client.put("a", b"changed later, and longer than it was")
        client.put("f\\d", b"changed to an older time")
        client.stamp("f\\d", written=EPOCH + 10**9 * SECOND)
        client.put("f\\new", b"came later")
    changed = view(samba, "work")

    def restore(*options):
        return vault.restore(snapshot, url, *keys, *options)

    run = restore()
    checks.check("without --conflict it is refused, and clearly", run.status == 1 and run.is_clear("--conflict|empty"), run)
    same("and nothing has changed", changed, samba)
    for conflict, counts in PLANNED.items():
        run = restore("--conflict", conflict, "--dry-run")
        told = {name: run.report.get(name) for name in counts}
        listed = {item.get("path"): item.get("action") for item in run.report.get("conflicts", [])}
        checks.check(f"{conflict}, dry run: says what would be done", run.status == 0 and told == counts and len(listed) == 4 and "a" in listed, run)
        same(f"{conflict}, dry run: changes nothing", changed, samba)
    run = restore("--conflict", "skip")
    now = view(samba, "work")
    checks.check("skip: exit 0, brings what was gone", run.status == 0 and now["c"].content == original["c"].content, run)
    equal("skip: leaves the others alone", changed, {path: seen for path, seen in now.items() if path != "c"}, but=AROUND)
    with Share(url, samba.password) as client:
        client.delete("c")
    newer(samba, restore, original)
    renamed(samba, restore, original, changed)
    run = restore("--conflict", "replace")
    now = view(samba, "work")
    kept = {path: seen for path, seen in now.items() if path in original}
    checks.check("replace: exit 0", run.status == 0, run)
    equal("replace: all files are as in the backup", files(original), files(kept))
    checks.check("replace: what came later stays", now["f\\new"].content == changed["f\\new"].content, sorted(now))


# Of five files one is gone, one was changed later, one has an older time, two are as they were.
PLANNED = {"skip": {"files": 1, "skipped": 4}, "replace": {"files": 5, "replaced": 4}, "rename": {"files": 5, "renamed": 4}, "newer": {"files": 2, "replaced": 1, "skipped": 3}}
# What changes in a folder, or in the share itself, when something in it does.
AROUND = ("written",)


def files(seen):
    return {path: entry for path, entry in seen.items() if not entry.attributes & 0x10}


def same(what, expected, samba):
    equal(what, expected, view(samba, "work"))


def newer(samba, restore, original):
    run = restore("--conflict", "newer")
    now = view(samba, "work")
    checks.check("newer: exit 0, the older file is replaced", run.status == 0 and now["f\\d"].content == original["f\\d"].content, run)
    checks.check("newer: the later change stays", now["a"].content != original["a"].content and now["a"].size > 30, now["a"])


def renamed(samba, restore, original, changed):
    before = view(samba, "work")
    run = restore("--conflict", "rename")
    now = view(samba, "work")
    new = {path: seen for path, seen in now.items() if path not in before}
    equal("rename: exit 0, and what was there stays", files(before), files({path: seen for path, seen in now.items() if path in before}))
    contents = {seen.content for seen in files(new).values()}
    checks.check("rename: the files of the backup stand beside", run.status == 0 and original["a"].content in contents and len(files(new)) == 5, f"{sorted(new)}\n{run}")
    streams = [seen.streams for seen in new.values() if seen.streams]
    checks.check("rename: with their streams", streams == [original["b"].streams], streams)


# Wrong

def refused(samba, vault):
    wrong = checks.scratch / "wrong"
    wrong.write_text("not the password\n")
    snapshots = len(vault.list().report.get("snapshots", []))
    run = vault.backup(samba.url, "--password-file", wrong, timeout=300)
    checks.check("wrong password: exit 1, clear words", run.status == 1 and run.is_clear("password|sign|account"), run)
    run = vault.backup(samba.url_of("nowhere"), "--password-file", samba.password, timeout=300)
    checks.check("a share that is not there: exit 1, clear words", run.status == 1 and run.is_clear("share"), run)
    run = vault.backup(samba.url, timeout=300)
    checks.check("no password: exit 2", run.status == 2 and run.is_clear("--password-file"), run)
    run = source("check", samba.url, "--password-file", wrong, timeout=300)
    checks.check("source check, wrong password: exit 1, clear words", run.status == 1 and run.is_clear("password|sign|account"), run)
    checks.check("none of them has made a snapshot", len(vault.list().report.get("snapshots", [])) == snapshots)
    secret = samba.password.read_text().strip()
    run = vault.restore("latest", samba.url_of("empty"), "--password-file", wrong, timeout=300)
    checks.check("restore, wrong password: exit 1, clear words, no secret", run.status == 1 and run.is_clear("password|sign|account") and secret not in str(run), run)


if __name__ == "__main__":
    main()
