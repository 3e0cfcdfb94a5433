"""The box that scenarios of trouble begin with: `bench.resumed("box", furnished)`. Claimed, with a pool of three ATA disks, all three papers of its kit, and a small disk of its own. Facts: `seed` of the owner's
authenticator, `codes` that stand in for it, `papers` (rows of words)."""

import json
import os
import re
import time
from html import unescape

from lib.telephone import Telephone
from vm.boxes import POOL, claim_code
from vm.disk import Disk
from vm.machine import ADDRESS
from vm.practice import NAME, PASSWORD, Owner

# About as small as a box's own disk can be: it is soon full, and soon read from end to end.
OWN_DISK = 3 << 30


def furnished(bench):
    machine = bench.machine("furnished", [Disk(name) for name in POOL])
    os.truncate(machine.system.path, OWN_DISK)
    machine.boot()
    state = machine.ready()
    if state != "running":
        raise RuntimeError(f"{machine.name} is {state}: {failed(machine)}")
    web = machine.web()
    web.get("/claim")
    page = web.post("/claim", {"setup": claim_code(machine), "user": NAME, "password": PASSWORD, "again": PASSWORD})
    seed = re.search(r"otpauth://[^\s<\"]+", unescape(page.text))
    codes = re.search(r'<ul class="codes[^>]*>(.*?)</ul>', page.text, re.S)
    if not seed or not codes:
        raise RuntimeError(f"the box is not claimed: {page}")
    owner = Owner(web.origin, Telephone(seed[0]), through=web.through).signs_in()
    owner.makes_pool(*(machine.disk(name).serial for name in POOL))
    papers = [owner.prints(number) for number in (1, 2, 3)]
    return machine, {"seed": owner.seed, "codes": re.findall("<li>([^<]+)</li>", codes[1]), "papers": papers}


class Codes:
    """In place of a telephone: recovery codes, each of which works once."""

    def __init__(self, codes):
        self.codes = list(codes)

    def code(self):
        return self.codes.pop(0)


def owner_at(machine, proof):
    """The owner before this machine, signed in with a telephone, or with `Codes`."""
    return Owner(ADDRESS, proof, through=("127.0.0.1", machine.port)).signs_in()


def telephone(facts):
    """The owner's. A code of it was shown when the box was made, or a moment ago."""
    return Telephone(facts["seed"], used=True)


class Monitor:
    """A program of the practice with a token of its own, that asks how the box is. `at` another machine with the same state."""

    def __init__(self, machine, owner):
        page = owner.does("/people", "/people/tokens", [("name", "monitor"), ("verb", "snapshots-list"), ("shares", ""), ("days", "30")])
        found = re.search(r"kw_[A-Za-z0-9_-]+", page.text)
        if not found:
            raise RuntimeError(f"no token is made: {page}")
        self.machine, self.token = machine, found[0]

    def status(self):
        """As vaultd tells it. Which certificate the console has is another check's."""
        answer = self.machine.web().ask("GET", "/api/v1/status", None, {"Authorization": f"Bearer {self.token}"})
        found = json.loads(answer.text)
        if "headline" not in found:
            raise RuntimeError(f"no status: {found}")
        return found

    def until(self, wanted, seconds=300):
        """The status, as soon as it is as wanted, or as it was in the end."""
        end = time.monotonic() + seconds
        while True:
            try:
                status = self.status()
            except (OSError, RuntimeError, ValueError) as error:
                status = {"headline": None, "why": str(error)}
            if status["headline"] and wanted(status) or time.monotonic() > end:
                return status
            time.sleep(1)

    def incident(self, kind, code):
        """Whether the box says that of itself."""
        return lambda status: any((one["duty"]["kind"], one["code"]) == (kind, code) and one["closed_at"] is None for one in status["incidents"])


def proven(status, kind):
    """When a duty of the box was proven last."""
    return max((standing.get("at", 0) for duty, standing in status["duties"] if duty["kind"] == kind and standing["is"] == "proven"), default=0)


def failed(machine):
    return machine.sh("systemctl --failed --no-legend --plain --no-pager", check=False).output.strip()
