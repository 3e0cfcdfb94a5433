"""Two whole boxes of which one keeps for the other, what either says of it, and the program that says what no box of ours says (tests/hostile-box). Owns no checks but that both outlived it."""

import json
import sqlite3
import subprocess

from .appliance import Appliance
from .box import free_pair, until
from .checks import RUNNING
from .program import BINARY

HOSTILE = BINARY.with_name("keepwell-hostile-box")
FAR = "127.0.0.3"
# Records of the log that one question gives.
AT_ONCE = 1000


class Pair:
    """`near` sends, `far` keeps; paired when `pair` was called."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_pair()
        self.near = Appliance(folder / "near", "--offsite", f"127.0.0.2:{free_pair()}")
        self.far = Appliance(folder / "far", "--offsite", f"{FAR}:{self.port}")

    @property
    def address(self):
        return f"{FAR}:{self.port}"

    def invite(self, quota="20GB"):
        """An invitation of the far box."""
        words = ("offsite", "invite", "--address", self.address, "--quota", quota, "--place", "The other house")
        invited = self.far(*words)
        if invited.status and self.far.sign_in().status == 0:
            # Sessions end with the programs.
            invited = self.far(*words)
        return invited.report.get("invitation", "")

    def pair(self, quota="20GB"):
        return self.near("offsite", "pair", self.invite(quota), "--practice", "Practice")

    def receiver(self):
        return receiver(self.near)

    def tenant(self):
        return tenant(self.far)

    def failure(self):
        return (self.receiver().get("failure") or {}).get("code")

    def all_there(self, seconds=300):
        """Every snapshot is signed for, and nothing is wrong."""
        self.near("offsite", "send")
        told = lambda: (lambda one: one.get("waiting") == 0 and one.get("failure") is None and not one.get("busy") and one.get("receipts"))(self.receiver())
        return until(told, seconds)

    def proven(self, seconds=300):
        """Asks for a proof as a person would; the challenge that came of it, or none."""
        before = self.count("challenge")
        asked = self.near("offsite", "prove")
        came = asked.status == 0 and until(lambda: self.count("challenge") > before and not self.receiver().get("busy"), seconds)
        return self.receiver().get("challenge") if came else None

    def count(self, code):
        """What happened of this kind at the near box."""
        return sum(event["code"] == code for event in happened(self.near))

    def folders(self):
        """The tenant's folders on the far box's disks."""
        return sorted(self.far.folder.glob("disks/disk-*/tenants/*"))

    def restart_far(self, *options):
        """The far box after somebody had its disks: `stop`, what was done, and this."""
        if options:
            self.far.options = options
        self.far.start()
        self.far.settled()
        self.usable()

    def reopen(self):
        """The far box's program ends without warning, and looks at its folders anew when it is back."""
        before = self.far.pid("replicad")
        self.far.kill("replicad")
        until(lambda: self.far.pid("replicad") not in (None, before) and self.far.answers("replicad"), 120)
        self.usable()

    def usable(self):
        """Until then who asks is told that its disks can't be used now, and comes back later."""
        return until(lambda: all(tenant["used_bytes"] is not None for tenant in offsite(self.far).get("tenants", [{"used_bytes": None}])))

    def outlived(self, checks):
        """Whatever was done to them: their logs are whole, and no program fell over."""
        for box in (self.near, self.far):
            verified = box("log", "verify")
            checks.check("the log is whole", verified.status == 0, verified)
            text = (box.folder / "log/replicad.log").read_text()
            checks.check("no program fell over", "panicked" not in text, text[-1000:])


def offsite(box):
    return box.get("vaultd", "/v1/offsite")


def receiver(box):
    """What a box says of the one that keeps for it."""
    return next(iter(offsite(box).get("receivers", [])), {})


def tenant(box):
    """What a box says of the one that it keeps for."""
    return next(iter(offsite(box).get("tenants", [])), {})


def is_there(box, share):
    """The newest snapshot of the share has a verified receipt. Two of one second may be told in any order: the time is what counts."""
    newest = max((one["taken_at"] for one in box("snapshots").report.get("snapshots", []) if one["share"] == share), default=None)
    copies = [copy for tier in receiver(box).get("tiers", []) for copy in tier["copies"]]
    return any(copy["share"] == share and copy["taken_at"] == newest for copy in copies)


def happened(box):
    """What replicad has to tell, at once; the log has it some seconds later."""
    found = []
    while more := box.get("replicad", f"/v1/events?after={found[-1]['id'] if found else 0}").get("events"):
        found += more
    return [{"code": event["code"], **event["fields"]} for event in found]


def log(box):
    """All records."""
    records = []
    # Each look at it is a record, too: the end is where less came than was asked for.
    while len(records) % AT_ONCE == 0:
        more = box("log", "--from", records[-1]["seq"] + 1 if records else 0, "--limit", AT_ONCE).report.get("records", [])
        if not more:
            break
        records += more
    return records


def events(box):
    """What the log says of other boxes."""
    return [record["fields"] for record in log(box) if record["event"] == "offsite"]


def transport_key(box, file):
    """What root on a box finds in replicad's state: its key among boxes."""
    with sqlite3.connect(f"file:{box.folder}/state/replicad/replicad.sqlite?mode=ro", uri=True) as state:
        (content,) = state.execute("SELECT content FROM documents WHERE name = 'keys'").fetchone()
    file.write_text(json.loads(content)["transport"])
    file.chmod(0o600)
    return file


def hostile(*words):
    """One run of the hostile program: what it says, as JSON where it is."""
    done = subprocess.run([str(word) for word in (HOSTILE, *words)], capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        return {"error": done.stderr.strip()}
    try:
        return json.loads(done.stdout)
    except ValueError:
        return done.stdout.strip()


def ask(key, at, of, method, path):
    """One request with somebody's key: status and word of the answer."""
    came = hostile("ask", "--key", key, "--at", at, "--of", of, method, path)
    return came.get("status"), came.get("code") or came.get("error")


class Front:
    """A receiver that lies, with the real one behind it."""

    def __init__(self, key, listen, back, source):
        self.process = subprocess.Popen(
            [str(word) for word in (HOSTILE, "front", "--key", key, "--listen", listen, "--back", back, "--source", source)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        RUNNING.append(self.stop)
        self.ready = self.process.stdout.readline().strip() == "ready"

    def lie(self, name):
        """From now on. Answers how much it was asked until now."""
        self.process.stdin.write(f"{name}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def stop(self):
        if self.process:
            self.process.stdin.close()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process.stdout.close()
            self.process = None
