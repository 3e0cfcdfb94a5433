#!/usr/bin/python3
"""Servers that lie, babble, stall or try to break out: every run ends in bounded time and memory, says what is wrong, and nothing is written outside
a restore's target. The server is tests/smb-server, which knows no other end but this protocol's.
"""

import json
import os
import struct
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lib.checks import RUNNING, Checks, full_size, remove
from lib.compare import walk
from lib.program import ROOT, Vault, source

MEMORY = 300
# The longest wait of all is a fraction of it, also where twenty of them share a busy machine.
BOUND = 600
COMPLETE, FAILED, PARTIAL = 0, 1, 3
checks = Checks("hostile-server")


def main():
    password = checks.scratch / "password"
    password.write_text("clinic\n")
    Scripted.binary = program()
    vault = Vault(checks.scratch / "vault", "1+0")
    slow = [case for case in CASES if case.slow]
    waiting = [(case, threading.Thread(target=case.run, args=(password, Vault(checks.scratch / f"slow-{number}", "1+0")))) for number, case in enumerate(slow)]
    for _, thread in waiting:
        thread.start()
    for case in CASES:
        if not case.slow:
            with checks.part(case.name):
                case.run(password, vault)
                case.judge(vault)
    for case, thread in waiting:
        with checks.part(case.name):
            thread.join()
            case.judge(case.vault)
    checks.finish()


# The server

def program():
    """The server's program, built where it is not."""
    given = os.environ.get("KEEPWELL_SMB_SERVER")
    if given:
        return Path(given)
    subprocess.run(["cargo", "build", "--quiet", "--release", "--locked", "--package", "keepwell-smb-server"], cwd=ROOT, check=True)
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/keepwell-smb-server"


class Scripted:
    """A server with a script; ends when its standard input does."""

    binary = None

    def __init__(self, script):
        self.folder = checks.scratch / f"server-{id(self)}"
        self.folder.mkdir()
        (self.folder / "script.json").write_text(json.dumps(script))
        port = self.folder / "port"
        command = [self.binary, "--script", self.folder / "script.json", "--port-file", port]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        RUNNING.append(self.stop)
        wait = threading.Event()
        while self.process.poll() is None and not (port.exists() and port.read_text().strip()):
            wait.wait(0.02)
        if self.process.poll() is not None:
            raise RuntimeError(self.process.stderr.read().decode())
        self.url = f"smb://keepwell-test@127.0.0.1:{int(port.read_text())}/share"

    def stop(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


# The cases

def file(name, **what):
    return {"name": name, "text": "here", **what}


def units(text):
    return list(struct.unpack(f"<{len(text)}H", text.encode("utf-16-le")))


GOOD = [file("good.txt"), {"name": "sub", "folder": [file("also good.txt")]}, file("z last.txt")]
# Of the tree above; what may be missing is the rest.
KEPT = {b"/good.txt", b"/sub/also good.txt", b"/z last.txt"}
OUTSIDE = ["../escaped", "..\\escaped", "..", ".", "a/b", "a\\b", "/absolute", "C:\\escaped", "sub/../../escaped", "nul\0byte", ""]


@dataclass
class Case:
    """A script and what has to become of a backup: its exit status, words that it says, whether the good files are there."""

    name: str
    script: dict
    statuses: tuple
    says: str = ""
    kept: bool = False
    slow: bool = False
    results: list = field(default_factory=list)
    vault: Vault = None

    def run(self, password, vault):
        server = Scripted(self.script)
        keys = ("--password-file", password)
        self.vault = vault
        # Side by side where it takes long.
        with ThreadPoolExecutor(2 if self.slow else 1) as pool:
            checked = pool.submit(source, "check", server.url, *keys, timeout=BOUND)
            saved = pool.submit(vault.backup, server.url, *keys, name=f"case {self.name}", timeout=BOUND)
        self.results = [checked.result(), saved.result()]
        server.stop()

    def judge(self, vault):
        checked, run = self.results
        bounded = all(one.peak_mib < MEMORY and one.status in (0, 1, 3) for one in self.results)
        times = ", ".join(f"{one.seconds:.1f} s, {one.peak_mib} MiB" for one in self.results)
        checks.check(f"check and backup end, in bounded memory ({times})", bounded, f"{checked}\n{run}")
        clear = run.status == 0 or run.status == 3 and (run.report.get("gaps") or run.report.get("inconsistent") or run.report.get("held")) or run.is_clear(self.says or ".")
        checks.check(f"exit {run.status}, and says why", run.status in self.statuses and clear, run)
        if run.report.get("snapshot"):
            self.restore(vault, run)

    def restore(self, vault, run):
        """All that came of it lies inside the target."""
        home = checks.scratch / "outside" / "around"
        home.mkdir(parents=True)
        back = vault.restore(run.report["snapshot"], home / "target", timeout=BOUND)
        outside = [path for path, _ in walk(home.parent, lambda *_: None) if not path.startswith(b"/around/target/") and path not in (b"/around", b"/around/target")]
        found = {path for path, _ in walk(home / "target", lambda *_: None)} if (home / "target").exists() else set()
        checks.check("restore: nothing lies outside the target", not outside and back.status in (0, 3) and back.peak_mib < MEMORY, f"{outside}\n{back}")
        if self.kept:
            checks.check("restore: all that was good is there", found >= KEPT, f"{KEPT - found}\n{back}")
        remove(home.parent)


def tree(*more, **rest):
    return {"tree": [*GOOD, *more], **rest}


def quirk(name, *more, **quirks):
    """A file that lies, or a folder where `more` is in it."""
    return {"name": name, "folder": list(more), "quirks": quirks} if more or {"endless", "repeats", "also_lists"} & quirks.keys() else {"name": name, "size": 300_000, "seed": 3, "quirks": quirks}


def fault(command, what, path=None, **more):
    return {"command": command, "fault": what, **({"path": path} if path else {}), **more}


HUGE = [255] * 4
CASES = [
    Case("a decent server", tree(), (COMPLETE,), kept=True),
    Case("names that lead out", tree(quirk("evil", file("inside"), also_lists=[units(name) for name in OUTSIDE])), (PARTIAL, FAILED), kept=True),
    Case("names that lead out, in the root", tree(*({"name": units(name), "text": "out"} for name in OUTSIDE if name not in ("", ".", ".."))), (PARTIAL, FAILED)),
    Case("a stream that leads out", tree(file("streams", streams=[{"name": "../../escaped", "text": "out"}, {"name": "a\\b", "text": "out"}])), (COMPLETE, PARTIAL, FAILED), kept=True),
    Case("a folder without end", tree(quirk("endless", endless=True)), (PARTIAL, FAILED), slow=True),
    Case("a listing that repeats itself", tree(quirk("again", file("one"), file("two"), repeats=True)), (PARTIAL, FAILED, COMPLETE), slow=True),
    Case("a folder within itself", tree({"name": "loop", "folder": [{"name": "again", "same_as": "loop"}]}), (PARTIAL, FAILED, COMPLETE), slow=True),
    Case("smaller than it says", tree(quirk("liar", claimed_size=10**12)), (PARTIAL,), kept=True, slow=True),
    Case("larger than it says", tree(quirk("liar", claimed_size=5)), (PARTIAL, COMPLETE), kept=True),
    Case("more than was asked for", tree(quirk("generous", read_extra=70_000)), (PARTIAL, FAILED)),
    Case("a byte at a time", tree({"name": "mean", "size": 3000, "seed": 3, "quirks": {"read_at_most": 1}}), (COMPLETE, PARTIAL, FAILED), kept=True),
    Case("grows with each read", tree(quirk("grows", grows=100_000)), (PARTIAL,), kept=True),
    Case("never twice the same", tree(quirk("flickers", flickers=True)), (PARTIAL,), kept=True),
    Case("answers out of order", tree(faults=[fault("read", {"delay": 30}), fault("query_info", {"after": 2}), fault("close", {"delay": 10})]), (COMPLETE,), kept=True),
    Case("interim answers", tree(faults=[fault("read", {"pending": 20}), fault("create", {"pending": 5})]), (COMPLETE,), kept=True),
    Case("answers twice", tree(faults=[fault("read", "twice")]), (COMPLETE, FAILED, PARTIAL)),
    Case("answers to questions that nobody asked", tree(faults=[fault("create", {"message_id": 999_999}, skip=4)]), (FAILED, PARTIAL), slow=True),
    Case("no answers for a while", tree(faults=[fault("read", "silence", times=2)]), (COMPLETE,), kept=True, slow=True),
    *([Case("no answers", tree(faults=[fault("read", "silence")]), (FAILED, PARTIAL), slow=True)] if full_size() else []),
    Case("no credits", tree(faults=[fault("create", {"credits": 0}), fault("close", {"credits": 0}), fault("read", {"credits": 0})]), (FAILED, PARTIAL, COMPLETE), slow=True),
    Case("garbage instead of an answer", tree(faults=[fault("query_directory", {"instead": [0, 0, 0, 40, *range(40)]})]), (FAILED,), slow=True),
    Case("a frame of 16 MiB that never comes", tree(faults=[fault("query_directory", {"instead": [0, 255, 255, 255, 1, 2, 3]})]), (FAILED,), slow=True),
    Case("no SMB at all", tree(faults=[fault("negotiate", {"instead": list(b"HTTP/1.1 400 Bad Request\r\n\r\n")})]), (FAILED,)),
    Case("half an answer", tree(faults=[fault("query_directory", {"truncate": 70})]), (FAILED, PARTIAL), slow=True),
    Case("lengths that lie: listing", tree(faults=[fault("query_directory", {"patch": [66, [255, 255, 255, 255, 255, 255]]})]), (FAILED, PARTIAL), slow=True),
    Case("lengths that lie: information", tree(faults=[fault("query_info", {"patch": [66, HUGE]})]), (FAILED, PARTIAL), slow=True),
    Case("lengths that lie: data", tree(faults=[fault("read", {"patch": [68, HUGE]})]), (FAILED, PARTIAL), slow=True),
    Case("entries that lead to themselves", tree(faults=[fault("query_directory", {"patch": [72, [0, 0, 0, 128]]})]), (FAILED, PARTIAL), slow=True),
    Case("wrong signatures", tree(faults=[fault("read", "wrong_signature")]), (FAILED, PARTIAL), slow=True),
    Case("a man in the middle", tree(faults=[fault("read", {"tamper": [81, [1]]})]), (FAILED, PARTIAL), slow=True),
    Case("not signed", tree(faults=[fault("tree_connect", "unsigned")]), (FAILED,), slow=True),
    Case("signed with zeros", tree(faults=[fault("tree_connect", "blank_signature")]), (FAILED,), slow=True),
    Case("a guest", tree(faults=[fault("session_setup", "guest")]), (FAILED,), says="guest"),
    Case("nobody", tree(faults=[fault("session_setup", "anonymous")]), (FAILED,), says="anonym|guest|nobody"),
    Case("SMB 1", tree(faults=[fault("negotiate", "smb1")]), (FAILED,), says="only speaks SMB 1"),
    Case("SMB 2.0.2", tree(options={"dialects": [0x0202]}), (FAILED,), says="2\\.|dialect|version|speak"),
    Case("a dialect that was not offered", tree(faults=[fault("negotiate", {"dialect": 0x0412})]), (FAILED,), says="dialect|version|negotiat|answer|understood|speak"),
]


if __name__ == "__main__":
    main()
