"""What each program of a box must never have and what it must have, as questions to the probe. Owns the table; who asks them where is sandbox.py's.

A question is a line for the probe (probe.c). `Never` holds when every one of them is refused, `Only` when a sweep finds nothing but what is listed, `Has` when every one of them works. What the programs may
ask one another is not written here a second time: it is read from docs/api.md.
"""

import re
from dataclasses import dataclass, field

from lib.program import ROOT

# As the kernel says no: by right, by what is not there for this one, by a filter.
REFUSED = {"EPERM", "EACCES", "SIGSYS"}
AWAY = {"ENOENT", "EROFS", "ENXIO"}
USERS = {"keyd": 861, "diskd": 862, "vaultd": 863, "authd": 864, "consoled": 865, "tty": 866, "replicad": 868}
STATE = "/var/lib/keepwell"
# Where questions about calls are asked: their folder and their place for a mount are the test's own.
PLACE = "/run/keepwell-test/place"

# Devices that give and take nothing of anybody's.
NULLS = {f"/dev/{name}:rw" for name in ("null", "zero", "full", "random", "urandom", "ptmx", "pts/ptmx", "tty")}
# Where lines for the journal go, and signs of life.
JOURNAL = {"/run/systemd/journal/stdout", "/run/systemd/journal/socket", "/run/systemd/journal/dev-log", "/run/systemd/notify"}
TEMPORARY = {"/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue"}

FAMILIES = ["socket inet stream", "socket inet datagram", "socket inet6 stream", "socket inet6 datagram", "socket inet raw"]
# Nobody has these; of some, this kernel has none either.
ODD_FAMILIES = ["socket packet raw", "socket alg packets", "socket vsock stream", "socket bluetooth raw", "socket xdp raw", "socket key raw", "socket can raw", "socket qipcrtr datagram", "socket inet6 raw"]
MOUNTS = [f"call {name}" for name in (f"mount {PLACE}", f"umount {PLACE}", "fsopen", "open_tree", "pivot_root", "chroot")]
NAMESPACES = [f"call {name}" for name in ("unshare-mount", "unshare-net", "unshare-user", "clone3-user", "setns")]
KERNEL = [f"call {name}" for name in ("finit_module", "init_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "iopl", "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "quotactl")]
SYSTEM = [f"call {name}" for name in ("clock_settime", "sethostname", "syslog", "add_key", "keyctl", "setuid", "setgid", "personality", "realtime", "open_by_handle_at", "fanotify_init", "suid /tmp")]
# Asked of keepwell-mount.
ELSEWHERE = ['{"act":"mount","device":"sda1","kind":"xfs","at":"/etc"}', '{"act":"mount","device":"sda1","kind":"xfs","at":"/run/keepwell/disks/../../x"}', '{"act":"mount","device":"mapper/state","kind":"ext4","at":"/run/keepwell/disks/x"}',
             '{"act":"unmount","at":"/var"}', '{"act":"let-go","at":"/"}', '{"act":"grow","at":"/var"}']
OTHER_CALLS = ["call int80", "call x32"]
CODE = ["call write-execute", "call make-executable", "bring /tmp", "bring /var/tmp", "bring /dev/shm", "bring-memory"]


@dataclass
class Cell:
    program: str
    what: str
    questions: list
    # Of a sweep: what may be found. None: of these questions none may work.
    only: set | None = None
    works: bool = False
    # Other answers that are a no, in this cell.
    no: set = field(default_factory=set)

    def fault(self, answers):
        """What is wrong with the answers, or nothing."""
        wrong = []
        for question, answer in zip(self.questions, answers, strict=True):
            if self.works:
                wrong += [f"{question}: {answer}"] if not answer.startswith("ok") else []
            elif self.only is not None:
                found = set(answer.split()[1:])
                stray = sorted(one for one in found if not allowed(one, self.only))
                if not answer.startswith("ok") and answer not in refused(question):
                    wrong.append(f"{question}: {answer}")
                elif stray:
                    wrong.append(f"{question}: {' '.join(stray)}")
            elif answer not in refused(question) | self.no:
                wrong.append(f"{question}: {answer}")
        return wrong


def refused(question):
    """Answers that are a no to this question. What is not there for a program is as good as refused; a call that is let through says so by any other error."""
    kind = question.split()[0]
    if kind == "socket":
        return REFUSED | {"EAFNOSUPPORT"}
    return REFUSED if kind in ("call", "bring", "bring-memory", "line") else REFUSED | AWAY


def allowed(one, only):
    """A name that ends with `*` stands for all that begin so."""
    return one in only or any(name.endswith("*") and one.startswith(name[:-1]) for name in only)


@dataclass
class Program:
    name: str
    unit: str
    # How a running one is found: the unit itself, or what is started for each connection to this socket, by the user who may connect.
    socket: str = ""
    asker: int = 0
    network: bool = False
    netlink: bool = False
    own_network: bool = True
    devices: set = field(default_factory=set)
    sockets: set = field(default_factory=set)
    writes: set = field(default_factory=set)
    reads: set = field(default_factory=set)
    pool: bool = False
    # In the system's own view of files, with rights over all of them: what it is for, and why it is so small.
    system_view: bool = False
    has: list = field(default_factory=list)

    @property
    def pressure(self):
        """The file by which the service manager tells it that memory gets short."""
        slices = {"ingestd": "keepwell.slice/keepwell-ingest.slice", "notifyd": "keepwell.slice/keepwell-outward.slice", "replicad": "keepwell.slice/keepwell-outward.slice", "recoverd": "keepwell.slice/keepwell-outward.slice", "tty": "keepwell.slice"}
        return f"/sys/fs/cgroup/{slices.get(self.name, 'keepwell.slice')}/{self.copy}/memory.pressure"

    @property
    def copy(self):
        return f"kwprobe-{self.name}{'@tty1' if '@tty1' in self.unit else ''}.service"


KEEPWELL = {f"/run/keepwell/{name}.sock" for name in ("keyd", "authd", "diskd", "vaultd")}


def programs(pool):
    """All of them. `pool`: where the disks of the pool are mounted."""
    disks = {"/dev/sd*", "/dev/nvme0n*"}
    return [
        Program("vaultd", "keepwell-vaultd.service", pool=True, sockets=KEEPWELL | {"/run/keepwell/notifyd.sock", "/run/keepwell/replicad.sock", "/run/keepwell/ingest.sock"}, writes={"/run/keepwell/disks/*", "/run/keepwell/outward*", f"{STATE}/vaultd", "/var/cache/keepwell/vaultd"},
                has=[f"create {STATE}/vaultd", "ask /run/keepwell/keyd.sock GET /v1/status", "ask /run/keepwell/authd.sock GET /v1/key", "ask /run/keepwell/diskd.sock GET /v1/disks", *(f"list {at}" for at in pool)]),
        Program("keyd", "keepwell-keyd.service", devices={"/dev/tpmrm0:rw"}, sockets=KEEPWELL, writes={f"{STATE}/keyd"}, has=[f"create {STATE}/keyd", "open read /dev/tpmrm0", "open read /run/systemd/tpm2-pcr-signature.json"]),
        Program("authd", "keepwell-authd.service", sockets={"/run/keepwell/authd.sock"}, writes={f"{STATE}/authd"}, has=[f"create {STATE}/authd"]),
        Program("diskd", "keepwell-diskd.service", own_network=False, netlink=True, devices=disks, sockets=KEEPWELL | {"/run/keepwell/smart.sock", "/run/keepwell/mount.sock"}, writes={f"{STATE}/diskd", "/run/keepwell/disks*", "/run/keepwell/outward*"},
                has=[f"create {STATE}/diskd", "open write /dev/sda", "open write /dev/nvme0n1", "socket netlink raw", "ask /run/keepwell/keyd.sock GET /v1/identity"]),
        Program("smart", "keepwell-smart@.service", socket="/run/keepwell/smart.sock", asker=862, devices=disks, has=["open read /dev/sda", "open read /dev/nvme0n1"]),
        Program("mount", "keepwell-mount@.service", socket="/run/keepwell/mount.sock", asker=862, own_network=False, system_view=True, has=["list /run/keepwell/disks"]),
        Program("ingestd", "keepwell-ingestd@.service", socket="/run/keepwell/ingest.sock", asker=863, network=True, netlink=True, own_network=False, has=["socket inet stream", "connect inet SERVER", "open read /etc/resolv.conf"]),
        Program("notifyd", "keepwell-notifyd.service", network=True, netlink=True, own_network=False, has=["socket inet stream", "connect inet SERVER", "open read /etc/resolv.conf"]),
        Program("replicad", "keepwell-replicad.service", network=True, netlink=True, own_network=False, pool=True, reads={f"{at}*" for at in pool}, writes={f"{STATE}/replicad", *(f"{at}/tenants*" for at in pool)},
                has=["socket inet stream", "connect inet SERVER", "bind tcp 8484", "open read /etc/resolv.conf", f"create {STATE}/replicad", *(f"list {at}/packs" for at in pool), *(f"create {at}/tenants" for at in pool)]),
        Program("recoverd", "keepwell-recoverd.service", socket="/run/keepwell/recoverd.sock", asker=866, network=True, netlink=True, own_network=False, pool=True, sockets={"/run/keepwell/vaultd.sock"}, writes={f"{STATE}/recoverd", "/run/keepwell/disks/*"},
                has=["socket inet stream", "connect inet SERVER", "open read /etc/resolv.conf", f"create {STATE}/recoverd", *(f"list {at}/packs" for at in pool)]),
        Program("consoled", "keepwell-consoled.service", sockets=KEEPWELL, writes={f"{STATE}/consoled", "/run/keepwell-consoled"},
                has=[f"create {STATE}/consoled", *(f"ask /run/keepwell/{name}.sock GET /v1/status" for name in ("vaultd", "authd", "keyd"))]),
        Program("tty", "keepwell-tty@tty1.service", own_network=False, netlink=True, devices={"/dev/tty1:rw"}, sockets=KEEPWELL | {"/run/keepwell/recoverd.sock"}, writes={f"{STATE}/tty", "/run/keepwell-tty"},
                has=[f"create {STATE}/tty", *(f"ask /run/keepwell/{name}.sock GET /v1/status" for name in ("vaultd", "authd", "keyd")), "socket netlink raw"]),
    ]


def cells(program, pool, routes):
    """The row of one program."""
    name = program.name

    def cell(what, questions, **more):
        return Cell(name, what, questions, **more)

    row = [cell("what it must have, it has", program.has, works=True)]
    if program.network:
        row.append(cell("a raw network, other families", ODD_FAMILIES))
        row.append(cell("a port to be called at", ["bind tcp 8080"]) if name in ("notifyd", "replicad", "recoverd") else cell("a raw network", ["socket inet raw"]))
    else:
        row.append(cell("a network", FAMILIES + ODD_FAMILIES + ([] if program.netlink else ["socket netlink raw"])))
    if program.own_network:
        row.append(cell("a card", ["interfaces"], only=set()))
    if name == "consoled":
        row.append(cell("anybody to call through its port", ["turn-round 10.0.2.2 SERVERPORT", "turn-round 127.0.0.53 53"], no={"EINPROGRESS", "ETIMEDOUT", "ENETUNREACH", "ECONNREFUSED"}))
    row.append(cell("namespaces", NAMESPACES, no={"ENOSYS"}))
    row.append(cell("the kernel: modules, another kernel, its instruments", KERNEL))
    row.append(cell("the system: clock, name, users, keys", SYSTEM))
    row.append(cell("another way to call the kernel", OTHER_CALLS, no={"ENOSYS"}))
    if program.system_view:
        row.append(cell("another's process to look into", [f"processes {act}" for act in ("signalled", "traced", "peeked")], only=set()))
        return row
    row.append(cell("a device, but its own", ["devices /run/keepwell-test/devices"], only=NULLS | program.devices))
    row.append(cell("a device of its own making", ["mknod /tmp"]))
    row.append(cell("the state of another", [f"list {STATE}/{other}" for other in ("keyd", "authd", "diskd", "vaultd", "consoled", "replicad") if other != name]))
    if not program.pool:
        row.append(cell("files of the pool", [f"list {at}" for at in pool]))
    row.append(cell("what is not for everybody", ["private /"], only=program.reads))
    row.append(cell("a place to write, but its own", ["writable /"], only=TEMPORARY | program.writes | {program.pressure}))
    row.append(cell("a socket, but those it needs", ["sockets /run/keepwell-test/sockets"], only=JOURNAL | program.sockets))
    row.append(cell("another's process to look into", [f"processes {act}" for act in ("private", "signalled", "traced", "peeked")], only=set()))
    row.append(cell("another's process to see", ["processes seen"], only=set()))
    row.append(cell("mounts", MOUNTS))
    if name == "diskd":
        row.append(cell("mounts that are made for it, elsewhere", [f"line /run/keepwell/mount.sock {one}" for one in ELSEWHERE]))
    row.append(cell("code of its own", CODE + [f"bring {at.rstrip('*').rstrip('/')}" for at in program.writes]))
    row.append(cell("another program's work", ["run /usr/bin/systemctl", "run /usr/bin/keepwell-keyd", "run /usr/bin/mount"] if name != "keyd" else ["run /usr/bin/systemctl", "run /usr/bin/keepwell-vaultd", "run /usr/bin/mount"]))
    for other, asked in routes.get(name, {}).items():
        row.append(Cell(name, f"routes of {other} that are not its", asked, only=not_yours(asked)))
    return row


def not_yours(asked):
    """What may come back of a request that is refused: the answer, and nothing of a body."""
    return {"403", "not-you"} if asked else set()


# Who may ask what, as docs/api.md has it

LETTERS = {"V": {"vaultd"}, "D": {"diskd"}, "A": {"tty"}, "S": {"tty"}, "C": {"consoled"}}
# Where a page's table has no column of users: those that /etc/keepwell/*.env admits.
ADMITTED = {"vaultd": {"consoled", "tty"}, "diskd": {"vaultd", "tty"}, "notifyd": {"vaultd"}, "replicad": {"vaultd"}}


def routes_not_theirs():
    """{program: {whom it asks: [questions]}}: every route that is not for it."""
    found = {name: {} for name in USERS}
    for section in re.split(r"^## ", (ROOT / "docs/api.md").read_text(), flags=re.M):
        other = section.split("\n", 1)[0].strip()
        if other not in ("vaultd", "keyd", "authd", "diskd", "notifyd", "replicad"):
            continue
        column = "| route | users |" in section
        for row in re.findall(r"^\| `((?:GET|POST) [^`]+)` \|([^|]*)\|", section, flags=re.M):
            method, path = row[0].split(" ", 1)
            path = re.sub(r"\{[^}]+\}", "1", path)
            admitted = set().union(*(LETTERS[letter] for letter in re.findall(r"\b[VDASC]\b", row[1]))) if column else ADMITTED[other]
            if column and "the same" in row[1]:
                admitted = {"vaultd"}
            if "for the screen's user alone" in row[1]:
                admitted = {"tty"}
            for name in USERS:
                if name not in admitted and name != other:
                    found[name].setdefault(other, []).append(f"ask /run/keepwell/{other}.sock {method} {path}")
    return found
