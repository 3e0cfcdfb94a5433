#!/usr/bin/python3
"""Keepwell's clients beside smbclient and libnfs, on the same shares in one run, all on this machine.

    tests/bench/shares.py [DIR]      needs root (it starts Samba and NFS-Ganesha); DIR holds about 1.5 GiB and goes away

SCALE=1 (1 GiB, 20,000 small files, 60,000 unchanged ones), ONLY="smb nfs" parts, RUNS=1 (median). Encryption is required by the SMB server.
`client` is CPU seconds (user + system) of the program measured, `server` that of the file server meanwhile. Prints Markdown.
"""

import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("KEEPWELL", ROOT / "target/release/keepwell")
SCALE = float(os.environ.get("SCALE", "1"))
RUNS = int(os.environ.get("RUNS", "1"))
TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Cost:
    wall: float
    client: float
    server: float
    rss_mib: float


class Server:
    """A file server of tests/samba.sh or tests/ganesha.sh."""

    def __init__(self, script, folder, environment):
        self.script, self.folder = ROOT / "tests" / script, folder
        self.environment = {**os.environ, **environment}

    def __enter__(self):
        subprocess.run([self.script, "start", self.folder], check=True, stdout=subprocess.DEVNULL, env=self.environment)
        return self

    def __exit__(self, *_):
        subprocess.run([self.script, "stop", self.folder], check=False)

    def read(self, name):
        return (self.folder / name).read_text().strip()

    def cpu(self):
        """CPU seconds of the server and all below it, children that ended included."""
        fields = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields[int(stat.parent.name)] = stat.read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
        family = {int(next(self.folder.glob("*.pid")).read_text())}
        while more := {pid for pid, of in fields.items() if int(of[1]) in family and pid not in family}:
            family |= more
        return sum(int(ticks) for pid in family for ticks in fields[pid][11:15]) / TICK


def measure(server, command, **options):
    """Median costs of a command that has to succeed."""
    costs = []
    for _ in range(RUNS):
        before, began = server.cpu(), time.monotonic()
        child = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
        errors = child.stderr.read()
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall = time.monotonic() - began
        if child.returncode != 0:
            sys.exit(f"bench: {command[0]} failed: {errors.decode(errors='replace')[-500:]}")
        costs.append(Cost(wall, usage.ru_utime + usage.ru_stime, server.cpu() - before, usage.ru_maxrss / 1024))
    middle = lambda field: statistics.median(getattr(cost, field) for cost in costs)
    return Cost(middle("wall"), middle("client"), middle("server"), middle("rss_mib"))


def make_data(share, owner):
    """`big/` with one file, `small/` with many, `still/` with more that stay as they are."""
    content = random.Random(7)
    (share / "big").mkdir()
    with open(share / "big/image.bin", "wb") as big:
        for _ in range(max(1, int(1024 * SCALE))):
            big.write(content.randbytes(1 << 20))
    for top, count, per_folder in [("small", int(20_000 * SCALE), 200), ("still", int(60_000 * SCALE), 300)]:
        for number in range(count):
            folder = share / top / f"{number // per_folder:04}"
            if number % per_folder == 0:
                folder.mkdir(parents=True)
            (folder / f"message-{number:06}.hl7").write_bytes(content.randbytes(content.randint(500, 8000)))
    if owner:
        subprocess.run(["chown", "-R", owner, share], check=True)


def row(what, cost, peer=None):
    cells = [what, f"{cost.wall:.2f}", f"{cost.client:.2f}", f"{cost.server:.2f}", f"{cost.rss_mib:.0f}"]
    cells += [f"{cost.client / max(peer.client, 0.01):.2f}", f"{cost.wall / max(peer.wall, 0.01):.2f}"] if peer else ["", ""]
    print("| " + " | ".join(cells) + " |", flush=True)


def keepwell(server, url, part, password=None, command=("source", "check", "--read")):
    account = ["--password-file", password] if password else []
    return measure(server, [BINARY, *command, *account, f"{url}&path={part}" if "?" in url else f"{url}/{part}"])


def rescan(server, url, work, password=None):
    """A second backup of a share where nothing changed."""
    vault, kit = work / "vault", work / "kit"
    subprocess.run([BINARY, "vault", "init", "--vault", vault, "--kit-out", kit, "--test"], check=True, stdout=subprocess.DEVNULL)
    backup = ("vault", "backup", "--vault", vault, "--unlock", f"kit:{kit}/kit-1.txt,{kit}/kit-2.txt")
    first = keepwell(server, url, "still", password, backup)
    second = keepwell(server, url, "still", password, backup)
    shutil.rmtree(vault), shutil.rmtree(kit)
    return first, second


def smb(work):
    with Server("samba.sh", work / "samba", {"KEEPWELL_SAMBA_ENCRYPT": "required"}) as server:
        make_data(server.folder / "share", server.read("user"))
        url, password = server.read("url"), server.folder / "password"
        client = ["smbclient", "//127.0.0.1/share", "-p", server.read("port"), "-U", f"{server.read('user')}%{server.read('password')}"]
        peer = measure(server, [*client, "-c", "get big/image.bin /dev/null"])
        row("SMB 1 file, smbclient get", peer)
        row("SMB 1 file, keepwell source check --read", keepwell(server, url, "big", password), peer)
        peer = measure(server, [*client, "-Tc", "/dev/null", "small"])
        row("SMB small files, smbclient tar", peer)
        row("SMB small files, keepwell source check --read", keepwell(server, url, "small", password), peer)
        first, second = rescan(server, url, work, password)
        row("SMB still files, keepwell first backup", first)
        row("SMB still files, keepwell second backup", second)


def nfs(work):
    with Server("ganesha.sh", work / "ganesha", {}) as server:
        make_data(server.folder / "share", None)
        url = server.read("url")
        # libnfs takes the port of the server only as a parameter.
        address, query = "nfs://127.0.0.1/share", f"nfsport={server.read('port')}&mountport={server.read('mountport')}"
        libnfs = {"big": f"{address}/big/image.bin?{query}", "still": f"{address}/still?{query}"}
        peer = measure(server, ["nfs-cat", libnfs["big"]])
        row("NFS 1 file, nfs-cat", peer)
        row("NFS 1 file, keepwell source check --read", keepwell(server, url, "big"), peer)
        peer = measure(server, ["nfs-ls", "-R", libnfs["still"]])
        row("NFS walk, nfs-ls -R", peer)
        row("NFS walk, keepwell source check", keepwell(server, url, "still", command=("source", "check")), peer)
        row("NFS small files, keepwell source check --read", keepwell(server, url, "small"))
        first, second = rescan(server, url, work)
        row("NFS still files, keepwell first backup", first)
        row("NFS still files, keepwell second backup", second)


def main():
    base = sys.argv[1] if len(sys.argv) > 1 else None
    if base:
        Path(base).mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="keepwell-shares-", dir=base or "/var/tmp"))
    work.chmod(0o755)
    try:
        print("| what | wall s | client CPU s | server CPU s | client RSS MiB | CPU to peer's | wall to peer's |")
        print("|---|---|---|---|---|---|---|")
        for part in os.environ.get("ONLY", "smb nfs").split():
            {"smb": smb, "nfs": nfs}[part](work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
