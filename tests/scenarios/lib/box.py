"""A box's programs on this machine: a TPM in software, keyd and diskd, each ended when the scenario ends. Owns no checks."""

import hashlib
import os
import random
import signal
import socket
import subprocess
import time
from pathlib import Path

from .checks import RUNNING
from .program import BINARY, run

KEYD = BINARY.with_name("keepwell-keyd")
DISKD = BINARY.with_name("keepwell-diskd")
BOOT_PCRS = (7, 11)


def measured(what):
    """What a PCR that was zero holds when `what` was measured into it once."""
    return hashlib.sha256(bytes(32) + hashlib.sha256(what.encode()).digest()).hexdigest()


def until(condition, seconds=120):
    """Waits for something that is bound to come."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


class Tpm:
    """swtpm with a state of its own. `boot` is a power cycle, and what firmware and boot loader measure then."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True)
        self.port = free_pair()
        self.process = None
        RUNNING.append(self.off)

    def on(self):
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate", f"dir={self.folder}",
             "--server", f"type=tcp,port={self.port},bindaddr=127.0.0.1,disconnect", "--ctrl", f"type=tcp,port={self.port + 1},bindaddr=127.0.0.1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if not until(lambda: self.tool("pcrread", "sha256:7", check=False)):
            raise RuntimeError("swtpm does not answer")

    def off(self):
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def boot(self, secure_boot, image):
        self.off()
        self.on()
        for pcr, what in zip(BOOT_PCRS, (secure_boot, image)):
            self.measure(pcr, what)

    def measure(self, pcr, what):
        # What the kernel's resource manager does on a box: objects and sessions of a program that ended are gone.
        for kind in ("-t", "-l", "-s"):
            self.tool("flushcontext", kind, check=False)
        self.tool("pcrextend", f"{pcr}:sha256={hashlib.sha256(what.encode()).hexdigest()}")

    @property
    def tcti(self):
        return f"swtpm:host=127.0.0.1,port={self.port}"

    def tool(self, *words, check=True):
        environment = {**os.environ, "TPM2TOOLS_TCTI": self.tcti, "TSS2_LOG": "all+none"}
        done = subprocess.run([f"tpm2_{words[0]}", *words[1:]], env=environment, capture_output=True, check=False)
        if check and done.returncode:
            raise RuntimeError(f"tpm2_{words[0]}: {done.stderr.decode()}")
        return done.returncode == 0


# As long as this scenario lives, no other one of this machine takes these ports.
RESERVED = []


def free_pair():
    """A port that is free, and the one above it: below those that the system gives away by itself, and others than a scenario beside this one has."""
    while True:
        port = random.SystemRandom().randrange(10_000, 19_998, 2)
        mark = socket.socket(socket.AF_UNIX)
        try:
            mark.bind(f"\0keepwell-test-port-{port}")
            for one in (port, port + 1):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", one))
        except OSError:
            mark.close()
            continue
        RESERVED.append(mark)
        return port


class Program:
    """A program of the box with a socket and a log."""

    def __init__(self, folder, binary, *arguments):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.binary, self.arguments = binary, arguments
        self.socket = self.folder / "socket"
        self.log = self.folder / "log"
        self.process = None
        RUNNING.append(self.stop)

    def command(self):
        return [self.binary, *self.arguments, "--socket", self.socket]

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([str(word) for word in self.command()], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if not until(lambda: self.process.poll() is not None or self.answers(), 180) or self.process.poll() is not None:
            raise RuntimeError(f"{Path(self.binary).name} does not start: {self.log.read_text()[-2000:]}")
        return self

    def answers(self):
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(self.socket))
            except OSError:
                return False
        return True

    def stop(self, with_signal=signal.SIGTERM):
        if self.process:
            self.process.send_signal(with_signal)
            self.process.wait()
            self.process = None

    def restart(self):
        self.stop()
        return self.start()


class Keyd(Program):
    """keyd with the image's files: whom it trusts, and which values of PCR 11 that one signed."""

    def __init__(self, folder, tpm=None, authority=None):
        super().__init__(Path(folder) / "run", KEYD)
        self.tpm, self.authority = tpm, authority
        self.state = Path(folder) / "state"
        self.policies = []

    def command(self):
        tpm = ["--tpm", self.tpm.tcti] if self.tpm else ["--without-tpm"]
        image = ["--authority", self.authority.public] if self.authority else []
        for policy in self.policies:
            image += ["--policies", policy]
        return [self.binary, "serve", "--state", self.state, *tpm, *image, "--socket", self.socket]

    def __call__(self, verb, *arguments):
        """`keepwell keys VERB`."""
        return run("keys", verb, "--keyd", self.socket, *arguments)

    def status(self):
        return self("status").report.get("status", {})

    @property
    def unlock(self):
        return f"keyd:{self.socket}"

    def print_kit(self, vault, folder, keepers=("the safe", "the notary", "Dr. Example"), form="pdf"):
        """All three papers, printed and confirmed; their files, and the runs."""
        files, runs = [], []
        for sheet, keeper in enumerate(keepers, 1):
            page = Path(folder) / f"sheet-{sheet}.{'pdf' if form == 'pdf' else 'txt'}"
            runs.append(self("print", "--vault", vault, "--sheet", sheet, "--keeper", keeper, "--format", form, "--out", page))
            text = page.with_suffix(".txt")
            if form == "pdf":
                subprocess.run(["pdftotext", "-layout", page, text], check=True)
            asked = self("confirm", "--vault", vault, "--sheet", sheet)
            words = page.with_suffix(".words")
            words.write_text("\n".join(word_at(text, place) for place in asked.report.get("places", [])))
            runs.append(self("confirm", "--vault", vault, "--sheet", sheet, "--words-file", words))
            words.unlink()
            files.append(text)
        return files, runs


def word_at(paper, place):
    rows = [line.split() for line in paper.read_text().splitlines() if line.startswith("words-")]
    return rows[place["row"] - 1][place["word"]]


class Authority:
    """The image builder: signs values of PCR 11 offline."""

    def __init__(self, folder):
        self.folder = Path(folder)
        subprocess.run([KEYD, "make-authority", "--out", self.folder], check=True, stdout=subprocess.DEVNULL)
        self.public = self.folder / "authority.pub"

    def sign(self, name, images, epoch=1):
        """A file of signed policies for images that measure so."""
        words = []
        for number, image in enumerate(images):
            words += ["--phase", f"phase-{number}", "--pcr11", measured(image)]
        made = subprocess.run([KEYD, "sign-policy", "--key", self.folder / "authority.key", "--epoch", str(epoch), *words], check=True, capture_output=True)
        file = self.folder / name
        file.write_bytes(made.stdout)
        return file
