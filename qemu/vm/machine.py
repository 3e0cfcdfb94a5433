"""A machine: the appliance's image in QEMU, with its TPM, its disks and two networks. Owns the process, the command line and the power switch."""

import contextlib
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from lib.box import free_pair
from lib.checks import RUNNING
from lib.web import Web

from . import firmware, hardware, writelog
from .agent import Agent, Silent
from .disk import Disk, copy
from .line import Line
from .qmp import Qmp
from .tpm import Tpm
from .wire import Wire

SHIPPED = firmware.IMAGE / "keepwell.img"
TEST_IMAGE = firmware.IMAGE / "keepwell-test.efi"
# The disk inside a box is bigger than the image.
SYSTEM_SIZE = 8 << 30
# The box in QEMU's own network, whose other end is 10.0.2.2.
ADDRESS = "https://10.0.2.15"
# Seconds for a whole start, on a slow machine that has others to run.
START = 900


class Machine:
    """One machine, in a folder of its own. It is off until `boot`, and off again when the scenario ends.

    disks     further ones than the image's own: `Disk("d1"), Disk("n1", "nvme")`
    test      with the test image's initrd on its copy of the disk, so that `sh` works; else exactly what ships, until `look_inside`
    firmware  `secure`, `other-keys`, `open`, `bios` (vm/firmware.py)
    tpm       a chip (another machine's too); `False`: none; nothing: a new one
    image     another disk image, or a Disk that some machine had; `False`: none
    kernel    (kernel, initrd, command line): started directly
    clock     what the clock of the board says when it is switched on, such as "1970-01-01T00:00:00"
    smbios    strings of type 11
    fw_cfg    files of QEMU's firmware interface: {name: text}
    """

    def __init__(self, folder, disks=(), *, test=True, firmware="secure", tpm=None, image=None, kernel=None, clock=None, smbios=(), fw_cfg=None, memory=2048, wired=True, system="virtio"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.name = self.folder.name
        self.disks = list(disks)
        self.test, self.firmware, self.kernel, self.clock, self.smbios, self.memory, self.wired = test, firmware, kernel, clock, list(smbios), memory, wired
        self.fw_cfg = dict(fw_cfg or {})
        self.tpm = None if tpm is False else tpm or Tpm(self.folder / "tpm")
        self.system = self._system(image, system)
        self.port = free_pair()
        self.process = self.qmp = self.agent = self.serial = self.wire = None
        self.boots = 0
        # What a scenario knows of a machine that was saved (vm/saved.py).
        self.facts = {}
        self.lost = {}
        RUNNING.append(self.end)

    def _system(self, image, kind):
        """The disk that it starts from: a copy of the image, or another machine's disk as it is."""
        if image is False:
            return None
        if isinstance(image, Disk):
            return image
        disk = Disk("system", kind, path=self.folder / "system.raw")
        copy(image or SHIPPED, disk.path)
        # Of the same build, whatever is built meanwhile.
        shutil.copy(TEST_IMAGE, self.folder / "test.efi")
        # The state is made behind what the image brings.
        if disk.path.stat().st_size < SYSTEM_SIZE:
            os.truncate(disk.path, SYSTEM_SIZE)
        if self.test:
            disk.esp().boot_only(self.folder / "test.efi")
        return disk

    def look_inside(self):
        """From the next start on with the test image's initrd, so that `sh` works."""
        self.system.esp().boot_only(self.folder / "test.efi")
        self.test = True

    # Power

    def boot(self, incoming=None, hold=False):
        """Switches it on, and returns when it runs. `incoming`: a memory that was saved. `hold`: it waits for the QMP command `cont`."""
        if self.running():
            raise RuntimeError(f"{self.name} is on")
        self.boots += 1
        for disk in self.all_disks():
            self._ready(disk)
        if self.tpm:
            self.tpm.on()
        for name in ("qmp", "serial.socket", "agent.socket"):
            (self.folder / name).unlink(missing_ok=True)
        self.wire = Wire(self.folder / "wire") if self.wired else None
        with open(self.folder / "qemu.log", "ab") as log:
            command = hardware.command(self, incoming)
            log.write((" ".join(map(str, command)) + "\n").encode())
            log.flush()
            self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            self.qmp = Qmp(self.folder / "qmp", self.running)
            self.serial = Line(self.folder / "serial.socket", self.running)
            self.agent = Agent(self.folder / "agent.socket", self.running, self.folder / "agent.log") if self.test else None
        except OSError as error:
            raise RuntimeError(f"QEMU does not start: {(self.folder / 'qemu.log').read_text()[-2000:]}") from error
        for disk in self.disks:
            # A machine that was saved has none inside: they come when it runs.
            if disk.kind == "nvme" and not incoming:
                self.plug(disk)
        if incoming:
            self._remember(incoming)
        if not hold:
            self.qmp("cont")
        return self

    def _remember(self, memory):
        self.qmp("migrate-incoming", uri=f"exec:zstd -q -d -c '{memory}'")
        end = time.monotonic() + START
        while self.qmp("query-status")["status"] == "inmigrate":
            if time.monotonic() > end:
                raise RuntimeError(f"{self.name} does not come back")
            time.sleep(0.2)

    def _ready(self, disk):
        disk.make(self.folder)
        if disk.logged and disk.kind == "nvme":
            raise ValueError(f"{disk.name}: what an NVMe disk promised is not in its log (writelog.py)")
        if disk.logged:
            disk.flatten()
            copy(disk.path, disk.before)
            disk.log.write_bytes(b"")

    def running(self):
        return self.process is not None and self.process.poll() is None

    def ready(self, seconds=START):
        """Waits until everything that is to start has; what `systemctl is-system-running` says then, or why it can't."""
        end = time.monotonic() + seconds
        if not self.agent.answers(seconds):
            return "no answer"
        state = "?"
        while time.monotonic() < end and self.running():
            # The initrd's shell goes when the system's comes, and what was asked of it goes with it.
            with contextlib.suppress(Silent):
                if self.agent.answers(30):
                    state = self.sh("[ -e /etc/initrd-release ] || systemctl is-system-running", check=False, seconds=20).output.strip() or "in its initrd"
                if state in ("running", "degraded"):
                    return state
            time.sleep(2)
        return f"still {state}"

    def reset(self):
        """The reset button: nothing is told to anybody inside."""
        self.qmp("system_reset")
        self.boots += 1

    def off(self, seconds=300, ask=True):
        """An orderly shutdown: by the shell, or the power button where there is none. `ask=False`: somebody inside was asked already. Whether it went off by itself."""
        if ask and self.agent:
            # The shell may be gone before it can say that it was asked; whether it was, the end shows.
            with contextlib.suppress(Silent):
                self.sh("systemctl --no-block poweroff", check=False, seconds=60)
        elif ask:
            self.qmp("system_powerdown")
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        went = self.process.poll() == 0
        self._gone()
        return went

    def cut(self, seed=1):
        """The power goes, now. Disks that are `logged` keep what a real one would, chosen by the seed; what they lost is in `lost`."""
        self._gone()
        for disk in self.all_disks():
            if disk.logged:
                after = disk.path.with_suffix(".after")
                self.lost[disk.name] = writelog.replay(disk.before, disk.log, after, f"{seed} {disk.name}")
                os.replace(after, disk.path)
                disk.before.unlink()
                disk.log.unlink()
        return self.lost

    def _gone(self):
        if self.running():
            self.process.kill()
            self.process.wait()
        for one in (self.qmp, self.serial, self.agent, self.wire):
            if one:
                one.close()
        self.process = self.qmp = self.agent = self.wire = None
        if self.tpm:
            self.tpm.off()

    def end(self):
        """However it is: nothing of it runs after this."""
        self._gone()

    # Inside

    def sh(self, script, check=True, seconds=120):
        """Runs a script as root, in the shell of the test image. The status and all it said."""
        done = self.agent.run(script, seconds)
        if check and done.status:
            raise RuntimeError(f"{script[:300]}: {done}")
        return done

    def put(self, path, content):
        self.agent.put(path, content)

    def get(self, path):
        return self.agent.get(path)

    def until(self, script, seconds=180):
        """Waits until a script in it succeeds."""
        end = time.monotonic() + seconds
        while self.sh(script, check=False).status:
            if time.monotonic() > end:
                return False
            time.sleep(1)
        return True

    # What stands in front of it, and whoever is on its network

    def web(self, **more):
        """Somebody at the console, at the address that the box has in its first network."""
        return Web(ADDRESS, through=("127.0.0.1", self.port), **more)

    def picture(self, path):
        """What the screen at the box shows, as PNG."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        self.qmp("screendump", filename=str(path), format="png")
        return path

    def press(self, *keys):
        """Keys of the keyboard at the box, one after the other, by QEMU's names (`1`, `a`, `ret`, `esc`); `ctrl-alt-delete` presses together."""
        for key in keys:
            self.qmp("send-key", keys=[{"type": "qcode", "data": one} for one in key.split("-")])
            time.sleep(0.2)

    # Disks and what befalls them

    def all_disks(self):
        return ([self.system] if self.system else []) + self.disks

    def disk(self, name):
        return next(disk for disk in self.all_disks() if disk.name == name)

    def plug(self, disk):
        """Puts an NVMe disk in: a new one, or one that was pulled."""
        if disk not in self.disks:
            self.disks.append(disk)
            self._ready(disk)
        for node in hardware.nodes(disk):
            self.qmp("blockdev-add", **node)
        self.qmp("device_add", **hardware.nvme(disk, self.disks))

    def unplug(self, disk, seconds=120):
        """Pulls an NVMe disk while the machine runs. Its file stays as it is."""
        self.qmp("device_del", id=disk.name)
        if self.qmp.wait("DEVICE_DELETED", seconds, lambda data: data.get("device") == disk.name) is None:
            raise RuntimeError(f"{disk.name} is not let go")
        for node in reversed(hardware.nodes(disk)):
            self.qmp("blockdev-del", **{"node-name": node["node-name"]})
        self.qmp.wait("DEVICE_DELETED", 0)

    def nvme_critical_warning(self, disk, warning=4):
        """What the disk says of itself from now on (NVMe base specification, SMART log, byte 0): 4 is "reliability degraded", 0 all well."""
        self.qmp("qom-set", path=f"/machine/peripheral/{disk.name}", property="smart_critical_warning", value=warning)

    # What is left for a reader

    def tails(self, lines=25):
        """The ends of its logs."""
        text = []
        for name in ("serial.log", "agent.log", "qemu.log", "tpm/log"):
            path = self.folder / name
            if path.exists():
                tail = re.sub(r"\x1b(\[[0-?]*[ -/]*[@-~]|[ -/]*[0-~])", "", path.read_text(errors="replace")).replace("\r", "").splitlines()[-lines:]
                text += [f"{self.name}: end of {name}", *(f"  {line[:300]}" for line in tail)]
        return "\n".join(text)
