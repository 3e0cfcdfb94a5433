"""Asks the probe inside a machine: as root, and in copies of units that differ from the originals in nothing but what they run. Owns the copies."""

import re
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
THERE = "/run/keepwell-test"
# Lines of a unit that say what runs, and how its start and end are seen to; everything else is its sandbox, and stays.
OTHERS = re.compile(r"(Exec(Start|Stop|Reload|Condition)\w*|Type|NotifyAccess|WatchdogSec|Restart\w*|Standard\w+|TTY\w+|Timeout\w+|RuntimeMaxSec|RuntimeDirectoryPreserve|EnvironmentFile|Environment|WorkingDirectory)=")
# What the sandbox of a unit is made of, as `systemctl show` has it.
SANDBOX = re.compile(
    r"(User|Group|SupplementaryGroups|DynamicUser|UMask|Slice|Delegate|Capabil\w+|Ambient\w+|NoNew\w+|Private\w+|Protect\w+|ProcSubset|Restrict\w+|SystemCall\w+|Device\w+|IPAddress\w+|SocketBind\w+|Memory(Max|High|SwapMax|DenyWriteExecute)"
    r"|TasksMax|Limit\w+|Lock\w+|Keyring\w+|SecureBits|Mount\w+|RemoveIPC|Root\w+|(ReadWrite|ReadOnly|Inaccessible|Exec|NoExec)Paths|Bind\w+|TemporaryFileSystem|(State|Runtime|Cache|Logs|Configuration)Directory(Mode)?)=")


class Probe:
    def __init__(self, box, scratch):
        self.box = box
        program = Path(scratch) / "probe"
        subprocess.run(["cc", "-std=gnu17", "-Wall", "-Wextra", "-O1", "-s", "-static", "-o", program, HERE / "probe.c"], check=True)
        box.sh(f"mkdir -p {THERE}/ask {THERE}/said {THERE}/place; chmod 755 {THERE}")
        box.put(f"{THERE}/probe", program.read_bytes())
        box.sh(f"chmod 755 {THERE}/probe")
        self.listed()

    def listed(self):
        """What its sweeps go through: device nodes, and sockets that somebody listens at (the flag of the kernel's table) or takes messages at."""
        self.box.sh(f"find /dev -type b -o -type c > {THERE}/devices; awk 'NR > 1 && $8 ~ /^[\\/@]/ {{ print $8 }}' /proc/net/unix | sort -u > {THERE}/sockets; chmod 644 {THERE}/devices {THERE}/sockets")

    def _ask(self, name, questions):
        self.box.put(f"{THERE}/ask/{name}", "".join(f"{one}\n" for one in questions).encode())
        self.box.sh(f"chmod 644 {THERE}/ask/{name}")

    def root(self, questions):
        """The answers to root, outside of any sandbox."""
        self._ask("root", questions)
        return self._answers(self.box.sh(f"cd /; {THERE}/probe {THERE}/ask/root", seconds=600).lines, questions)

    @staticmethod
    def _answers(lines, questions):
        if len(lines) != len(questions):
            raise RuntimeError(f"{len(questions)} questions, {len(lines)} answers: {lines[:5]}")
        return lines

    def settings(self, unit):
        """A unit's files as the service manager reads them, without what it runs."""
        kept, inside = [], False
        for line in self.box.sh(f"systemctl cat {unit}").lines:
            if line.startswith("["):
                inside = line.strip() == "[Service]"
            elif inside and line.strip() and line[0] not in "#;" and not OTHERS.match(line):
                kept.append(line)
        return kept

    def copy(self, program):
        """Puts the copy beside the original; returns what systemd shows of both sandboxes that is not the same."""
        asked = f"{THERE}/ask/{program.name}"
        said = f"{THERE}/said/{program.name}"
        mine = ["Type=oneshot", f"ExecStart={THERE}/probe {asked}", "StandardInput=null", f"StandardOutput=truncate:{said}", "StandardError=journal", "RuntimeDirectoryPreserve=yes", "TimeoutStartSec=600"]
        settings = self.settings(program.unit)
        if any(line.startswith("NoExecPaths=") for line in settings):
            mine.append(f"ExecPaths={THERE}/probe")
        name = re.sub(r"@\w+", "@", program.copy)
        text = "\n".join([f"[Unit]\nDescription=Probe in the sandbox of {program.unit}\n[Service]", *settings, *mine, ""])
        self.box.put(f"/run/systemd/system/{name}", text.encode())
        if program.name == "consoled":
            self.box.put("/run/systemd/system/kwprobe-consoled.socket", b"[Socket]\nListenStream=8443\nBindIPv6Only=both\n")
        self.box.sh("systemctl daemon-reload")
        return self.differing(program)

    def differing(self, program):
        original = program.unit.replace("@.", "@x.")
        # A user for one start has the name of its unit.
        shown = [{line.replace("=kwprobe-", "=keepwell-") for line in self.box.sh(f"systemctl show {unit}").lines if SANDBOX.match(line)} for unit in (original, program.copy)]
        added = f" {THERE}/probe"
        shown[1] = {line.replace(added, "") if line.startswith("ExecPaths=") else line for line in shown[1]}
        return sorted(shown[0] ^ shown[1]), len(shown[0])

    def sandboxed(self, program, questions):
        """The answers in the sandbox of a program."""
        self._ask(program.name, questions)
        if program.name == "consoled":
            self.box.sh("systemctl stop kwprobe-consoled.socket; systemctl start kwprobe-consoled.socket")
        done = self.box.sh(f"systemctl start {program.copy}", check=False, seconds=600)
        lines = self.box.sh(f"cat {THERE}/said/{program.name}", check=False).lines
        if done.status or len(lines) != len(questions):
            raise RuntimeError(f"{program.copy}: {done}\n{self.box.sh(f'systemctl status --no-pager -n 20 {program.copy}', check=False)}\n{lines[:3]}")
        return lines

    def running(self, program):
        """The number of the program's process: of the service, or of one that is started for a connection."""
        if program.socket:
            self.box.sh(f"{THERE}/probe hold {program.asker} {program.socket} 60 > /dev/null 2>&1 &")
            pattern = program.unit.replace("@.", "@*.")
            script = f"systemctl show -p MainPID --value '{pattern}' | grep -v '^0$' | grep . | tail -n 1"
        else:
            script = f"systemctl show -p MainPID --value {program.unit}"
        # Before it is the program, it is a part of the service manager.
        self.box.until(f"readlink /proc/$({script})/exe | grep -q /usr/bin/keepwell-", 30)
        return int(self.box.sh(script).lines[0])

    def end_copies(self):
        self.box.sh("systemctl stop 'kwprobe-*'; rm -f /run/systemd/system/kwprobe-*; systemctl daemon-reload; systemctl reset-failed 'kwprobe-*'", check=False)
