#!/usr/bin/python3
"""What starts, and what opens. Secure Boot with our keys starts what we signed and nothing else; what is signed is of no use with anything added to it from outside: it has no effect, or the TPM opens nothing. One
flipped bit of the read-only root stops the box. Without a system the box says so, offers nobody a shell, and starts again. Each time with the same thing done rightly, which opens.
"""

import base64
import contextlib
import re
import time

from attack import box as looks
from attack import eventlog
from attack.tools import Tools
from attack.uki import Uki, extended
from lib.checks import Checks, need_root
from lib.program import ROOT
from vm.agent import Silent
from vm.bench import Bench
from vm.boxes import claimed
from vm.disk import partitions
from vm.machine import START

need_root("secure-boot")
checks = Checks("secure-boot")
bench = Bench(checks)
tools = Tools(checks.scratch / "tools")
LOADER = "/EFI/BOOT/BOOTX64.EFI"
# Without a number of tries in its name, so that starts that were cut short don't change the name.
SYSTEM = "/EFI/Linux/keepwell.efi"
EXTRA = f"{SYSTEM}.extra.d"
# A mark that everything from outside bears.
MARK = "keepwell-attack"
# What the serial line says of it: the boot loader of the system, the firmware of the boot loader, and the firmware when it has nothing left to try.
NO_SYSTEM, NO_LOADER, NOTHING = r"Error loading .*keepwell\.efi: Access denied", r'failed to load Boot\d+ "UEFI Misc Device".*: Access Denied', "No bootable option or device was found"
# On the serial line: the firmware hands over; the initrd can't go on.
STARTING, STUCK = "BdsDxe: starting", "Keepwell could not start"
PROMPT = re.compile(r"login:|Password:|passphrase|recovery key|PIN:|for maintenance|~ #|\bsh-\d|Shell>")
PICTURES = ROOT / "target/screens/secure-boot"


def main():
    stuck = bench.machine("stuck", test=False, wired=False)
    with checks.part("without a system, first half"):
        without_root(stuck)
    box = bench.resumed("box", claimed)
    checks.check("a box is switched off", box.off())
    esp = box.system.esp()
    good = esp.get(esp.images()[0])
    for name in esp.images():
        esp.remove(name)
    esp.put(SYSTEM, good)
    with checks.part("the firmware"):
        firmware(box, good)
    with checks.part("something added"):
        added(box)
    with checks.part("settings of a shell, given from outside"):
        shell_wanted(box)
    with checks.part("without a system, second half"):
        stays_stuck(stuck)
    with checks.part("what has no effect"):
        no_effect(box)
    with checks.part("a flipped bit"):
        flipped(box)
    checks.finish()


# What the firmware starts

def firmware(box, good):
    esp = box.system.esp()
    loader = esp.get(LOADER)
    theirs = {
        "a system without signature": (SYSTEM, Uki(good).unsigned(), good),
        "a system that others signed": (SYSTEM, tools.signed(Uki(good).unsigned(), "other"), good),
        "a system with another command line": (SYSTEM, Uki(good).with_command_line(b" quiet ", b" debug "), good),
        "a boot loader without signature": (LOADER, Uki(loader).unsigned(), loader),
        "a boot loader that others signed": (LOADER, tools.signed(Uki(loader).unsigned(), "other"), loader),
    }
    for what, (path, bad, back) in theirs.items():
        esp.put(path, bad)
        box.boot()
        said = box.serial.said(NO_LOADER if path == LOADER else NO_SYSTEM, START)
        checks.check(f"{what} is refused", said, box.serial.log[-1500:])
        ended = box.serial.said(NOTHING, START)
        checks.check(f"{what}: nothing starts", ended and not box.agent.answers(3) and "Linux version" not in box.serial.log, box.serial.log[-1500:])
        box.cut()
        esp.put(path, back)
    box.boot()
    checks.check("with what was there before, it starts", box.agent.answers(START) and "Denied" not in box.serial.log, box.serial.log[-1500:])
    box.cut()


# What is signed, with something added

def added(box):
    """Each is measured, and so the TPM opens nothing. That is looked at while the start goes on."""
    addon, other = (tools.signed(tools.addon(f"{MARK}.{name}=1")) for name in ("addon", "all"))
    credential = f"{MARK}-credential".encode()
    beside = {
        "an add-on": (12, f"{MARK}.addon=1", f"{EXTRA}/a.addon.efi", addon),
        "a credential": (12, "^Credentials", f"{EXTRA}/{MARK}.cred", credential),
        "an extension of /etc": (12, "^Configuration extension", f"{EXTRA}/{MARK}.confext.raw", tools.extension("confext", MARK, f"/etc/{MARK}", "x")),
    }
    for_all = {
        "an add-on for all systems": (12, f"{MARK}.all=1", "/loader/addons/a.addon.efi", other),
        "a credential for all systems": (12, "^Global credentials", f"/loader/credentials/{MARK}.cred", credential),
    }
    extension = {"a system extension": (13, "^System extension", f"{EXTRA}/{MARK}.raw", tools.extension("sysext", MARK, f"/usr/lib/{MARK}", "x"))}
    entry = f"title {MARK}\nefi {SYSTEM}\noptions {MARK}.entry=1\n".encode()
    locked(box, beside)
    locked(box, for_all)
    locked(box, extension)
    settings = box.system.esp().get("/loader/loader.conf")
    box.system.esp().put("/loader/loader.conf", f"timeout 0\ndefault {MARK}.conf\n".encode())
    locked(box, {"a command line of the boot loader's": (12, f"{MARK}.entry=1", f"/loader/entries/{MARK}.conf", entry)})
    box.system.esp().put("/loader/loader.conf", settings)


def locked(box, things):
    """Things by name: which PCR they are measured into, how the log calls them, where they lie, and what they are."""
    esp = box.system.esp()
    for _, _, path, content in things.values():
        esp.put(path, content)
    box.boot()
    log, pcrs, word, mapped, *traces = decided(box)
    for what, (number, name, _, _) in things.items():
        checks.check(f"{what}: is measured into PCR {number}", tells(log, number, name), texts(log))
    follow = {number: extended(eventlog.measured(log, number)) for number in (12, 13)}
    expected = {number for number, _, _, _ in things.values()}
    checks.check(f"{len(things)} added: PCR 12 and 13 are what the log says", pcrs == follow and {number for number in pcrs if any(pcrs[number])} == expected, pcrs)
    checks.check("the state stays closed", (word, mapped) == ("not-opened", "closed"), (word, mapped))
    checks.check("nothing of it is taken up", not traces, traces)
    box.cut()
    for _, _, path, _ in things.values():
        esp.remove(path)


def tells(log, number, name):
    return any(event.pcr == number and re.search(name, event.text) for event in eventlog.events(log))


def texts(log):
    return [(event.pcr, event.text) for event in eventlog.events(log) if event.pcr in (12, 13)]


def decided(box, seconds=START):
    """What there is to see as soon as the start has the state, or knows that it won't: what was measured, PCR 12 and 13, why it is locked, whether the state is open, and traces of what was added."""
    script = f"""base64 {eventlog.WHERE} | tr -d '\\n'; echo
        cat /sys/class/tpm/tpm0/pcr-sha256/12 /sys/class/tpm/tpm0/pcr-sha256/13
        if [ -e {looks.LOCKED} ]; then cat {looks.LOCKED}; elif grep -q -e ' /sysroot/var ext4 ' -e ' /var ext4 ' /proc/mounts; then echo open; else echo undecided; fi
        [ -e /dev/mapper/state ] && echo mapped || echo closed
        find /run/credentials /etc /usr/lib /sysroot/usr/lib /sysroot/etc -name '*{MARK}*' 2>/dev/null
        systemctl show-environment | grep {MARK}"""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        # The shell goes when the root's comes, and what was asked of it goes with it.
        with contextlib.suppress(Silent):
            if box.agent.answers(30):
                seen = [line.strip() for line in box.sh(script, check=False, seconds=15).lines if line.strip()]
                if len(seen) >= 5 and seen[3] != "undecided":
                    return base64.b64decode(seen[0]), {12: bytes.fromhex(seen[1]), 13: bytes.fromhex(seen[2])}, *seen[3:]
        time.sleep(1)
    raise RuntimeError(f"{box.name} comes to no end with its state")


def shell_wanted(box):
    """Whoever sets the board's strings sets the command line. It costs them the keys, and there is no shell to be had for it."""
    line = "systemd.import_credentials=yes systemd.debug_shell=ttyS0 rd.systemd.debug_shell=ttyS0 rd.shell=1 rd.break systemd.set_credential_binary=passwd.plaintext-password.root:cm9vdA== SYSTEMD_SULOGIN_FORCE=1"
    box.smbios = [f"io.systemd.stub.kernel-cmdline-extra={line}", f"io.systemd.credential:{MARK}.board=1"]
    box.boot()
    said = box.ready()
    checks.check("the box starts", said in ("running", "degraded"), said)
    log = looks.log_of(box)
    checks.check("with that command line, which is measured into PCR 12", "rd.systemd.debug_shell" in box.sh("cat /proc/cmdline").output and tells(log, 12, "rd.systemd.debug_shell") and looks.pcr(box, 12) == extended(eventlog.measured(log, 12)), texts(log))
    checks.check("without its state", looks.why_locked(box) == "not-opened" and looks.keys_phase(box) == "state-locked" and looks.mounted(box)[1] == "tmpfs", (looks.why_locked(box), looks.keys_phase(box)))
    checks.check("its screen says so, and shows no claim code", box.serial.shows("WITHOUT ITS OWN STATE", 300) and "Claim code" not in box.serial.text, box.serial.text)
    # This question is asked by a shell, which has to be found, or others would not be.
    found = box.sh("for p in /proc/[0-9]*; do tr '\\0\\n' '  ' < $p/cmdline; echo; done 2> /dev/null | grep -E '(^|[/ -])(sh|bash|sulogin|agetty|login)( |$)' # keepwell-test").lines
    others = [line for line in found if line.strip() and "keepwell-test" not in line]
    checks.check("no shell, no login but the one that tests it", found and not others, found)
    no_prompt(box)
    box.smbios = []
    box.off()


def no_effect(box):
    """All at once, and the box opens: none of it counts."""
    esp = box.system.esp()
    addon = tools.addon(f"{MARK}.addon=1")
    files = {f"{EXTRA}/a.addon.efi": addon, "/loader/addons/a.addon.efi": addon, f"{EXTRA}/b.addon.efi": tools.signed(addon, "other")}
    for path, content in files.items():
        esp.put(path, content)
    box.smbios = [f"io.systemd.credential:{MARK}.board=1", f"io.systemd.credential.binary:{MARK}.binary=MQ==", f"io.systemd.boot.kernel-cmdline-extra={MARK}.loader=1"]
    box.fw_cfg = {f"opt/io.systemd.credentials/{MARK}.emulator": "x"}
    box.boot()
    said = box.ready()
    checks.check("the box opens by itself", said == "running" and looks.mounted(box) == ("/dev/mapper/state", "ext4") and looks.keys_phase(box) == "Open", (said, looks.mounted(box), looks.keys_phase(box)))
    checks.check("PCR 12 and 13 are zero", looks.pcr(box, 12) == looks.pcr(box, 13) == bytes(32), texts(looks.log_of(box)))
    checks.check("its command line is what was signed", MARK not in box.sh("cat /proc/cmdline").output)
    traces = box.sh(f"ls -A /run/credentials/@system /run/credentials/@initrd /run/credentials/@encrypted 2>/dev/null; find /run -name '*{MARK}*'; systemctl show-environment | grep {MARK}", check=False).output.strip()
    checks.check("no credential came in", not traces, traces)
    checks.check("it goes off in order", box.off())
    box.smbios, box.fw_cfg = [], {}
    for path in files:
        esp.remove(path)


# The read-only root

def flipped(box):
    system = box.system
    at = place_of(box, "/usr/lib/systemd/systemd")
    for name, place in (("root-a", at), ("verity-a", 4096)):
        part = system.partition(name)
        part.flip(place)
        box.boot()
        said = box.serial.said(r"Kernel panic.*verity", START)
        checks.check(f"one bit of {name}: the box stops", said, box.serial.log[-1500:])
        checks.check(f"one bit of {name}: and starts again", box.serial.said(rf"(?s)Kernel panic.*verity.*{STARTING}", 300), box.serial.log[-1500:])
        checks.check(f"one bit of {name}: it serves nobody", "Claim code" not in box.serial.text and "CAN I" not in box.serial.text, box.serial.text)
        box.cut()
        part.flip(place)
    another_root(box)
    box.boot()
    checks.check("as it was, it opens", box.ready() == "running" and looks.keys_phase(box) == "Open")
    box.off()


def place_of(box, path):
    """Where the content of a file of the root lies, in bytes."""
    part = box.system.partition("root-a")
    said = Tools(box.system.path.parent).run("dump.erofs", f"--offset={part.begin}", "-e", f"--path={path}", box.system.path.name)
    found = re.search(r"^\s*0:\s.*:\s*(\d+)\.\.\s*(\d+)", said, re.M)
    if not found:
        raise RuntimeError(f"no place of {path}: {said}")
    return (int(found[1]) + int(found[2])) // 2


def another_root(box):
    """A root and hashes that fit each other, in the place of ours: not what the command line names."""
    root, hashes = box.system.partition("root-a"), box.system.partition("verity-a")
    (tools.folder / "root").write_bytes(root.read(0, root.size))
    before = hashes.read(0, hashes.size)
    root.flip(1200)
    (tools.folder / "root").write_bytes(root.read(0, root.size))
    tools.run("veritysetup", "format", "--hash=sha256", f"--uuid={uuid_of(before)}", "root", "hashes")
    hashes.write(0, (tools.folder / "hashes").read_bytes())
    box.boot()
    said = box.serial.said(f"dm-verity device corrupted|{STUCK}", START)
    checks.check("another root: it does not start", said and not box.serial.shows("CAN I RESTORE|Claim code", 5), box.serial.log[-1500:])
    box.cut()
    root.flip(1200)
    hashes.write(0, before)


def uuid_of(superblock):
    """Of dm-verity's own header."""
    text = superblock[16:32].hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


# No shell

def without_root(stuck):
    """The root's partition is gone. What comes of it takes minutes, so the others go on meanwhile."""
    number = 1 + [one.label for one in partitions(stuck.system.path)].index("root-a")
    Tools(stuck.folder).run("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--delete", stuck.system.path.name, number)
    stuck.boot()
    checks.check("it starts", stuck.running())


def stays_stuck(stuck):
    """By now it may have started again, more than once."""
    def says_so(log):
        return log.rfind(STUCK) > log.rfind(STARTING)

    said = stuck.serial.until(lambda: says_so(stuck.serial.log), START)
    checks.check("it says that it could not start", said, stuck.serial.log[-1500:])
    stuck.picture(PICTURES / "stuck.png")
    for text in ("\n", "root\n", "\x03", "\x04"):
        stuck.serial.keys(text)
    stuck.press("ret", "ret", "ctrl-alt-f2", "ret")
    no_prompt(stuck)
    again = stuck.serial.said(f"(?s){STUCK}.*{STARTING}", START)
    checks.check("it starts again by itself", again, stuck.serial.log[-1500:])
    stuck.cut()


def no_prompt(machine):
    found = PROMPT.search(machine.serial.log)
    checks.check("nobody is asked for anything on the serial line", not found, machine.serial.log[-1500:])


main()
