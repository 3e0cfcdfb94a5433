"""QEMU's command line for a machine. Owns what the board has and where; starts nothing."""

import json
import os

from . import firmware
from .disk import PHYSICAL, SECTOR

# Double width compare-and-swap is off: with it, kernel 6.12 failed now and then without hardware support. What the box's ciphers and hashes use is on.
PROCESSOR = "qemu64,-cx16,+aes,+pclmulqdq,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand"
# Root ports for disks that come and go. Always all of them, since a saved machine must be the same one.
SLOTS = 4
BOX_MAC, WIRE_MAC = "52:54:00:4b:57:01", "52:54:00:4b:57:02"


def command(machine, incoming=None):
    """All words. The machine begins halted, so that nothing is missed of what it says first."""
    folder = machine.folder
    words = [firmware.QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-S", "-name", machine.name]
    words += firmware.options(machine.firmware, folder)
    words += ["-accel", os.environ.get("KEEPWELL_ACCEL", "tcg,thread=multi"), "-cpu", PROCESSOR, "-smp", "2", "-m", machine.memory]
    words += ["-qmp", f"unix:{folder}/qmp,server=on,wait=off"]
    words += ["-chardev", f"socket,id=serial,path={folder}/serial.socket,server=on,wait=off,logfile={folder}/serial.log,logappend=on", "-serial", "chardev:serial"]
    words += ["-device", "VGA", "-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]
    words += ["-chardev", f"socket,id=agent,path={folder}/agent.socket,server=on,wait=off", "-device", "virtserialport,chardev=agent,name=keepwell.test"]
    words += machine.tpm.options() if machine.tpm else []
    words += networks(machine)
    for slot in range(SLOTS):
        words += ["-device", f"pcie-root-port,id=slot{slot},chassis={slot + 1},slot={slot + 1}"]
    for number, disk in enumerate(disk for disk in machine.all_disks() if disk.kind != "nvme"):
        words += fixed(disk, number, disk is machine.system)
    if machine.kernel:
        kernel, initrd, line = machine.kernel
        words += ["-kernel", kernel, "-initrd", initrd, "-append", line]
    for value in machine.smbios:
        words += ["-smbios", f"type=11,value={value.replace(',', ',,')}"]
    for name, text in machine.fw_cfg.items():
        words += ["-fw_cfg", f"name={name},string={text.replace(',', ',,')}"]
    if machine.clock:
        words += ["-rtc", f"base={machine.clock},clock=vm"]
    if incoming:
        words += ["-incoming", "defer"]
    return words


def networks(machine):
    """The first card: whoever is on this machine reaches the console, and at the port above it the one for other boxes; the box reaches this machine's servers at 10.0.2.2. The second: vm/wire.py."""
    words = ["-netdev", f"user,id=lan,hostfwd=tcp:127.0.0.1:{machine.port}-:443,hostfwd=tcp:127.0.0.1:{machine.port + 1}-:8484", "-device", f"virtio-net-pci,netdev=lan,mac={BOX_MAC},romfile="]
    if machine.wire:
        words += ["-netdev", f"dgram,id=wire,local.type=unix,local.path={machine.wire.box},remote.type=unix,remote.path={machine.wire.ours}"]
        words += ["-device", f"virtio-net-pci,netdev=wire,mac={WIRE_MAC},romfile="]
    return words


def nodes(disk):
    """The layers of a disk inside QEMU, lowest first; the last one is what the device has."""
    # Written back like a real disk's cache: what was not flushed is not promised.
    found = [{"driver": "file", "filename": str(disk.path), "node-name": f"{disk.name}-file", "discard": "unmap", "cache": {"no-flush": False}}]
    if disk.form != "raw":
        found.append({"driver": disk.form, "file": f"{disk.name}-file", "node-name": f"{disk.name}-{disk.form}", "discard": "unmap"})
    if disk.errors:
        found.append({"driver": "blkdebug", "image": found[-1]["node-name"], "node-name": f"{disk.name}-errors", "inject-error": disk.errors})
    if disk.logged:
        found.append({"driver": "file", "filename": str(disk.log), "node-name": f"{disk.name}-writes"})
        found.append({"driver": "blklogwrites", "file": found[-2]["node-name"], "log": f"{disk.name}-writes", "node-name": f"{disk.name}-logged"})
    return found


def fixed(disk, number, first):
    """A disk that is in from the start."""
    words = []
    for node in nodes(disk):
        words += ["-blockdev", json.dumps(node)]
    order = ",bootindex=0" if first else ""
    sectors = f"logical_block_size={SECTOR},physical_block_size={PHYSICAL}"
    if disk.kind == "virtio":
        device = f"virtio-blk-pci,id={disk.name},drive={node['node-name']},serial={disk.serial},write-cache=on,{sectors}{order}"
    else:
        device = f"ide-hd,id={disk.name},drive={node['node-name']},serial={disk.serial},bus=ide.{number},write-cache=on,rotation_rate=7200,{sectors}{order}"
    return [*words, "-device", device]


def nvme(disk, disks):
    """An NVMe disk, behind a root port of its own."""
    slot = [one for one in disks if one.kind == "nvme"].index(disk)
    if slot >= SLOTS:
        raise ValueError(f"there are {SLOTS} places for NVMe disks")
    return {"driver": "nvme", "id": disk.name, "serial": disk.serial, "drive": nodes(disk)[-1]["node-name"], "bus": f"slot{slot}", "write-cache": "on", "logical_block_size": SECTOR, "physical_block_size": PHYSICAL}
