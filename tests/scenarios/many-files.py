#!/usr/bin/python3
"""Many small files stay within the memory that the box has for them: a tenth of them by default, SIZE=full takes 100,000 in one folder and
300,000 in all. Over SMB and NFS: check, first backup, second backup, restore to the server and to a folder; each is one process and is measured.

Needs root (Samba, Ganesha).
"""

import os
import shutil

from lib.checks import Checks, full_size, need_root
from lib.compare import differences
from lib.program import Vault, source
from lib.servers import Ganesha, Samba

FLAT = 100_000 if full_size() else 10_000
SPREAD = 2 * FLAT
PER_FOLDER = 500
MOST_MIB = 256
PATIENCE = 2 * 3600
# Otherwise Samba looks through the whole folder for each name that is not there yet: an hour of its time for 100,000 new ones in one folder.
LARGE_FOLDERS = "case sensitive = yes"
need_root("many-files")
checks = Checks("many-files")


def main():
    for kind in (Samba, Ganesha):
        with checks.part(kind.__name__):
            special = {"shares": {"back": LARGE_FOLDERS}} if kind is Samba else {}
            on(kind(checks.scratch / kind.__name__.lower(), **special), kind is Samba)
    checks.finish()


def on(server, is_smb):
    account = ["--password-file", server.password] if is_smb else []
    url = server.url if is_smb else server.url_of("3")
    seed(server.share / "many")
    if is_smb:
        server.give()
    part = f"{url}/many" if is_smb else f"{url}&path=many"
    back, returned = (server.url_of("back"), server.folder / "back") if is_smb else (f"{url}&path=back", server.share / "back")
    vault = Vault(checks.scratch / f"vault-{server.script}", "1+0")

    within("check", source("check", part, *account, timeout=PATIENCE))
    first = within("first backup", vault.backup(part, *account, timeout=PATIENCE))
    checks.check("it has every file", first.report.get("statistics", {}).get("files") == FLAT + SPREAD, first)
    second = within("second backup", vault.backup(part, *account, timeout=PATIENCE))
    checks.check("it read none again", second.report.get("statistics", {}).get("unchanged_files") == FLAT + SPREAD, second)
    (server.share / "many/spread/0000/new").write_bytes(b"one more")
    if is_smb:
        server.give(server.share / "many/spread/0000/new")
    third = within("third backup, one file more", vault.backup(part, *account, timeout=PATIENCE))
    checks.check("it read that one", third.report.get("statistics", {}).get("unchanged_files") == FLAT + SPREAD, third)

    output = checks.scratch / "output"
    plain = within("restore to a folder", vault.restore("latest", output, timeout=PATIENCE), but=(0, 3))
    checks.check("it says that nothing is missing", plain.report.get("missing") == [], plain)
    checks.check("the folder is the share", same(server.share / "many", output, is_smb))
    shutil.rmtree(output)
    restored = within("restore to the server", vault.restore("latest", back, *account, timeout=PATIENCE))
    checks.check("nothing differs on reading back", restored.report.get("differences") == [], restored)
    checks.check("the server has what it had", same(server.share / "many", returned, is_smb))
    server.stop()
    shutil.rmtree(server.share)
    shutil.rmtree(vault.folder)


def seed(root):
    """Contents differ, so that none is kept twice, and are small, so that files are what counts."""
    (root / "flat").mkdir(parents=True)
    for number in range(FLAT):
        put(root / "flat" / f"patient-{number:06}.hl7", number)
    for number in range(SPREAD):
        folder = root / "spread" / f"{number // PER_FOLDER:04}"
        if number % PER_FOLDER == 0:
            folder.mkdir(parents=True)
        put(folder / f"report-{number:06}.txt", FLAT + number)


def put(path, number):
    path.write_bytes(b"%d " % number * (number % 40))
    os.utime(path, ns=(0, 1_600_000_000_000_000_000 + number * 100))


def within(what, run, but=(0,)):
    checks.check(f"{what}: succeeds ({run.seconds:.1f} s, {run.peak_mib} MiB)", run.status in but, run)
    checks.check(f"{what}: within {MOST_MIB} MiB", 0 < run.peak_mib <= MOST_MIB, run)
    return run


def same(one, other, by_content):
    """Compared behind the server: Samba keeps modes and owners in attributes of its own, which rsync running as root sees too."""
    if not by_content:
        return not differences(one, other)
    count = 0
    for folder, _, names in os.walk(one):
        twin = other / os.path.relpath(folder, one)
        if sorted(os.listdir(folder)) != sorted(os.listdir(twin)):
            return False
        for name in names:
            a, b = os.path.join(folder, name), twin / name
            if os.stat(a).st_mtime_ns // 100 != os.stat(b).st_mtime_ns // 100 or open(a, "rb").read() != open(b, "rb").read():
                return False
            count += 1
    return count == FLAT + SPREAD + 1


main()
