"""A practice whose box has a pool: its file server, what its owner does at the console, what its programs ask over the network. Owns no checks: what does not go as it should is an error."""

import base64
import json
import re
import ssl
import time
from html import unescape

from lib import trees
from lib.box import until
from lib.compare import folder_hash
from lib.servers import Samba
from lib.telephone import STEP_S
from lib.web import Web
from vm.boxes import claimed, owner_of
from vm.machine import ADDRESS
from vm.practice import LONG

# What tokens of the practice's programs are for; the box gives each the least role that may do it.
TOKENS = {"operator": ("run-now", "snapshots-list", "restore"), "auditor": ("log-read",)}
SHARE = "EHR"
# In place of half an hour, so that a scenario does not wait for the next question.
POLL_S = 20
DROP_IN = "/run/systemd/system/keepwell-diskd.service.d"


def owned(bench):
    """A claimed box with a pool of three ATA disks, two sheets of its kit printed, and tokens for programs. Facts: those of `claimed`, `sheets`, `tokens`."""
    box = bench.resumed("owned", claimed)
    owner = signed_in(box)
    sheets = two_sheets(owner, box.facts["papers"][0])
    return box, {**box.facts, "sheets": sheets, "tokens": {name: token(owner, name, verbs) for name, verbs in TOKENS.items()}}


def signed_in(box):
    """The owner. A code that was shown just before the machine was saved counts no more; the one after the next does."""
    try:
        return owner_of(box)
    except RuntimeError:
        time.sleep(2 * STEP_S)
        return owner_of(box)


def two_sheets(owner, rows):
    """The first sheet of the kit, of which the words are known, and the second one, as somebody types them."""
    paper = owner.does("/setup/kit", "/setup/kit/print", {"paper": 2, "keeper": "Keeper 2", "format": "text"})
    second = [line.strip() for line in unescape(re.sub("<[^>]+>", "", paper.text)).splitlines() if re.match(r"\s*(vault|set|share|words-\d):", line)]
    if len(second) < 4:
        raise RuntimeError(f"the second sheet is not printed: {paper}")
    first = [line for line in second if line.startswith(("vault:", "set:"))] + ["share: 1"] + [f"words-{number}: {row}" for number, row in enumerate(rows, 1)]
    return ["\n".join(lines) + "\n" for lines in (first, second)]


def token(owner, name, verbs):
    page = owner.does("/people", "/people/tokens", [("name", name), *(("verb", verb) for verb in verbs), ("shares", ""), ("days", "400")])
    found = re.search(r"kw_[\w-]+", page.text)
    if not found:
        raise RuntimeError(f"no token for {name}: {page}")
    return found[0]


class Refused(RuntimeError):
    """The box said no, or nothing yet."""


class Site:
    """The practice of a box that was made by `owned`. What was backed up is known by its generation: each adds files to the share before it."""

    def __init__(self, box, folder):
        self.box, self.facts = box, box.facts
        self.server = Samba(folder, shares={"back": ""})
        self.generation = 0
        # What the share held when a backup of it that the box called complete began, by snapshot.
        self.acknowledged = {}
        self.owner = signed_in(box)
        self.authority = Web(ADDRESS, through=("127.0.0.1", box.port)).get("/authority.pem").text

    # The practice's data

    def grows(self, files, size):
        """More files in the share."""
        self.generation += 1
        trees.plain(self.server.share / f"generation-{self.generation:03}", files, size, seed=self.generation)
        self.server.give()

    def held(self):
        """What is in the share now."""
        return contents(self.server.share)

    def adds_share(self):
        return self.owner.adds(SHARE, f"10.0.2.2:{self.server.port}", "share", self.server.reader, secret(self.server.reader_password))

    # What programs ask

    def ask(self, method, route, body=None, who="operator"):
        """The JSON answer of the box."""
        web = Web(ADDRESS, authority=self.authority, through=("127.0.0.1", self.box.port), timeout=120)
        sent = {"Authorization": f"Bearer {self.facts['tokens'][who]}", "Content-Type": "application/json"}
        try:
            page = web.ask(method, f"/api{route}", None if body is None else json.dumps(body).encode(), sent)
        except (OSError, ssl.SSLError) as error:
            raise Refused(f"{route}: {error}") from error
        if page.status != 200:
            raise Refused(f"{route}: {page.status} {page.text[:500]}")
        return json.loads(page.body)

    def told(self, route, **more):
        """The same; nothing while the box does not answer, as one that starts."""
        try:
            return self.ask("GET", route, **more)
        except Refused:
            return {}

    def opened(self, seconds=LONG):
        """Whether the vault is open, in time."""
        return until(lambda: waited(self.told("/v1/vault").get("unready", 1) is None), seconds)

    # Backups and restores

    def share(self):
        return next(share["id"] for share in self.ask("GET", "/v1/shares") if share["name"] == SHARE)

    def runs(self):
        """Newest first."""
        return self.told(f"/v1/runs?share={self.share()}&limit=1000") or []

    def begins(self):
        """A backup's number: one that is under way by itself already, or a new one."""
        going = next((run for run in self.runs() if run["finished_at"] is None), None)
        return going["id"] if going else self.ask("POST", "/v1/runs", {"share": self.share()})["id"]

    def run(self, number):
        return self.told(f"/v1/runs/{number}")

    def ends(self, number, seconds=LONG):
        """A backup, when it is over."""
        if not until(lambda: waited(self.run(number).get("finished_at")), seconds):
            raise RuntimeError(f"backup {number} does not end: {self.run(number)}")
        return self.run(number)

    def backs_up(self, first=False):
        """One more backup to its end; what was there before it began is acknowledged with it. `first`: that of a new share, which begins by itself."""
        held = self.held()
        if first and not until(lambda: waited(self.runs()), LONG):
            raise RuntimeError("a new share is not backed up by itself")
        done = self.ends(self.runs()[0]["id"] if first else self.begins())
        if done["outcome"] == "complete":
            self.acknowledged[done["snapshot"]] = held
        return done

    def listed(self):
        """The snapshots that the box shows."""
        return {one["id"] for one in self.ask("POST", "/v1/snapshots", {"share": SHARE})}

    def restores(self, snapshot):
        """To the server's share `back`, which is emptied before: what became of it, and what lies there then."""
        back = self.server.folder / "back"
        trees_gone(back)
        word = {"snapshot": snapshot, "to": f"smb://{self.server.user}@10.0.2.2:{self.server.port}/back", "conflict": "replace"}
        word["password"] = base64.b64encode(secret(self.server.password).encode()).decode()
        number = self.ask("POST", "/v1/restores", word)["id"]
        state = lambda: self.told(f"/v1/restores/{number}")
        if not until(lambda: waited(state().get("finished_at")), LONG):
            raise RuntimeError(f"the restore does not end: {state()}")
        # Where several shares go to one place, each has a folder; one alone has none.
        came = next((path.parent for path in sorted(back.rglob("generation-001"))), back)
        return state(), contents(came)

    # Disks

    def disks(self):
        """By serial number: membership, verdict, and all else that is told of them."""
        found = {}
        for serial, one in self.bays():
            disk = one["disk"] or {}
            # A member that was not looked at yet may be there a second time, as a disk of unknown use.
            found.setdefault(serial, {"membership": one["membership"], "verdict": disk.get("health", {}).get("verdict"), **disk})
        return found

    def bays(self):
        """Each that is told of, with its serial number, as often as it is."""
        return [((one["disk"] or {}).get("serial") or one["pool_name"], one) for one in self.told("/v1/disks").get("disks", [])]

    def membership(self, disk):
        return self.disks().get(disk.serial, {}).get("membership")

    def verdict(self, disk):
        return self.disks().get(disk.serial, {}).get("verdict")

    def whole(self):
        """Whether everything in the pool has all its redundancy, and nothing is to be moved."""
        return self.told("/v1/vault").get("degraded_objects") == 0 and self.told("/v1/disks").get("to_mend") == 0

    def incidents(self):
        """About disks: (serial number, code)."""
        found = self.told("/v1/status").get("incidents", [])
        return [(one["duty"]["subject"].get("id"), one["code"]) for one in found if one["duty"]["kind"] == "disk"]

    def adds_disk(self, disk, replaces=None):
        """Erases it and takes it into the pool, as an owner does; it is a member afterwards."""
        if not until(lambda: waited(disk.serial in self.disks()), LONG):
            raise RuntimeError(f"{disk.serial} is not seen: {self.disks()}")
        form = {"serial": disk.serial, "replaces": replaces.serial if replaces else "", "typed": f"ERASE {disk.serial}"}
        page = self.owner.does("/disks/act", "/disks/add", form)
        if not until(lambda: waited(self.membership(disk) == "member"), LONG):
            raise RuntimeError(f"{disk.serial} is not added: {page}\n{self.disks()}")

    def asks_often(self):
        """Has the box ask its disks every few seconds until it is started again."""
        line = self.box.sh("cat /etc/keepwell/diskd.env").output.strip()
        self.box.sh(f"mkdir -p {DROP_IN}")
        self.box.put("/run/keepwell-often.env", f"{line} --poll-every {POLL_S}\n".encode())
        self.box.put(f"{DROP_IN}/often.conf", b"[Service]\nEnvironmentFile=/run/keepwell-often.env\n")
        self.box.sh("systemctl daemon-reload && systemctl restart keepwell-diskd.service", seconds=300)

    def log_faults(self):
        verdict = self.ask("GET", "/v1/log/verify", who="auditor")
        return verdict["faults"] if verdict["records"] else ["there is no record"]


def waited(value, seconds=1.0):
    """The value; after a pause where it is not there yet, because whoever asks takes time from whoever answers."""
    if not value:
        time.sleep(seconds)
    return value


def contents(folder):
    """Size and content of all that lies there; owners, modes and times are the server's."""
    return {path: seen[4:] for path, seen in folder_hash(folder).items()}


def trees_gone(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def secret(path):
    return path.read_text().strip()
