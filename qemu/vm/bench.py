"""What a scenario's machines stand on. Owns their folders, and what is said of them when something fails."""

import inspect
import shutil

from lib.checks import RUNNING
from lib.program import ROOT

from . import firmware, saved
from .machine import SHIPPED, TEST_IMAGE, Machine

LOGS = ROOT / "target/qemu/logs"
KEPT = ("serial.log", "agent.log", "qemu.log", "wire/frames.pcap")


class Bench:
    """`bench.machine("box", ...)` is a Machine in a folder of that name. After a failed check the ends of all logs are printed, and the logs stay in target/qemu/logs."""

    def __init__(self, checks, image=True):
        self.checks = checks
        self.machines = []
        missing = firmware.tools() + ([str(path) for path in (SHIPPED, TEST_IMAGE) if image and not path.exists()])
        if missing:
            raise SystemExit(f"{checks.name}: missing: {', '.join(missing)}. First: tests/setup image qemu, make image")
        self.logs = LOGS / checks.name
        shutil.rmtree(self.logs, ignore_errors=True)
        RUNNING.append(self._tell)

    def machine(self, name, disks=(), **more):
        machine = Machine(self.checks.scratch / name, disks, **more)
        # It has to be looked at before it goes.
        RUNNING.remove(machine.end)
        self.machines.append(machine)
        return machine

    def resumed(self, name, make, logged=False):
        """A running machine as `make(bench)` once made one. It is made again when the image, this library or the module of `make` is another. `logged`: as the disks of a machine that will lose its power."""
        folder = saved.SAVED / f"{make.__name__}-{saved.key(inspect.getsource(inspect.getmodule(make)))}"
        with saved.alone(make.__name__):
            if not folder.exists():
                for old in saved.SAVED.glob(f"{make.__name__}-*"):
                    shutil.rmtree(old)
                machine, facts = make(self)
                saved.save(machine, folder, facts)
        machine = saved.resume(folder, self.checks.scratch / name, logged=logged)
        RUNNING.remove(machine.end)
        self.machines.append(machine)
        return machine

    def _tell(self):
        for machine in self.machines:
            machine.end()
            if self.checks.failed:
                print(machine.tails())
                for name in KEPT:
                    if (machine.folder / name).exists():
                        (self.logs / machine.name).mkdir(parents=True, exist_ok=True)
                        shutil.copy(machine.folder / name, self.logs / machine.name)
        if self.checks.failed and self.machines:
            print(f"all logs: {self.logs.relative_to(ROOT)}")
