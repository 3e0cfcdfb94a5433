"""Machines saved while they run, so that a scenario begins in seconds: memory, disks, firmware's variables and chip. Owns the folder of such a machine (target/qemu/saved)."""

import fcntl
import hashlib
import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from lib.program import ROOT

from . import firmware
from .disk import Disk
from .machine import SHIPPED, TEST_IMAGE, Machine
from .tpm import Tpm

SAVED = ROOT / "target/qemu/saved"
# What such a machine is made by, of this library.
MAKERS = ("boxes", "disk", "firmware", "hardware", "practice", "saved", "tpm")
# Seconds to write or read a memory of 2 GiB.
SLOW = 600


@contextmanager
def alone(name):
    """Nobody else makes a machine of this name meanwhile: two scenarios at a time want the same one, and the second takes what the first has made."""
    SAVED.mkdir(parents=True, exist_ok=True)
    with open(SAVED / f".{name}", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def save(machine, folder, facts=None):
    """Stops a machine for good and keeps it in `folder`; its files move there. `facts`: what a scenario has to know of it, as JSON. NVMe disks can't be saved: they are pulled first."""
    folder = Path(folder)
    for disk in [disk for disk in machine.disks if disk.kind == "nvme"]:
        machine.unplug(disk)
        machine.disks.remove(disk)
    machine.qmp("stop")
    memory = machine.folder / "memory.zst"
    machine.qmp("migrate-set-parameters", **{"max-bandwidth": 1 << 40})
    machine.qmp("migrate", uri=f"exec:zstd -q -1 > '{memory}'")
    end = time.monotonic() + SLOW
    while (state := machine.qmp("query-migrate").get("status")) != "completed":
        if state in ("failed", "cancelled") or time.monotonic() > end:
            raise RuntimeError(f"{machine.name} is not saved: {state}")
        time.sleep(0.2)
    wire = machine.wire.known() if machine.wire else None
    machine.qmp("quit")
    machine.process.wait(60)
    machine.end()
    shutil.rmtree(folder, ignore_errors=True)
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    disks = []
    for disk in machine.all_disks():
        disk.flatten()
        shutil.move(disk.path, part / f"{disk.name}.raw")
        disks.append({**asdict(disk), "path": f"{disk.name}.raw", "logged": False})
    shutil.move(memory, part)
    if (machine.folder / "variables.fd").exists():
        shutil.move(machine.folder / "variables.fd", part)
    if machine.tpm:
        shutil.copytree(machine.tpm.folder, part / "tpm", ignore=shutil.ignore_patterns("control", "log"))
    options = {name: getattr(machine, name) for name in ("test", "firmware", "kernel", "clock", "smbios", "fw_cfg", "memory", "wired")}
    about = {"disks": disks, "system": bool(machine.system), "tpm": bool(machine.tpm), "options": options, "wire": wire, "facts": facts or {}}
    (part / "machine.json").write_text(json.dumps(about, indent=1))
    part.rename(folder)


def resume(folder, where, clock=True, logged=False):
    """A running machine in folder `where`, as it was when it was saved in `folder`; that one stays as it is. `clock`: it is told what time it is now. `logged`: all writes of its disks are, from now on."""
    folder, where = Path(folder), Path(where)
    about = json.loads((folder / "machine.json").read_text())
    where.mkdir(parents=True)
    disks = [overlay(Disk(**{**disk, "path": folder / disk["path"], "logged": logged}), where) for disk in about["disks"]]
    system = disks.pop(0) if about["system"] else False
    if (folder / "variables.fd").exists():
        shutil.copy(folder / "variables.fd", where)
    if about["tpm"]:
        shutil.copytree(folder / "tpm", where / "tpm")
    machine = Machine(where, disks, image=system, tpm=Tpm(where / "tpm") if about["tpm"] else False, **about["options"])
    machine.facts = about["facts"]
    machine.boot(incoming=folder / "memory.zst", hold=True)
    if machine.wire:
        machine.wire.recall(about["wire"])
    machine.qmp("cont")
    if clock and machine.agent:
        # Whole seconds are all that can be said, so it is said as one begins.
        time.sleep(1 - time.time() % 1)
        machine.sh(f"date -u -s @{time.time():.0f} > /dev/null")
    return machine


def overlay(disk, where):
    """The same disk, whose changes go into a file of this machine."""
    path = where / f"{disk.name}.qcow2"
    subprocess.run([firmware.QEMU_IMG, "create", "-q", "-f", "qcow2", "-F", disk.form, "-b", disk.path.resolve(), path], check=True)
    disk.path, disk.form = path, "qcow2"
    return disk


def key(*texts):
    """What a saved machine depends on: the image, QEMU, this library, and the texts of whoever makes it."""
    found = hashlib.sha256(firmware.version().encode())
    for path in (SHIPPED, TEST_IMAGE):
        state = path.stat() if path.exists() else None
        found.update(f"{path} {state and (state.st_size, state.st_mtime_ns)}".encode())
    for name in MAKERS:
        found.update(Path(__file__).with_name(f"{name}.py").read_bytes())
    for text in texts:
        found.update(text.encode())
    return found.hexdigest()[:16]
