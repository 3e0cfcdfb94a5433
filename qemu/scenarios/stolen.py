#!/usr/bin/python3
"""A box in the hands of thieves, who have all that is public: image, signatures, event log. They start their own systems on it and replay what the image measures; put its disk into another machine; put
other states in its place. None of it gives a key, and nothing of it is ever used unencrypted. Put back as it was, the box opens unattended. Attacks 1 and 2 of the threat model.
"""

import base64
import shutil
import types

from attack import box as looks
from attack import eventlog, ext4, replay, tpm2
from attack.system import attackers
from attack.tools import Tools
from lib.checks import Checks, need_root
from vm import firmware, luks
from vm.bench import Bench
from vm.boxes import claim_code, claimed
from vm.disk import Disk, copy, partitions
from vm.machine import START
from vm.practice import Owner

need_root("stolen")
checks = Checks("stolen")
bench = Bench(checks)
tools = Tools(checks.scratch / "tools")
MINE = b"the attacker's own secret, 32 b."
# Firmware of who has the box: none that measures keys, one without keys, ours with Secure Boot switched off.
SYSTEMS = ("bios", "open", "switched-off")


def main():
    box = bench.resumed("box", claimed)
    loot = taken(box)
    with checks.part("the chip by itself"):
        chip_alone(box, loot)
    for name in SYSTEMS:
        with checks.part(f"attackers' system, firmware {name}"):
            own_system(box, loot, name)
    original = copied(box.system.path, "original.raw")
    with checks.part("its disk in another machine"):
        moved(original)
    with checks.part("a state that is not encrypted"):
        plain_state(box)
    with checks.part("no state"):
        no_state(box, original)
    with checks.part("as it was"):
        as_it_was(box, original, loot)
    with checks.part("a state with one flipped bit"):
        garbled(box)
    checks.finish()


def taken(box):
    """What thieves can have, and more: keyd's blob lies inside the state."""
    checks.check("the box is open", looks.keys_phase(box) == "New" and box.ready() == "running", looks.keys_phase(box))
    loot = types.SimpleNamespace(vault=replay.vault_key(looks.sealed_of(box)), log=looks.log_of(box), pcr7=looks.pcr(box, 7))
    checks.check("it is switched off", box.off())
    for disk in box.disks:
        disk.flatten()
    loot.image, loot.state = looks.image_of(box), replay.state_key(looks.token_of(box))
    loot.state_approvals, loot.vault_approvals = replay.state_approvals(loot.image), replay.vault_approvals(loot.image)
    return loot


def copied(path, name):
    copy(path, checks.scratch / name)
    return checks.scratch / name


def refused(what, tpm, sealed, approvals, at=("PolicyAuthorize", "Unseal")):
    """That the TPM says no, and that the policy is why: what was signed is for another PCR 11 (PolicyAuthorize), or the PCRs besides are others (Unseal)."""
    try:
        replay.unseal(tpm, sealed, approvals)
        checks.check(f"{what} stays closed", False, "it was unsealed")
    except tpm2.Refused as error:
        checks.check(f"{what} stays closed", error.policy and error.command in at, error)


def opened(tpm, sealed, approvals):
    try:
        return replay.unseal(tpm, sealed, approvals)
    except tpm2.Refused as error:
        return error


def chip_alone(box, loot):
    """That the steps of the attack are the right ones: with PCR 7 as the box's own firmware has it, they open both. This is also what a chip that is taken off its board gives away (docs/threat-model.md)."""
    folder = checks.scratch / "chip"
    shutil.copytree(box.tpm.folder, folder, ignore=shutil.ignore_patterns("control", "log"))
    bare = tpm2.Bare(types.SimpleNamespace(folder=folder))
    tpm = bare.tpm
    for digest in eventlog.measured(loot.log, 7):
        tpm.extend(7, digest)
    checks.check("PCR 7 follows from the event log", tpm.read(7) == loot.pcr7)
    checks.check("PCR 11 follows from the image", replay.replay(tpm, loot.image, replay.STATE_PHASES))
    key = opened(tpm, loot.state, loot.state_approvals)
    checks.check("with both as the box has them, the replay opens the state's key", isinstance(key, bytes) and fits(box, key), key)
    checks.check("PCR 11 goes on", replay.replay(tpm, loot.image, replay.VAULT_PHASES, replay.STATE_PHASES))
    secret = opened(tpm, loot.vault, loot.vault_approvals)
    checks.check("and keyd's secret", isinstance(secret, bytes) and len(secret) == 32, secret)
    refused("the state's key, a phase later,", tpm, loot.state, loot.state_approvals)
    replay.replay(tpm, loot.image, [*replay.VAULT_PHASES, "ready"], replay.VAULT_PHASES)
    refused("keyd's secret, once the start is over,", tpm, loot.vault, loot.vault_approvals)
    bare.off()


def fits(box, key):
    """Whether that is what opens the partition."""
    state = box.system.partition("state")
    (tools.folder / "state").write_bytes(state.read(0, 32 << 20))
    (tools.folder / "key").write_bytes(base64.b64encode(key))
    try:
        tools.run("cryptsetup", "open", "--test-passphrase", "--key-file", "key", "state")
        return True
    except RuntimeError:
        return False


def own_system(box, loot, name):
    machine = bench.machine(f"attackers-{name}", firmware="open" if name == "switched-off" else name, tpm=box.tpm, image=False, kernel=attackers(checks.scratch / "system"), wired=False)
    if name == "switched-off":
        switched_off(machine)
    machine.boot()
    checks.check("it starts", machine.agent.answers(START), machine.serial.log[-1500:])
    tpm = tpm2.inside(machine)
    checks.check("PCR 7 is another one", tpm.read(7) != loot.pcr7 and tpm.read(7) != bytes(32))
    checks.check("PCR 11 can be made what the image makes it", replay.replay(tpm, loot.image, replay.STATE_PHASES))
    for pcrs, what in (((12, 13), "without PCR 7"), (replay.SEALED_TO, "to the PCR 7 of this start")):
        mine = replay.seal_alike(tpm, MINE, loot.state_approvals[0], pcrs)
        said = opened(tpm, mine, loot.state_approvals)
        checks.check(f"what is sealed {what} opens by it", said == MINE, said)
    refused("the state's key", tpm, loot.state, loot.state_approvals, ["Unseal"])
    checks.check("PCR 11 goes on", replay.replay(tpm, loot.image, replay.VAULT_PHASES, replay.STATE_PHASES))
    refused("keyd's secret", tpm, loot.vault, loot.vault_approvals, ["Unseal"])
    machine.off(ask=False, seconds=1)


def switched_off(machine):
    """Our keys, in a firmware whose Secure Boot somebody switched off in its menu."""
    shutil.copyfile(firmware.FIRMWARES["secure"].variables, tools.folder / "variables.fd")
    tools.run("virt-fw-vars", "--inplace", "variables.fd", "--set-false", "SecureBootEnable")
    shutil.copyfile(tools.folder / "variables.fd", machine.folder / "variables.fd")


def moved(original):
    other = bench.machine("other", image=Disk("system", "virtio", path=copied(original, "moved.raw")), wired=False).boot()
    state = other.ready()
    checks.check("another machine starts with it", state == "degraded", state)
    stays_locked(other, "not-opened")
    done = other.sh("systemd-cryptsetup attach again $(findfs PARTLABEL=state || ls /dev/keepwell/state) - luks,tpm2-device=auto,headless=1,tries=1", check=False, seconds=300)
    checks.check("nor does root open it there", done.status and other.sh("[ -e /dev/mapper/again ]", check=False).status, done)
    other.off()


def stays_locked(machine, word):
    """The state is not open, and the box says so."""
    device, kind = looks.mounted(machine) or (None, None)
    checks.check("its state is not opened, and one in memory is in its place", kind == "tmpfs" and machine.sh("[ -e /dev/mapper/state ]", check=False).status, (device, kind))
    failed = [line.split()[0] for line in machine.sh("systemctl --failed --no-legend --plain").lines if line.strip()]
    checks.check("nothing else failed", failed == ["keepwell-state-open.service"], failed)
    checks.check(f"it says why: {word}", looks.why_locked(machine) == word, looks.why_locked(machine))
    checks.check("keyd has no keys", looks.keys_phase(machine) == "state-locked" and not looks.pools(machine), looks.keys_phase(machine))
    said = machine.serial.shows("WITHOUT ITS OWN STATE", 300)
    checks.check("the screen says so, and offers nobody to claim it", said and "Claim code" not in machine.serial.text, machine.serial.text)


def untouched(box):
    """What tells whether a byte was written to the disks of the pool."""
    return {disk.name: disk.path.stat().st_mtime_ns for disk in box.disks}


def plain_state(box):
    """A file system without encryption, under the name of ours, with people in it who would be let in."""
    before = untouched(box)
    made = tools.ext4(512 << 20, "state", {"lib/keepwell/authd/users.db": "planted", "lib/keepwell-system/machine-id": "0" * 32 + "\n", "planted": "planted"})
    state = box.system.partition("state")
    with open(made, "rb") as file:
        while part := file.read(4 << 20):
            state.write(file.tell() - len(part), part)
    box.boot()
    said = box.ready()
    checks.check("it starts all the same", said == "degraded", said)
    stays_locked(box, "not-opened")
    checks.check("nothing of it is used", box.sh("find / -xdev -name planted; find /var -name planted", check=False).output.strip() == "")
    box.off()
    checks.check("nothing was written to the pool", untouched(box) == before)


def no_state(box, original):
    """Without a state the box makes a new one: sealed by this TPM, to the same policy. Whoever claims it then has a state with people of their own in it, and that is the most that one can be brought from outside."""
    copy(original, box.system.path)
    shutil.move(box.system.path, tools.folder / "disk")
    number = 1 + [one.label for one in partitions(tools.folder / "disk")].index("state")
    tools.run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--delete", "disk", number)
    shutil.move(tools.folder / "disk", box.system.path)
    before = untouched(box)
    box.boot()
    said = box.ready()
    checks.check("it comes up as a new box", said == "running" and looks.mounted(box)[1] == "ext4" and looks.why_locked(box) is None, (said, looks.mounted(box)))
    Owner.claims(box.web(), claim_code(box))
    checks.check("whoever reads its screen can claim it", True)
    knows_nothing(box)
    checks.check("it goes off in order", box.off())
    box.boot()
    said = box.ready()
    checks.check("their state opens by itself, as this TPM sealed it", said == "running" and looks.mounted(box)[1] == "ext4", (said, looks.mounted(box)))
    knows_nothing(box)
    checks.check("it goes off", box.off())
    checks.check("nothing was written to the pool", untouched(box) == before)


def knows_nothing(box):
    """The vault's keys hang on a secret in the state that is gone from here."""
    checks.check("keyd has no keys, and the pool's disks are strangers' to it", looks.keys_phase(box) == "New" and not looks.pools(box), (looks.keys_phase(box), looks.pools(box)))
    checks.check("the screen does not say that anything can be restored", box.serial.shows(r"CAN I RESTORE TODAY\? +NO|Claim code", 300), box.serial.text)


def as_it_was(box, original, loot):
    copy(original, box.system.path)
    box.boot()
    said = box.ready()
    checks.check("the box opens its state by itself", said == "running" and looks.mounted(box) == ("/dev/mapper/state", "ext4"), (said, looks.mounted(box)))
    checks.check("and its vault", looks.keys_phase(box) == "Open" and box.until("grep -q /run/keepwell/disks/ /proc/mounts"), looks.keys_phase(box))
    tpm = tpm2.inside(box)
    checks.check("its start is over: PCR 11 has moved on", tpm.read(11) not in values(loot))
    checks.check("PCR 7, 12 and 13 are what the keys are sealed to", (tpm.read(7), tpm.read(12), tpm.read(13)) == (loot.pcr7, bytes(32), bytes(32)))
    refused("the state's key, for root,", tpm, loot.state, loot.state_approvals)
    refused("keyd's secret, for root,", tpm, loot.vault, loot.vault_approvals)


def garbled(box):
    """Encryption hides the state and does not bind it: one bit flipped from outside makes rubbish of 16 bytes, at a place of the thieves' choice. Here of the folder in which people are kept. That must not make
    a box without people that has its keys, which whoever stands in front of it could claim.
    """
    number = int(box.sh("stat -c %i /var/lib/keepwell/authd").output)
    place = ext4.inode_place(ext4.reader(box, "/dev/mapper/state"), number)
    # As if an earlier start had come upon it: the next one looks at everything.
    box.sh("mount -o remount,errors=continue /var; for fs in /sys/fs/ext4/dm-*; do echo 1 > $fs/trigger_fs_error; done")
    checks.check("it goes off in order", box.off())
    state = box.system.partition("state")
    state.flip(int(luks.header(state)["segments"]["0"]["offset"]) + place)
    box.boot()
    box.ready()
    said = box.serial.shows("WITHOUT ITS OWN STATE|CAN I RESTORE TODAY|Claim code", 300)
    people = box.sh("journalctl -b --no-pager -o cat -u keepwell-authd -u keepwell-state-check -u keepwell-keyd", check=False)
    checks.check("nobody can claim it", said and "Claim code" not in box.serial.text, f"{box.serial.text}\n{people}")
    checks.check("the state counts as damaged, and the papers are the way in", looks.why_locked(box) == "damaged" and looks.keys_phase(box) == "state-locked", (looks.why_locked(box), looks.keys_phase(box)))
    box.off()


def values(loot):
    return [replay.value(loot.image, phases) for phases in (replay.STATE_PHASES, replay.VAULT_PHASES)]


main()
