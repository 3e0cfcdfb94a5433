"""Boxes that several scenarios begin with: `bench.resumed("box", claimed)`. What they know of one is in the machine's `facts`."""

import re

from lib.telephone import Telephone

from .disk import Disk
from .machine import ADDRESS, START
from .practice import CLAIM_CODE, Owner

POOL = ("d1", "d2", "d3")


def claim_code(machine, seconds=START):
    """What stands on the screen of a box that nobody owns."""
    if not machine.serial.shows(rf"Claim code +{CLAIM_CODE}", seconds):
        raise RuntimeError(f"no claim code on the screen of {machine.name}:\n{machine.serial.text}")
    return re.search(CLAIM_CODE, machine.serial.text)[0]


def claimed(bench):
    """Started for the first time and claimed, with a pool of three ATA disks; no share yet. Facts: `seed` of the owner's authenticator, `papers` (the rows of the first one)."""
    machine = bench.machine("claimed", [Disk(name) for name in POOL]).boot()
    state = machine.ready()
    if state != "running":
        raise RuntimeError(f"{machine.name} is {state}: {machine.sh('systemctl --failed', check=False)}")
    owner = Owner.claims(machine.web(), claim_code(machine))
    owner.makes_pool(*(machine.disk(name).serial for name in POOL))
    return machine, {"seed": owner.seed, "papers": [owner.prints(1)]}


def owner_of(machine):
    """The owner of a box that was claimed so, signed in."""
    return Owner(ADDRESS, Telephone(machine.facts["seed"], used=True), through=("127.0.0.1", machine.port)).signs_in()
