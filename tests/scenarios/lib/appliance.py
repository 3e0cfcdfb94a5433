"""A whole box in one folder (`keepwell dev`), with the commands on it. Its programs can be killed; the box starts them again, as a service manager would. Owns no checks."""

import hashlib
import json
import os
import signal
import socket
import subprocess

from .asking import ask
from .box import until
from .checks import RUNNING
from .program import BINARY, run

PROGRAMS = ("keyd", "authd", "notifyd", "ingestd", "replicad", "vaultd")


class Appliance:
    """One box. `box("status")` is `keepwell --box FOLDER status`. `within` goes before its command: another network, say."""

    def __init__(self, folder, *options, within=()):
        self.folder, self.options, self.within = folder, options, within
        self.process = None
        RUNNING.append(self.stop)
        self.start()

    def start(self):
        command = [str(word) for word in [*self.within, BINARY, "dev", "--folder", self.folder, *self.options, "--json"]]
        with open(f"{self.folder}.log", "ab") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        line = self.process.stdout.readline()
        self.ready = json.loads(line) if line.startswith("{") else {}
        if self.ready.get("event") != "ready":
            self.stop()
            logs = "\n".join(f"{log.name}: {log.read_text()[-1500:]}" for log in sorted(self.folder.glob("log/*")))
            raise RuntimeError(f"keepwell dev does not start: {line}\n{logs}")
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.stdout.read()
            self.process.wait()
            self.process = None

    def __call__(self, *words, **more):
        return run("--box", self.folder, *words, **more)

    def pid(self, name):
        try:
            return int((self.folder / "run" / f"{name}.pid").read_text())
        except (OSError, ValueError):
            return None

    def kill(self, name):
        """Without warning. Whether there was one to kill."""
        pid = self.pid(name)
        if pid is None:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def kill_job(self, which=0):
        """One of the processes that speak to servers. Whether there was one."""
        parent = self.pid("ingestd")
        jobs = [int(pid) for pid in subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True, check=False).stdout.split()] if parent else []
        if not jobs:
            return False
        try:
            os.kill(jobs[which % len(jobs)], signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def settled(self, seconds=180):
        """Waits until all programs answer and the vault is open."""
        others = ("keyd", "authd", "notifyd", "ingest", "replicad")
        return until(lambda: self.get("vaultd", "/v1/vault").get("unready", 1) is None and all(map(self.answers, others)), seconds)

    def answers(self, name):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.folder / "run" / f"{name}.sock"))
            except OSError:
                return False
        return True

    def get(self, program, route):
        """A JSON answer, or nothing."""
        try:
            answer = ask(self.folder / "run" / f"{program}.sock", "GET", route)
        except OSError:
            return {}
        return answer.report if answer.status == 200 else {}

    def sign_in(self):
        owner = self.ready["owner"]
        return self("sign-in", "--user", owner["user"], "--password-file", owner["password_file"], "--totp-file", owner["totp_file"])

    def granted(self, verb, route, body):
        """What takes a grant, for the owner who is signed in; signed in again where a second factor has to be shown."""
        answer = self.granted_once(verb, route, body)
        if answer.code == "step-up" and self.sign_in().status == 0:
            answer = self.granted_once(verb, route, body)
        return answer

    def granted_once(self, verb, route, body):
        content = json.dumps(body).encode()
        with open(self.ready["owner"]["session_file"], encoding="utf-8") as file:
            session = json.load(file)["session"]
        order = {"session": session, "verb": verb, "arguments": hashlib.sha256(content).hexdigest()}
        grant = ask(self.folder / "run/authd.sock", "POST", "/v1/grants", order)
        if grant.status != 200:
            return grant
        return ask(self.folder / "run/vaultd.sock", "POST", route, content, headers={"keepwell-grant": grant.report["grant"]})

    def promise(self, **changes):
        """Changes the policy of each tier; `one`, `two`, `three` name what is different for one of them."""
        answers = []
        for policy in self.get("vaultd", "/v1/policies"):
            wanted = {**policy, **{name: value for name, value in changes.items() if name not in ("one", "two", "three")}, **changes.get(policy["tier"], {})}
            answers.append(self.granted("policy-change", "/v1/policies", wanted))
            if answers[-1].code == "grant-other-verb":
                answers[-1] = self.granted("policy-loosen", "/v1/policies", wanted)
        return answers

    def resident_mib(self):
        """Memory of all programs together, in MiB: what each has for itself (Pss)."""
        total = 0
        for name in PROGRAMS:
            pid = self.pid(name)
            for line in open(f"/proc/{pid}/smaps_rollup", encoding="ascii") if pid else ():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        return total / 1024
