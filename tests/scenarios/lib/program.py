"""Runs the keepwell program as a person would, with --json. Owns nothing of the vault but where it lies."""

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("KEEPWELL", ROOT / "target/release/keepwell"))


@dataclass
class Run:
    """What one run of the program gave back."""

    command: list
    status: int
    report: dict
    errors: str
    seconds: float = 0
    peak_mib: int = 0

    def __str__(self):
        """What a reader of a failed check needs: no progress, no places of vault and kit, the beginnings of lists."""
        words = [word for at, word in enumerate(map(str, self.command)) if at and {self.command[at - 1], word}.isdisjoint({"--vault", "--unlock"})]
        errors = [line for line in self.errors.splitlines() if '"event":"progress"' not in line]
        report = {name: value[:3] + ["..."] * (len(value) > 3) if isinstance(value, list) else value for name, value in self.report.items()}
        return "\n".join([f"exit {self.status} after {self.seconds:.1f} s: {' '.join(words)}", *errors, json.dumps(report, ensure_ascii=False)[:2000]])

    @property
    def message(self):
        """What a person is told of a failure: the error, its causes, and whatever else is on standard error but JSON lines."""
        lines = [line for line in self.errors.splitlines() if line.strip() and not line.startswith("{")]
        return "\n".join([str(self.report.get("error", "")), *map(str, self.report.get("causes", [])), *lines]).strip()

    def is_clear(self, pattern):
        """Whether the failure is one short message that says what `pattern` wants, and no crash."""
        crash = re.search(r"panicked at|RUST_BACKTRACE|stack backtrace", self.errors)
        return not crash and 0 < len(self.message) < 1500 and bool(re.search(pattern, self.message, re.IGNORECASE))

    @property
    def is_plain(self):
        """Of a restore from a share into a folder: whether nothing is missing but descriptors, which have no place there (so it is partial)."""
        others = [item for item in self.report.get("warnings", []) if "descriptor: this file system has none" not in item.get("text", "")]
        return self.status in (0, 3) and not others and self.report.get("missing") == [] and self.report.get("differences") == []

    def paths(self, field):
        """The paths (bytes) of a list of the report."""
        return [bytes.fromhex(item["path_hex"]) if "path_hex" in item else item["path"].encode() for item in self.report.get(field, [])]


def run(*arguments, user=None, timeout=900, binary=BINARY, within=()):
    """Runs `keepwell ARGUMENTS --json`, as another user or in another network where asked. One that takes too long is ended, and its status is -9."""
    command = [str(binary), *map(str, arguments), "--json"]
    began = time.monotonic()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen([*within, *as_user(user), *command], stdin=subprocess.DEVNULL, stdout=output, stderr=errors)
        end = threading.Timer(timeout, process.kill)
        end.start()
        _, status, usage = os.wait4(process.pid, 0)
        end.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        seconds = time.monotonic() - began
        return Run(command, process.returncode, parse(output.read()), errors.read().decode(errors="replace"), seconds, usage.ru_maxrss // 1024)


def start(*arguments, binary=BINARY, errors=subprocess.DEVNULL, within=()):
    """Starts it and returns the process."""
    command = [*within, str(binary), *map(str, arguments), "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors)


def source(verb, url, *options, **more):
    """`keepwell source VERB URL`."""
    return run("source", verb, *options, url, **more)


def parse(text):
    """The one object on standard output; an empty one where there is none."""
    try:
        report = json.loads(text)
    except ValueError:
        return {"unparsed": text.decode(errors="replace")} if text.strip() else {}
    return report if isinstance(report, dict) else {"unparsed": report}


def as_user(user):
    return ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups"] if user is not None else []


class Vault:
    """A vault's folder, its kit, and the commands on it."""

    def __init__(self, folder, layout="2+1", disks=None, user=None, binary=BINARY, passphrase=None):
        self.folder = Path(folder)
        self.dir = self.folder / "vault"
        self.kit = self.folder / "kit"
        self.layout = layout
        self.data, self.parity = map(int, layout.split("+"))
        self.disks = disks or self.data + self.parity
        self.user = user
        self.binary = binary
        self.folder.mkdir(parents=True, exist_ok=True)
        if user is not None:
            os.chown(self.folder, user, user)
        self.unlock = f"kit:{self.kit}/kit-1.txt,{self.kit}/kit-3.txt"
        extra = ["--passphrase-file", passphrase] if passphrase else []
        self.made = self._run("init", "--disks", self.disks, "--layout", layout, "--kit-out", self.kit, "--test", *extra, locked=True)
        if self.made.status != 0:
            raise RuntimeError(f"vault init: {self.made}")

    def _run(self, verb, *arguments, locked=False, unlock=None, timeout=900):
        keys = [] if locked else ["--unlock", unlock or self.unlock]
        return run("vault", verb, "--vault", self.dir, *keys, *arguments, user=self.user, binary=self.binary, timeout=timeout)

    def backup(self, source, *options, name="main", **more):
        return self._run("backup", "--name", name, *options, source, **more)

    def start_backup(self, source, *options, name="main"):
        return start("vault", "backup", "--vault", self.dir, "--unlock", self.unlock, "--name", name, *options, source, binary=self.binary)

    def restore(self, snapshot, target, *options, path=None, **more):
        return self._run("restore", snapshot, *(["--path", path] if path else []), *options, "--to", target, **more)

    def list(self, **more):
        return self._run("list", **more)

    def ls(self, snapshot, *path):
        return self._run("ls", snapshot, *path)

    def diff(self, old, new):
        return self._run("diff", old, new)

    def verify(self, data=False, keys=True):
        return self._run("verify", *(["--data"] if data else []), locked=not keys)

    def repair(self, keys=True):
        return self._run("repair", locked=not keys)

    def disk(self, number):
        return self.dir / f"disk-{number}"

    def forget_cache(self):
        shutil.rmtree(self.dir / "cache", ignore_errors=True)
