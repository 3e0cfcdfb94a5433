"""The box that scenario `sandbox` looks at: `bench.resumed("box", scanned)`. What was seen of it from outside before anybody owned it is in its facts."""

from vm.boxes import POOL, claim_code
from vm.disk import Disk
from vm.practice import Owner


def ports(wire):
    """What answers on the second network: by protocol and version of IP, what is open and how many ports say that they are closed."""
    found = {f"{name}{over}": scan(over=over) for over in (4, 6) for name, scan in (("tcp", wire.tcp), ("udp", wire.udp))}
    return {name: {"open": sorted(scan.open), "closed": len(scan.closed), "filtered": len(scan.filtered)} for name, scan in found.items()}


def scanned(bench):
    """Started for the first time, looked at from outside, then claimed and given a pool of three ATA disks. Facts: `before` (ports)."""
    machine = bench.machine("scanned", [Disk(name) for name in POOL]).boot()
    state = machine.ready()
    if state != "running":
        raise RuntimeError(f"{machine.name} is {state}: {machine.sh('systemctl --failed --no-pager; journalctl -b -p warning -n 60 --no-pager -o cat', check=False)}")
    facts = {"leased": machine.wire.leased(), "before": ports(machine.wire)}
    owner = Owner.claims(machine.web(), claim_code(machine))
    owner.makes_pool(*(machine.disk(name).serial for name in POOL))
    return machine, {**facts, "seed": owner.seed}
