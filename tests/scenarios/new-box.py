#!/usr/bin/python3
"""All is lost but the disks and the papers. A new box out of its carton, at its own screen: the disks are taken over by a serial number from a sticker, two papers open them, people,
shares and history come back, a share is restored byte for byte, backups go on, and the box opens by itself from then on. Then the same on a box that came up without its own state: it
says so, lures nobody to claim it, makes no keys, and forgets all of it when it is switched off.

Needs root (loop devices, mounts) and a TPM made of software.
"""

import shutil

from lib import trees
from lib.appliance import Appliance
from lib.bays import Shelf
from lib.box import until
from lib.checks import Checks, need_root
from lib.people import People, secret
from lib.screen import Screen
from lib.servers import Samba
from lib.worst_day import restored

need_root("new-box")
checks = Checks("new-box")
SIZE = 640 << 20
CARTON = ("--tpm", "--without-pool")


def main():
    here = checks.scratch
    server = Samba(here / "samba")
    trees.plain(server.share / "files", 120, 30_000, seed=9)
    server.give()
    shelf = Shelf(here / "shelf", here / "old/run/keyd.sock", 4, SIZE)
    box = Appliance(here / "old", *CARTON, "--diskd", shelf.diskd.socket)
    with checks.part("a practice"):
        papers, people = practice(box, shelf, server)
    before = told(box)
    box.stop()
    lost = people.passwords[people.owner], people.telephones[people.owner]
    shutil.rmtree(here / "old")
    with checks.part("a new box"):
        shelf.moved_to(here / "new/run/keyd.sock")
        new_box(shelf, server, papers, before, lost)
    with checks.part("a box without its own state"):
        shelf.moved_to(here / "locked/run/keyd.sock")
        without_state(shelf, server, papers, before, lost)
    checks.finish()


def practice(box, shelf, server):
    """A box with a pool, a kit on paper, and a backup. Answers the papers' rows of words, and the people."""
    until(lambda: len(blank(shelf)) == 4 and box.get("vaultd", "/v1/pool").get("phase") == "none")
    serials = sorted(blank(shelf))[:3]
    made = box.granted("disks-change", "/v1/pool", {"disks": [{"serial": serial, "typed_serial": serial} for serial in serials], "owner": "Dr. Example"})
    checks.check("a pool is made", made.status == 200 and box.settled(), made)
    added = box("shares", "add", "EHR", *server.to_read(), "--tier", 1)
    run = box("runs", "start", "EHR", "--wait")
    checks.check("a share is backed up", added.status == 0 and run.status == 0, f"{added}\n{run}")
    people = People(box)
    papers = [paper(people, box, number) for number in (1, 2, 3)]
    checks.check("its kit is on paper", all(len(rows) == 4 for rows in papers), papers)
    at = box.get("vaultd", "/v1/status")["at"]
    checks.check("the state is kept in the vault", until(lambda: proven(box) > at, 300), box.get("vaultd", "/v1/status").get("duties"))
    checks.check("and the kit's slots are", until(lambda: box.get("keyd", "/v1/status")["vaults"][0]["to_store"] is False, 150), box.get("keyd", "/v1/status"))
    return papers, people


def blank(shelf):
    return [disk["serial"] for disk in shelf.known() if disk["standing"]["kind"] == "blank"]


def proven(box):
    duties = box.get("vaultd", "/v1/status").get("duties", [])
    return max((standing["at"] for duty, standing in duties if duty["kind"] == "state" and standing["is"] == "proven"), default=0)


def paper(people, box, number):
    """Printed, and confirmed with the words that are asked for. Its rows."""
    vault = box.get("vaultd", "/v1/vault")["vault"]
    page = act(people, "kit-print", "/v1/kit/print", {"vault": vault, "paper": number, "format": "text", "keeper": f"keeper {number}"})
    rows = [line.split()[1:] for line in page.report.get("text", "").splitlines() if line.startswith("words-")]
    asked = box.get("vaultd", f"/v1/kit/{number}")["places"]
    typed = [secret(rows[place["row"] - 1][place["word"] - 1]) for place in asked]
    confirmed = act(people, "settings-change", "/v1/kit/confirm", {"vault": vault, "paper": number, "words": typed})
    checks.check(f"paper {number} is printed and confirmed", page.status == 200 and confirmed.status == 200, f"{page.status} {confirmed}")
    return [" ".join(row) for row in rows]


def act(people, verb, route, order):
    answer = people.act(people.owner, verb, route, order)
    return people.act(people.owner, verb, route, order, code=True) if answer.code == "step-up" else answer


def told(box):
    shares = [{name: share[name] for name in ("id", "name", "location", "tier", "added_at")} for share in box.get("vaultd", "/v1/shares")]
    users = {user["name"] for user in box.get("authd", "/v1/users").get("users", [])}
    return {"shares": shares, "users": users, "runs": {run["id"] for run in box.get("vaultd", "/v1/runs?limit=1000")}}


def new_box(shelf, server, papers, before, lost):
    box = Appliance(checks.scratch / "new", *CARTON, "--unclaimed", "--diskd", shelf.diskd.socket)
    screen = Screen(box, diskd=shelf.diskd.socket)
    checks.check("it says whose disks are there, before anybody claims it", screen.shows("DISKS OF THE BOX") and screen.shows("Recovery papers"), screen.text)
    checks.check("and mounts none of them by itself", theirs(shelf, mounted=False) == 3, shelf.known())
    take_over(shelf, screen)
    open_with_papers(screen, papers)
    checks.check("the keys are open, and kept for this box", screen.shows("The keys are open", 180) and screen.shows("opens them at its next start"), screen.text)
    returned(box, before)
    restored(checks, screen, server, lost)
    # The grants below are the owner's, who came back with the vault.
    people = back(box, lost)
    run = act(people, "run-now", "/v1/runs", {"share": before["shares"][0]["id"]})
    done = until(lambda: any(run["id"] not in before["runs"] and run.get("outcome") for run in box.get("vaultd", "/v1/runs?limit=1000")), 300)
    checks.check("backups go on", run.status == 200 and done, f"{run}\n{box.get('vaultd', '/v1/runs')}")
    screen.stop()
    box.stop()
    shelf.diskd.restart()
    box.start()
    checks.check("from then on it opens by itself", box.settled() and theirs(shelf, mounted=True) == 3, box.get("vaultd", "/v1/vault"))
    checks.check("and the vault has its slot", until(lambda: box.get("keyd", "/v1/status")["vaults"][0]["to_store"] is False, 150), box.get("keyd", "/v1/status"))
    box.stop()


def take_over(shelf, screen):
    screen.home()
    screen.pick("Recovery papers")
    screen.pick("Use 3 disks of the box")
    screen.shows("Serial number")
    spare = next(iter(blank(shelf)))
    screen.fill(spare)
    checks.check("a serial number that is not one of theirs ends it", screen.shows("not one of a disk of that box") and theirs(shelf, mounted=False) == 3, screen.text)
    screen.home()
    screen.pick("Recovery papers")
    screen.pick("Use 3 disks of the box")
    screen.shows("Serial number")
    screen.fill(next(disk["serial"] for disk in shelf.known() if disk["standing"]["kind"] == "other-box"))
    checks.check("one that is gives all of them to this box", screen.shows("taken over|Open the backups", 120) and until(lambda: theirs(shelf, mounted=True) == 3, 60), f"{screen.text}\n{shelf.known()}")


def theirs(shelf, mounted):
    kind = "prepared" if mounted else "other-box"
    return sum(disk["standing"]["kind"] == kind and bool(disk["standing"].get("mounted_at")) == mounted for disk in shelf.known())


def open_with_papers(screen, papers):
    checks.check("by itself the page asks for papers", screen.shows(r"\d +Open the backups with two papers", 120), screen.text)
    screen.pick("Open the backups with two papers")
    screen.shows("First paper")
    screen.fill(*papers[2])
    screen.shows("Second paper")
    screen.fill(*papers[0])


def returned(box, before):
    checks.check("the vault is open", until(lambda: box.get("vaultd", "/v1/vault").get("unready", 1) is None, 300), box.get("vaultd", "/v1/vault"))
    same = until(lambda: all(told(box)[what] >= before[what] if what == "runs" else told(box)[what] == before[what] for what in before), 120)
    checks.check("people, shares and history are there again", same, (before, told(box)))


def back(box, lost):
    """The owner of before, at a box that was started without one."""
    people = People.__new__(People)
    people.box, people.owner, people.sessions = box, "owner", {}
    people.passwords, people.telephones = {"owner": lost[0]}, {"owner": lost[1]}
    return people


def without_state(shelf, server, papers, before, lost):
    said = checks.scratch / "locked-by"
    said.write_text("not-opened\n")
    box = Appliance(checks.scratch / "locked", *CARTON, "--unclaimed", "--diskd", shelf.diskd.socket, "--state-locked", said)
    screen = Screen(box, "--state-locked", said, diskd=shelf.diskd.socket)
    code = box.ready.get("claim_code") or "none"
    checks.check("it says so first, and why", screen.shows("WITHOUT ITS OWN STATE") and screen.shows("Its TPM refused|its TPM refused|TPM was cleared"), screen.text)
    checks.check("that nothing is lost, and what to do", screen.shows("Nothing is lost") and screen.shows("two papers"), screen.text)
    checks.check("no claim code lures anybody", code not in screen.text and "CAN I RESTORE" not in screen.text, screen.text)
    keys = box.get("keyd", "/v1/status")
    checks.check("its keys are locked for that reason", (keys.get("locked") or {}).get("code") == "state-locked", keys)
    take_over(shelf, screen)
    open_with_papers(screen, papers)
    checks.check("the keys are open, until it is switched off", screen.shows("The keys are open", 180) and screen.shows("switched off"), screen.text)
    returned(box, before)
    checks.check("the first page goes on saying it", screen.home() and screen.shows("WITHOUT ITS OWN STATE") and screen.shows("CAN I RESTORE"), screen.text)
    told_so = until(lambda: any(one["code"] == "not-sealed" for one in box.get("vaultd", "/v1/status").get("incidents", [])), 120)
    checks.check("and the owner is told", told_so, box.get("vaultd", "/v1/status").get("incidents"))
    restored(checks, screen, server, lost)
    screen.stop()
    box.stop()
    # Its memory is gone.
    shutil.rmtree(checks.scratch / "locked/state")
    shelf.moved_to(checks.scratch / "locked/run/keyd.sock")
    box.start()
    keys = box.get("keyd", "/v1/status")
    checks.check("switched off and on, it knows nothing any more", keys.get("phase") == "locked" and not keys.get("vaults") and until(lambda: theirs(shelf, mounted=False) == 3), f"{keys}\n{shelf.known()}")
    said.unlink()
    box.stop()


main()
