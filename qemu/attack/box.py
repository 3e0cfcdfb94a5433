"""What attackers look at on a box: what it measured, what its state and its vault say, what its kernel holds. Owns questions to a machine; decides nothing."""

import json
import re

from vm import luks

from . import eventlog
from .uki import Uki

SEALED = "/var/lib/keepwell/keyd/sealed.json"
LOCKED = "/run/keepwell-state/locked"


def image_of(machine):
    """The system that is started, from its ESP, while it is off."""
    esp = machine.system.esp()
    return Uki(esp.get(esp.images()[0]))


def token_of(machine):
    """What the TPM sealed for the state, from the head of its partition, while it is off."""
    tokens = list(luks.header(machine.system.partition("state"))["tokens"].values())
    if [token["type"] for token in tokens] != ["systemd-tpm2"]:
        raise ValueError(f"not one token of systemd's: {tokens}")
    return tokens[0]


def sealed_of(machine):
    """What the TPM sealed for the vault, from an open box, as root."""
    return json.loads(machine.get(SEALED))


def log_of(machine):
    return machine.get(eventlog.WHERE)


def pcr(machine, number):
    return bytes.fromhex(machine.sh(f"cat /sys/class/tpm/tpm0/pcr-sha256/{number}").output.strip())


def mounted(machine):
    """What is mounted as the state, and from where: (device, kind)."""
    for line in machine.sh("cat /proc/mounts").lines:
        words = line.split()
        if words[1] in ("/var", "/sysroot/var"):
            return words[0], words[2]
    return None


def why_locked(machine):
    """The word that the start left, or none."""
    return machine.sh(f"cat {LOCKED}", check=False).output.strip() if not machine.sh(f"[ -e {LOCKED} ]", check=False).status else None


def keys_phase(machine):
    """What keyd said when it started: `Open`, `New`, or the code of why it is locked."""
    said = re.findall(r"keepwell_keyd: (?:started phase=(\w+)|locked: .*code=\"([\w-]+)\")", machine.sh("journalctl -b --no-pager -o cat -u keepwell-keyd", check=False).output)
    return said[-1][0] or said[-1][1] if said else None


def pools(machine):
    """Pool disks that are mounted."""
    return [line.split()[0] for line in machine.sh("cat /proc/mounts").lines if " /run/keepwell/disks/" in line]
