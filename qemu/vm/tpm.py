"""A TPM in software. Owns swtpm and the folder that is its memory: the folder is the chip, and whoever has it has the chip."""

import subprocess
import time
from pathlib import Path

from lib.checks import RUNNING


class Tpm:
    """One chip. A machine switches it on with itself; another folder is another chip."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.control = self.folder / "control"
        self.process = None
        RUNNING.append(self.off)

    def on(self):
        """Ends by itself when the machine does."""
        self.off()
        self.control.unlink(missing_ok=True)
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                ["swtpm", "socket", "--tpm2", "--tpmstate", f"dir={self.folder}", "--ctrl", f"type=unixio,path={self.control}", "--terminate"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while not self.control.exists():
            if time.monotonic() > end or self.process.poll() is not None:
                raise RuntimeError(f"swtpm does not start: {(self.folder / 'log').read_text()[-1000:]}")
            time.sleep(0.02)

    def off(self):
        """The power is gone."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def options(self):
        """What a machine with this chip is started with."""
        return ["-chardev", f"socket,id=tpm,path={self.control}", "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"]
