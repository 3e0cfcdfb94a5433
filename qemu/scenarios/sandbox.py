#!/usr/bin/python3
"""Somebody has broken into a program of the box. Each program's sandbox is entered by its own user and searched: what it must never have, it has not, a line for each cell of that table (probe/cells.py). Around
them: the system's own services within their bounds, nothing in the root file system that helps an intruder, and from outside no port but the documented ones, before the box has an owner and after."""

import re
import socket
import threading

from lib.checks import Checks, need_root
from lib.program import ROOT
from probe.box import ports, scanned
from probe.cells import PLACE, cells, programs, refused, routes_not_theirs
from probe.inside import THERE, Probe
from vm.bench import Bench
from vm.disk import Disk

need_root("sandbox")
checks = Checks("sandbox")
bench = Bench(checks)
# What listens where others could reach it, as the kernel says.
LISTENING = {("tcp", 443), ("udp", 5353), ("udp", 68), ("udp", 546)}
# Who is root inside, and why.
ROOTS = {"systemd": "starts and ends everything", "systemd-journal": "reads the kernel's messages", "systemd-udevd": "devices", "systemd-logind": "the power button", "(sd-pam)": "", "busybox": "this test", "sh": "this test", "timeout": "this test", "probe": "this test"}
# Names of shells, and of what could be one.
SHELLS = r"(ba|da|a|k|mk|z|c|tc|fi|r)?sh|busybox|toybox|perl[0-9.]*|python[0-9.]*|lua.*|tclsh.*|awk|[gmn]awk|gdb|strace|nc|ncat|socat|curl|wget|ssh|sshd|login|agetty|getty|su|sudo|sulogin|vi|vim|ed|less|more|xxd|dd"


def main():
    box = bench.resumed("box", scanned)
    with checks.part("from outside, before it has an owner"):
        outside(box.facts["before"])
    with checks.part("from outside, with an owner"):
        outside(ports(box.wire))
    box.plug(Disk("n1", "nvme"))
    box.until("[ -b /dev/nvme0n1 ]")
    probe = Probe(box, checks.scratch)
    server = Server()
    pool = [line.split()[1] for line in box.sh("cat /proc/mounts").lines if line.split()[1].startswith("/run/keepwell/disks/")]
    checks.check("its pool is there", len(pool) == 3, pool)
    routes = routes_not_theirs()
    for program in programs(pool):
        with checks.part(program.name):
            searched(probe, program, cells(program, pool, routes), pool, server.port)
    probe.end_copies()
    with checks.part("the services"):
        services(box)
    with checks.part("the root file system"):
        root(box, probe)
    with checks.part("the system"):
        system(box)
    with checks.part("afterwards"):
        failed = box.sh("systemctl --failed --plain --no-legend --no-pager").output.strip()
        checks.check("nothing failed", not failed, failed)
        checks.check("the kernel is as it was built", box.sh("cat /proc/sys/kernel/tainted").output.strip() == "0")
    checks.finish()


class Server:
    """Somebody that the box may call: at 10.0.2.2."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self):
        while True:
            self.socket.accept()[0].close()


def outside(found):
    for over in (4, 6):
        tcp, udp = found[f"tcp{over}"], found[f"udp{over}"]
        checks.check(f"IPv{over}: of all TCP ports the console's alone is open, and no other one answers", tcp["open"] == [443] and tcp["filtered"] == 65534, tcp)
        checks.check(f"IPv{over}: of all UDP ports none answers but the one for its name", set(udp["open"]) <= {5353} and not udp["closed"], udp)


def searched(probe, program, row, pool, port):
    """One program: its copy is faithful, and what is tried in there brings what it should."""
    differing, count = probe.copy(program)
    checks.check(f"{program.name}: the copy's sandbox is the original's ({count} settings)", not differing and count > 50, differing)
    about = ["about self", "mounts /proc/self/mountinfo"]
    questions = about + [placed(one, port) for cell in row for one in cell.questions]
    answers = probe.sandboxed(program, questions)
    running(probe, program, pool, answers[:2])
    controls(probe, program, row)
    at = len(about)
    for cell in row:
        faults = cell.fault(answers[at:at + len(cell.questions)])
        at += len(cell.questions)
        checks.check(f"{program.name}: {cell.what}" if cell.works else f"{program.name} has not: {cell.what} ({len(cell.questions)})", not faults, "\n".join(faults))


def placed(question, port):
    return question.replace("SERVERPORT", str(port)).replace("SERVER", f"10.0.2.2 {port}")


def running(probe, program, pool, answers):
    """The program itself, as the kernel has it, is no freer than the probe was."""
    pid = probe.running(program)
    real, first = probe.root([f"about {pid}", f"mounts /proc/{pid}/mountinfo"]), probe.root(["about 1"])[0]
    mine, theirs, system = facts(answers[0]), facts(real[0]), facts(first)
    for one in (mine, theirs):
        for name in [name for name in one if name.startswith("ns.")]:
            one[name] = "the system's" if one[name] == system[name] else "its own"
        # A user for one start has a new number each time.
        for name in ("Uid", "Gid", "Groups"):
            one[name] = ",".join("for one start" if number and 61184 <= int(number) <= 65519 else number for number in one[name].split(","))
    other = [f"{name}: {theirs.get(name)}, the copy has {mine.get(name)}" for name in sorted(mine.keys() | theirs.keys()) if mine.get(name) != theirs.get(name)]
    checks.check(f"{program.name}: the running program's rights and namespaces are those that were searched", not other and theirs["NoNewPrivs"] == "1," and theirs["Seccomp"] == "2,", other or theirs)
    # By what it hears that memory gets short: each has its own.
    # What was mounted after the program's view was made lies below what covers its place; that it can't be reached is looked at by itself.
    seen = [{one for one in said.split()[1:] if "/memory.pressure|" not in one and not one.startswith(("/run/keepwell/disks/", f"{THERE}/probe|"))} for said in (answers[1], real[1])]
    other = [("the copy's alone: " if one in seen[0] else "the program's alone: ") + one for one in sorted(seen[0] ^ seen[1])]
    checks.check(f"{program.name}: and so are its mounts", not other, "\n".join(other))
    # diskd sees where they are, and is refused what is in them.
    if not program.pool and not program.system_view and program.name != "diskd":
        reached = [f"{at}: {said}" for at, said in zip(pool, probe.root([f"list /proc/{pid}/root{at}" for at in pool]), strict=True) if said in ("?", "EPERM") or said.startswith("ok")]
        checks.check(f"{program.name}: the pool is not in the running program's view of files", not reached, reached)


def facts(answer):
    return dict(word.split("=", 1) for word in answer.split()[1:])


# Refused to everybody, root too: there is nothing to compare with.
NOBODY = re.compile(r"socket (alg|vsock|bluetooth|xdp|key|can|qipcrtr)|call (kexec\w*|bpf|iopl|io_uring_setup|unshare-user|clone3-user|perf_event_open|userfaultfd|x32|int80|setns|chroot|delete_module)|bring|open|ask|line|run|turn-round")


def controls(probe, program, row):
    """A refusal says something only if the same is not refused to root outside: what is asked exists, and the probe can ask it."""
    asked = sorted({one for cell in row if not cell.works and cell.only is None for one in cell.questions if not NOBODY.match(one)})
    answers = probe.root(asked)
    probe.box.sh(f"umount {PLACE}", check=False)
    void = [f"{one}: {answer}" for one, answer in zip(asked, answers, strict=True) if answer in refused(one)]
    checks.check(f"{program.name}: root, outside, is refused none of it ({len(asked)})", not void, "\n".join(void))


def services(box):
    """systemd's own rating of everything that runs, within written bounds."""
    bounds = {line.split()[0]: float(line.split()[1]) for line in (ROOT / "systemd/exposure").read_text().splitlines() if line.strip() and not line.startswith("#")}
    analyze(box)
    units = box.sh("systemctl list-units --type=service --state=running --plain --no-legend --no-pager").lines
    running = {re.sub(r"@[^.]*\.", "@.", line.split()[0]) for line in units} - {"keepwell-agent.service"}
    checks.check("every service that runs has a bound", running <= bounds.keys(), running - bounds.keys())
    for unit, bound in sorted(bounds.items()):
        said = box.sh(f"{THERE}/analyze/run security --no-pager {unit.replace('@.', '@x.')}", check=False, seconds=300)
        found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said.output)
        checks.check(f"{unit}: {found and found[1]} of at most {bound}", found and float(found[1]) <= bound, said.output[-1500:])


def analyze(box):
    """systemd-analyze of the tools, which have the same version as the box: the box itself has none."""
    tools = ROOT / "target/image/tools"
    box.sh(f"mkdir -p {THERE}/analyze")
    box.put(f"{THERE}/analyze/systemd-analyze", (tools / "usr/bin/systemd-analyze").read_bytes())
    box.put(f"{THERE}/analyze/run", f"#!{THERE}/busybox sh\nexec {THERE}/analyze/systemd-analyze \"$@\"\n".encode())
    box.sh(f"chmod 755 {THERE}/analyze/*")


def root(box, probe):
    rights = probe.root(["rights /usr"])[0].split()[1:]
    checks.check("no file of it lends the rights of another user, or of its own", not [one for one in rights if not one.startswith("script:")], rights)
    checks.check("no scripts", not [one for one in rights if one.startswith("script:")], rights)
    names = box.sh("find / -xdev \\( -type f -o -type l \\)").lines
    shells = [name for name in names if re.fullmatch(SHELLS, name.rsplit("/", 1)[1]) and "/bin/" in name.replace("/sbin/", "/bin/")]
    checks.check(f"no shell, and nothing that could be one, among its {len(names)} files", len(names) > 500 and not shells, shells)
    loose = box.sh("for at in / /var /run /dev/shm; do find $at -xdev ! -type l ! -type s ! -type c -perm -0002 ! \\( -type d -perm -1000 \\); done").output.split()
    checks.check("nothing that everybody may change", not [one for one in loose if not one.startswith(THERE)], loose)
    options = {line.split()[1]: line.split()[3].split(",") for line in box.sh("cat /proc/mounts").lines}
    checks.check("the root is read-only, the state and all that is in memory brings no rights and no devices", "ro" in options["/"] and all({"nosuid", "nodev"} <= set(options[at]) for at in ("/var", "/tmp", "/run", "/dev/shm") if at in options), options)


def system(box):
    users = box.sh("for p in /proc/[0-9]*; do [ -n \"$(tr -d '\\0' < $p/cmdline 2> /dev/null)\" ] && echo $(awk '/^Uid/ { print $2 }' $p/status) $(cat $p/comm); done", check=False).lines
    roots = {line.split(" ", 1)[1] for line in users if line.startswith("0 ")}
    checks.check("nobody is root but who is listed", roots <= ROOTS.keys(), roots - ROOTS.keys())
    found = listeners(box)
    checks.check("nothing listens but what is documented", found <= LISTENING and ("tcp", 443) in found, found)
    values = dict(re.findall(r"^([\w.]+) *= *(.+?)\s*$", box.sh("cat /usr/lib/sysctl.d/10-keepwell.conf").output, re.M))
    script = "; ".join(f"echo {name} = $(cat /proc/sys/{name.replace('.', '/')})" for name in values)
    now = dict(line.split(" = ", 1) for line in box.sh(script).lines if " = " in line)
    other = {name: (value, now.get(name)) for name, value in values.items() if now.get(name) != value}
    checks.check(f"the kernel's settings are those that are written ({len(values)})", len(values) > 20 and not other, other)
    lockdown = box.sh("cat /sys/kernel/security/lockdown", check=False).output
    checks.check("the kernel is closed against its own root", "[integrity]" in lockdown or "[confidentiality]" in lockdown, lockdown)


def listeners(box):
    """What the kernel has: TCP in state LISTEN (0A), UDP that is bound and not connected (07), but on loopback."""
    found = set()
    for name, state in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        for row in box.sh(f"cat /proc/net/{name}").lines[1:]:
            address, port = row.split()[1].split(":")
            if row.split()[3] == state and not (address.endswith("7F") or address == "00000000000000000000000001000000"):
                found.add((name.removesuffix("6"), int(port, 16)))
    return found


main()
