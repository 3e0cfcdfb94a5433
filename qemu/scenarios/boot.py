#!/usr/bin/python3
"""The box out of its carton, as it ships: it starts with Secure Boot on, is claimed with the code on its screen, gets a pool and backs a share up; nobody reaches it but by the documented ports. Shut down at its
screen and started again it opens its own state unattended, and the share comes back byte for byte. The second start is with the test image's initrd, which looks inside the same root file system.
"""

import hashlib
import re
import ssl

from lib import trees
from lib.appliance import Appliance
from lib.box import free_pair, until
from lib.checks import Checks, need_root
from lib.compare import folder_hash
from lib.program import ROOT
from lib.second_site import receiver, tenant
from lib.servers import Samba
from vm import luks
from vm.bench import Bench
from vm.boxes import POOL, claim_code
from vm.disk import Disk
from vm.machine import START
from vm.practice import Owner, plain
from vm.wire import LEASE

need_root("boot")
checks = Checks("boot")
bench = Bench(checks)
PICTURES = ROOT / "target/screens/boot"
# What listens inside, as the kernel says: (protocol, port), on addresses that others can reach. The port for other boxes since one was invited.
LISTENING = {("tcp", 443), ("tcp", 8484), ("udp", 5353), ("udp", 68), ("udp", 546)}
# What comes to nothing: that the emulated AHCI now and then, on an idle machine too, reports what smartctl was refused as the failure of the read after it. libata says so and repeats the command; a read ahead (REQ_RAHEAD, bit 19 of
# the flags, <linux/blk_types.h>) it does not repeat, as nobody waits for it: who needs those bytes reads them again. Any other read or write that failed for good is an error of the block layer without that flag.
FORGIVEN = re.compile(r"\s*ata\d+(\.\d+)?: |\s*res \d|I/O error, dev sd[a-z]+, sector \d+ op 0x0:\(READ\) flags 0x8[0-9a-f]{4} ")


def main():
    server = Samba(checks.scratch / "samba", shares={"back": ""})
    trees.plain(server.share / "patients", 60, 30_000, seed=7)
    trees.plain(server.share / "pictures", 2, 6_000_000, seed=8)
    server.give()
    box = bench.machine("box", [Disk(name) for name in POOL], test=False)
    owner = None
    with checks.part("out of the carton"):
        box.boot()
        owner = claimed(box)
    with checks.part("from outside"):
        outside(box)
    if owner:
        with checks.part("a pool and a backup"):
            backed_up(box, owner, server)
        with checks.part("a second site"):
            elsewhere(box, owner)
        with checks.part("shut down at its screen"):
            shut_down(box)
    box.cut()
    with checks.part("the state, from outside"):
        sealed(box)
    with checks.part("started again"):
        box.look_inside()
        box.boot()
        again(box)
    with checks.part("inside"):
        inside(box)
    if owner:
        with checks.part("the share comes back"):
            comes_back(owner, server)
    checks.check("it goes off in order", box.off())
    checks.finish()


def claimed(box):
    code = claim_code(box)
    checks.check("the screen shows the code to claim it", code)
    came = box.serial.shows("https://10.0.2.15", 300) and box.serial.shows(r"[0-9A-F]{2}(:[0-9A-F]{2}){15}", 300)
    checks.check("where its console is, and its authority's fingerprint", came, box.serial.text)
    box.picture(PICTURES / "claim.png")
    web = box.web()
    authority = ssl.PEM_cert_to_DER_cert(web.get("/authority.pem").text)
    shown = re.sub(r"[^0-9A-F]", "", "".join(re.findall(r"[0-9A-F:\s]{40,}", box.serial.text)))
    checks.check("the authority on the network is the one on the screen", hashlib.sha256(authority).hexdigest().upper() in shown, box.serial.text)
    owner = Owner.claims(web, code)
    checks.check("its owner claims it over the network, and trusts its certificate", owner.at("/").status == 200, owner.at("/"))
    gone = box.serial.until(lambda: code not in box.serial.text, 120)
    checks.check("the code is gone from the screen", gone, box.serial.text)
    return owner


def outside(box):
    checks.check("it takes the address that a network gives", box.wire.leased() == LEASE)
    for over in (4, 6):
        found = box.wire.tcp(over=over)
        checks.check(f"IPv{over}: of all TCP ports the console's alone is open, and no other one answers", found.open == {443} and not found.closed, found)
        found = box.wire.udp(over=over)
        checks.check(f"IPv{over}: of all UDP ports the one for its name alone answers", found.open <= {5353} and not found.closed, found)
    checks.check("it tells its name to who asks the network", LEASE in box.wire.mdns())


def backed_up(box, owner, server):
    owner.makes_pool(*(box.disk(name).serial for name in POOL))
    checks.check("three disks become a pool", True)
    rows = owner.prints(1)
    checks.check("a paper of its kit is printed and confirmed", len(rows) >= 3, len(rows))
    owner.adds("EHR", f"10.0.2.2:{server.port}", "share", server.reader, text(server.reader_password))
    said = owner.first_backup()
    checks.check("a share of the practice's server is backed up", said == "Complete", said)


def elsewhere(box, owner):
    """Another house, of which either box keeps for the other: through the box's own port, and out of it."""
    port = free_pair()
    far = Appliance(checks.scratch / "far", "--disks", "1", "--offsite", f"127.0.0.1:{port}")
    asked = far("offsite", "invite", "--address", f"10.0.2.2:{port}", "--quota", "20GB", "--place", "The other house").report.get("invitation", "")
    owner.does("/offsite/pair", "/offsite/pair", {"invitation": asked, "practice": "Practice Example"})
    words = tenant(far).get("words")
    checks.check("it is paired with a box in another house, and both show the same words", words and words in plain(owner.at("/offsite").text), (words, plain(owner.at("/offsite").text)))
    proven = owner.waits("/offsite", lambda page: re.search("The other house.*Proven", plain(page.text)))
    kept = tenant(far)
    checks.check("its copies are there, and it has proven that", proven and kept.get("snapshots", 0) >= 2 and kept["used_bytes"] > 1 << 20, kept)
    page = owner.does("/offsite/invite", "/offsite/invite", {"address": f"127.0.0.1:{box.port + 1}", "room": "10", "unit": "gb", "place": "The practice"})
    invited = re.search("kwpair1[0-9a-z]+", page.text)
    paired = invited and far("offsite", "pair", invited[0], "--practice", "The house beside")
    checks.check("it invites that box, which finds its port open", paired and paired.status == 0, paired or page)
    arrived = until(lambda: receiver(far).get("waiting") == 0 and receiver(far).get("challenge"), 300)
    checks.check("and keeps its copies, and proves that", arrived and receiver(far)["challenge"]["lost"] == 0, receiver(far))
    checks.check("which its page says", "The house beside" in plain(owner.at("/offsite").text), plain(owner.at("/offsite").text))
    far.stop()


def shut_down(box):
    screen = box.serial
    screen.home()
    box.picture(PICTURES / "owned.png")
    screen.pick("Restart, shut down, move")
    screen.pick("Shut down")
    screen.pick("Yes")
    checks.check("it goes off in order", box.off(ask=False), box.tails())


def sealed(box):
    head = luks.header(box.system.partition("state"))
    tokens = list(head["tokens"].values())
    checks.check("the state is LUKS2, and one TPM is all that opens it", len(head["keyslots"]) == len(tokens) == 1 and tokens[0]["type"] == "systemd-tpm2", head)
    token = tokens[0]
    policy = {name: sorted(token.get(name, [])) for name in ("tpm2-pcrs", "tpm2_pubkey_pcrs")}
    checks.check("sealed to signed values of PCR 11, and to PCR 7, 12 and 13", policy == {"tpm2-pcrs": [7, 12, 13], "tpm2_pubkey_pcrs": [11]}, policy)
    checks.check("without a number that people type", not token.get("tpm2-pin"), token)


def again(box):
    state = box.ready()
    checks.check("it starts again without anybody, and nothing failed", state == "running", f"{state}\n{box.sh('systemctl --failed --no-pager', check=False)}\n{box.serial.text}")
    checks.check("its screen shows no code and no locked keys", box.serial.shows("CAN I RESTORE TODAY", START) and "Claim code" not in box.serial.text and "LOCKED" not in box.serial.text, box.serial.text)


def inside(box):
    checks.check("Secure Boot is on", box.get("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")[-1:] == b"\x01")
    mounts = {line.split()[1]: line.split() for line in box.sh("cat /proc/mounts").lines}
    kinds = dict(line.split(" ", 1) for line in box.sh("for d in /sys/block/dm-*/dm; do echo $(cat $d/name) $(cat $d/uuid); done").lines)
    root, var = mounts["/"], mounts["/var"]
    verity = kinds.get(root[0].rsplit("/", 1)[1], "")
    checks.check("the root is read-only, by dm-verity", verity.startswith("CRYPT-VERITY-") and root[2] == "erofs" and "ro" in root[3].split(","), f"{root}\n{kinds}")
    checks.check("the state is what was sealed", kinds.get(var[0].rsplit("/", 1)[1], "").startswith("CRYPT-LUKS2-"), f"{var}\n{kinds}")
    line = box.sh("cat /proc/cmdline").output.split()
    checks.check("its command line names the root's hash", any(word.startswith("roothash=") and len(word) == 73 for word in line), line)
    shells = box.sh("ls /usr/bin /usr/sbin /bin | grep -xE '(ba|da|k|z|mk)?sh|busybox|perl|python.*|login|sshd|agetty|su|sudo'; find / -xdev -perm /6000 -type f", check=False).output.strip()
    checks.check("there is no shell in it, no login, nothing with another's rights", not shells, shells)
    listening = listeners(box)
    checks.check("nothing else listens", listening <= LISTENING, listening)
    checks.check("the kernel is as it was built", box.sh("cat /proc/sys/kernel/tainted").output.strip() == "0")
    errors = box.sh("journalctl -b -p err --no-pager -o cat", check=False)
    left = [line for line in errors.lines if line.strip() and line != "-- No entries --" and not FORGIVEN.match(line)]
    checks.check("no error in its journal", not left, errors)


def listeners(box):
    """What the kernel has: TCP in state LISTEN (0A), UDP that is bound and not connected (07), but on loopback."""
    found = set()
    for name, state in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for row in box.sh(f"cat /proc/net/{name}").lines[1:]:
            address, port = row.split()[1].split(":")
            loopback = address.endswith("7F") or address == "00000000000000000000000001000000"
            if row.split()[3] == state and not loopback:
                found.add((name.removesuffix("6"), int(port, 16)))
    return found


def comes_back(owner, server):
    said = owner.restores("EHR", f"10.0.2.2:{server.port}", "back", server.user, text(server.password))
    checks.check("the share is restored to another one", said == "Complete", said)
    came = next((path.parent for path in (server.folder / "back").rglob("patients")), server.folder / "back")
    wanted, got = folder_hash(server.share), folder_hash(came)
    checks.check("byte for byte", wanted and contents(wanted) == contents(got), f"{sorted(wanted)[:5]}\n{sorted(got)[:5]}")


def contents(found):
    """Size and content; owners and modes are the server's."""
    return {path: seen[4:] for path, seen in found.items()}


def text(path):
    return path.read_text().strip()


main()
