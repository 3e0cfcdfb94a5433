"""Firmware of a machine: which keys it trusts, and whether it looks. Owns where the emulator, OVMF and the image's variable store lie."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from lib.program import ROOT

OVMF = Path("/usr/share/OVMF")
IMAGE = ROOT / "target/image"
# What qemu/emulator unpacks.
EMULATOR = ROOT / "target/qemu/emulator"
QEMU, QEMU_IMG = EMULATOR / "qemu-system-x86_64", EMULATOR / "qemu-img"


@dataclass(frozen=True)
class Firmware:
    """A build of OVMF, and the variables that a new machine begins with."""

    code: Path
    variables: Path


FIRMWARES = {
    # As the box is sold: our keys and nobody else's, Secure Boot on.
    "secure": Firmware(OVMF / "OVMF_CODE_4M.secboot.fd", IMAGE / "OVMF_VARS.keepwell.fd"),
    # Secure Boot on, with the keys that any PC has.
    "other-keys": Firmware(OVMF / "OVMF_CODE_4M.secboot.fd", OVMF / "OVMF_VARS_4M.ms.fd"),
    # No keys, so Secure Boot is off.
    "open": Firmware(OVMF / "OVMF_CODE_4M.secboot.fd", OVMF / "OVMF_VARS_4M.fd"),
}


def options(name, folder):
    """What a machine with this firmware is started with. Its variables are files of its own from the first start on; `bios` has none: SeaBIOS, for a kernel that is started directly."""
    if name == "bios":
        return ["-machine", "q35"]
    firmware, own = FIRMWARES[name], Path(folder) / "variables.fd"
    if not own.exists():
        shutil.copyfile(firmware.variables, own)
    return [
        "-machine", "q35,smm=on",
        "-global", "driver=cfi.pflash01,property=secure,value=on",
        "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={firmware.code}",
        "-drive", f"if=pflash,unit=1,format=raw,file={own}",
    ]


def forget(folder, name):
    """Resets a machine's firmware to another one's keys, as who opens the box and resets the board can."""
    (Path(folder) / "variables.fd").unlink(missing_ok=True)
    if name != "bios":
        shutil.copyfile(FIRMWARES[name].variables, Path(folder) / "variables.fd")


def tools():
    """What is missing on this machine to start any."""
    missing = [name for name in (QEMU, QEMU_IMG, "swtpm", "mcopy") if not shutil.which(name)]
    return [str(name) for name in missing] + ([] if FIRMWARES["open"].variables.exists() else ["OVMF"])


def version():
    return subprocess.run([QEMU, "--version"], check=True, capture_output=True, text=True).stdout.splitlines()[0]
