#!/usr/bin/python3
"""A practice lost its box, disks and all. What is left is a second site, two papers and the sheet that says where that is. An office manager stands before a new box out of its carton, with a screen
and a keyboard: the code of the sheet, blank disks, two papers. People sign in again and the first share goes back to its server while the rest is still on its way; the power fails, the papers are
typed again, and the rest comes. The lost box gets nothing any more, and the new one goes on in its place.

Needs root (loop devices, mounts) and a TPM made of software.
"""

import os
import re
import shutil
import time

from lib import trees
from lib.appliance import Appliance
from lib.asking import ask
from lib.bays import Shelf
from lib.box import free_pair, until
from lib.checks import Checks, need_root
from lib.line import Line
from lib.people import People, secret
from lib.screen import Screen
from lib.second_site import Pair, is_there, log, offsite, receiver
from lib.servers import Samba
from lib.telephone import STEP_S
from lib.worst_day import restored

need_root("blank-box")
checks = Checks("blank-box")
SIZE = 640 << 20
SLOW = 6 << 20


def main():
    here = checks.scratch
    server, images = Samba(here / "samba"), Samba(here / "samba-2")
    pair = Pair(here)
    with checks.part("a practice with a second site"):
        papers, code = practice(pair, server, images)
    with checks.part("it burns"):
        before, lost = burns(pair)
    shelf = Shelf(here / "shelf", here / "new/run/keyd.sock", 3, SIZE)
    box = Appliance(here / "new", "--tpm", "--without-pool", "--unclaimed", "--diskd", shelf.diskd.socket, "--mounts", shelf.mounts, "--offsite", f"127.0.0.5:{free_pair()}")
    screen = Screen(box, diskd=shelf.diskd.socket)
    line = Line(pair.port, "127.0.0.3")
    line.slow(SLOW)
    with checks.part("before a blank box"):
        typed(pair, box, shelf, screen, line, papers, code)
    with checks.part("the first share goes back while the rest is on its way"):
        first(box, screen, server, before, lost, line)
    with checks.part("the power fails"):
        cut(box, screen, line, papers)
        whole(box, shelf, screen, before)
    with checks.part("all of it is as it was"):
        people = back(box, lost)
        same(box, people, images)
    with checks.part("the new box goes on"):
        goes_on(pair, box, people, server)
    checks.finish()


def practice(pair, server, images):
    paired = pair.pair()
    checks.check("two boxes are paired", paired.status == 0, paired)
    near = pair.near
    trees.plain(server.share / "files", 120, 30_000, seed=11)
    server.give()
    for number in range(6):
        trees.put(images.share / f"archive/{number}", os.urandom(16 << 20))
    images.give()
    for name, samba, tier in (("EHR", server, 1), ("Images", images, 3)):
        added = near("shares", "add", name, *samba.to_read(), "--tier", tier)
        run = near("runs", "start", name, "--wait")
        checks.check(f"{name} is backed up", added.status == 0 and run.status == 0, f"{added}\n{run}")
    papers = [paper(near, number) for number in (1, 2, 3)]
    at = near.get("vaultd", "/v1/status")["at"]
    checks.check("the state is kept in the vault", until(lambda: state_kept(near) > at, 300), near.get("vaultd", "/v1/status").get("duties"))
    checks.check("all is at the second site", pair.all_there() and until(lambda: is_there(near, "keepwell-state"), 180), offsite(near))
    sheet = near("offsite", "sheet")
    code = sheet.report.get("code", "")
    checks.check("a sheet says where", sheet.status == 0 and code.startswith("kwplace1"), sheet)
    file = checks.scratch / "sheet.pdf"
    printed = near("offsite", "sheet", "--out", file)
    checks.check("it can be printed", printed.status == 0 and file.read_bytes().startswith(b"%PDF"), printed)
    return papers, code


def paper(near, number):
    """Printed at its own screen, and confirmed with the words that are asked for. Its rows."""
    vault = near.get("vaultd", "/v1/vault")["vault"]
    route, keyd = f"/v1/vaults/{vault}/papers/{number}", near.folder / "run/keyd.sock"
    page = ask(keyd, "POST", route, {"format": "text", "keeper": f"keeper {number}", "serial": ""})
    rows = [line.split()[1:] for line in page.report.get("text", "").splitlines() if line.startswith("words-")]
    asked = near.get("keyd", route).get("places", [])
    words = [secret(rows[place["row"] - 1][place["word"] - 1]) for place in asked]
    confirmed = ask(keyd, "POST", f"{route}/confirm", {"words": words})
    checks.check(f"paper {number} is printed and confirmed", page.status == 200 and confirmed.status == 200, f"{page.status} {confirmed}")
    return [" ".join(row) for row in rows]


def state_kept(box):
    duties = box.get("vaultd", "/v1/status").get("duties", [])
    return max((standing["at"] for duty, standing in duties if duty["kind"] == "state" and standing["is"] == "proven"), default=0)


def known(box):
    shares = [{name: share[name] for name in ("id", "name", "location", "tier", "added_at")} for share in box.get("vaultd", "/v1/shares")]
    users = {user["name"] for user in box.get("authd", "/v1/users").get("users", [])}
    return {"shares": shares, "users": users, "policies": box.get("vaultd", "/v1/policies")}


def burns(pair):
    near = pair.near
    people = People(near)
    before = {**known(near), "runs": {run["id"] for run in near.get("vaultd", "/v1/runs?limit=1000")}, "name": offsite(near)["name"]}
    near.stop()
    near.folder = near.folder.rename(checks.scratch / "stolen")
    return before, (people.passwords[people.owner], people.telephones[people.owner])


def serials(shelf, kind="blank"):
    return sorted(disk["serial"] for disk in shelf.known() if disk["standing"]["kind"] == kind)


def typed(pair, box, shelf, screen, line, papers, code):
    until(lambda: len(serials(shelf)) == 3)
    checks.check("a box that nobody owns", screen.shows("Claim code"), screen.text)
    screen.pick("Recovery papers")
    screen.pick("The box is gone")
    screen.shows("Row 5")
    rows = [code[at:at + 32] for at in range(0, len(code), 32)] + [""] * 5
    groups = lambda row: " ".join(row[at:at + 4] for at in range(0, len(row), 4)).upper()
    wrong = rows[0][:-1] + ("q" if rows[0][-1] != "q" else "p")
    screen.fill(groups(wrong), *map(groups, rows[1:5]), "")
    checks.check("a slip in the code is found", screen.shows("a character of it is wrong"), screen.text)
    screen.home()
    screen.pick("Recovery papers")
    screen.pick("The box is gone")
    screen.shows("Row 5")
    screen.fill(*map(groups, rows[:5]), f"127.0.0.1:{line.port}")
    checks.check("the blank disks are shown", screen.shows("Which disks") and all(serial in screen.text for serial in serials(shelf)), screen.text)
    screen.fill("yes")
    checks.check("nothing is written to them for less than a word", screen.shows("Type ERASE") and len(serials(shelf)) == 3, screen.text)
    screen.home()
    screen.pick("Recovery papers")
    screen.pick("The box is gone")
    screen.shows("Row 5")
    screen.fill(*map(groups, rows[:5]), f"127.0.0.1:{line.port}")
    screen.shows("Which disks")
    screen.fill("ERASE")
    screen.shows("First paper")
    screen.fill(*papers[2])
    screen.shows("Second paper")
    screen.fill(*papers[0])
    checks.check("the papers are good, and it begins", screen.shows("on their way", 180), screen.text)
    screen.escape()
    checks.check("the page says how far it is", screen.shows("COMING BACK from the other site", 180), screen.text)
    checks.check("on all of the disks", until(lambda: len(serials(shelf, "prepared")) == 3, 120), shelf.known())


def recovery(box):
    return box.get("recoverd", "/v1/recovery")


def comes(box):
    """The vault is not all there yet."""
    return (box.get("vaultd", "/v1/vault").get("unready") or {}).get("code") == "coming"


def vault(box):
    return box.get("vaultd", "/v1/vault")


def first(box, screen, server, before, lost, line):
    came = until(lambda: known(box)["users"] == before["users"] and [share["name"] for share in known(box)["shares"]], 300)
    checks.check("people and shares are there before the rest", came and comes(box), f"{known(box)} {vault(box)}")
    checks.check("no claim code lures anybody meanwhile", screen.home() and screen.shows("COMING BACK") and "Claim code" not in screen.text, screen.text)
    checks.check("the share of tier 1 is whole", until(lambda: recovery(box)["newest"] >= 2, 300), recovery(box))
    # From here on it stands still, so that nothing below is a matter of time.
    line.stall_after(0)
    restored(checks, screen, server, lost)
    status = recovery(box)
    checks.check("while the rest is still on its way", status["phase"] == "fetching" and status["came"] < status["bytes"] and comes(box), f"{status} {vault(box)}")
    early = box.get("vaultd", "/v1/runs?limit=1000")
    checks.check("nothing new is backed up until all is there", {run["id"] for run in early} <= before["runs"], early)
    checks.check("figures are told", screen.home() and re.search(r"COMING BACK.*\d+ MB of \d+ MB", screen.text.replace("\n", " ")), screen.text)


def cut(box, screen, line, papers):
    """All programs end without warning, but the screen, which a person has before them."""
    for name in ("recoverd", "vaultd", "keyd"):
        box.kill(name)
    until(lambda: all(box.answers(name) for name in ("recoverd", "vaultd", "keyd")), 120)
    checks.check("it says that it stopped, and what to do", screen.home() and screen.shows("do not any more", 120) and screen.shows("type the two papers again"), screen.text)
    checks.check("people are still there, and what has come", until(lambda: comes(box) and known(box)["users"], 120), vault(box))
    line.slow(None)
    line.cut()
    line.flow()
    screen.pick("Recovery papers")
    screen.pick("Go on")
    screen.shows("First paper")
    screen.fill(*papers[1])
    screen.shows("Second paper")
    screen.fill(*papers[0])
    checks.check("with two papers it goes on, and asks for nothing else", screen.shows("on their way", 180), screen.text)
    screen.escape()


def whole(box, shelf, screen, before):
    checks.check("all comes, and the box opens it by itself", until(lambda: vault(box).get("unready", 1) is None, 300), f"{vault(box)} {recovery(box)}")
    checks.check("the page says so no more", screen.home() and screen.until(lambda: "COMING BACK" not in screen.text and "are here" not in screen.text), screen.text)
    now = lambda: {**known(box)}
    checks.check("people, shares and promises are there", until(lambda: now() == {name: before[name] for name in now()}, 60), (before, known(box)))
    left = sorted(path.name for path in (box.folder / "state/recoverd").rglob("*") if path.is_file())
    checks.check("no key lies beside the vault any more", left == ["finished"], left)
    marks = [place for place in shelf.mounts.glob("*/coming")]
    checks.check("and no disk says that something is to come", not marks, marks)


def back(box, lost):
    people = People.__new__(People)
    people.box, people.owner, people.sessions = box, "owner", {}
    people.passwords, people.telephones = {"owner": lost[0]}, {"owner": lost[1]}
    return people


def act(people, verb, route, order):
    answer = people.act(people.owner, verb, route, order)
    return people.act(people.owner, verb, route, order, code=True) if answer.code == "step-up" else answer


def same(box, people, images):
    for kept in ("owner/password", "owner/totp", "session"):
        shutil.copy(checks.scratch / "stolen" / kept, box.folder / kept)
    # The command line has the same telephone: its next code is one that nobody has shown.
    telephone = people.telephones[people.owner]
    while time.time() < (telephone.last + 1) * STEP_S:
        time.sleep(1)
    signed_in = box.sign_in()
    checks.check("the owner signs in at the command line", signed_in.status == 0, signed_in)
    telephone.last = int(time.time()) // STEP_S + 1
    wanted = {path.relative_to(images.share): path.read_bytes() for path in images.share.rglob("*") if path.is_file()}
    for path, content in wanted.items():
        to = checks.scratch / f"copy-{path.name}"
        got = box("download", "Images@latest", path, "--to", to)
        checks.check(f"{path} of the other share is as it was", got.status == 0 and to.read_bytes() == content, got)
    verified = box("log", "verify")
    checks.check("the log goes on and is whole", verified.status == 0 and {"paired", "receipt"} <= {record["fields"].get("code") for record in log(box) if record["event"] == "offsite"}, verified)


def goes_on(pair, box, people, server):
    checks.check("it has the lost one's place", until(lambda: receiver(box).get("name") == offsite(pair.far)["name"], 180), offsite(box))
    near = pair.near
    near.start()
    near.settled()
    near.sign_in()
    near("offsite", "send")
    checks.check("the lost one gets nothing any more", until(lambda: (receiver(near).get("failure") or {}).get("code") == "replaced", 120), offsite(near))
    near.stop()
    before = {run["id"] for run in box.get("vaultd", "/v1/runs?limit=1000")}
    trees.put(server.share / "files/after", b"written after the fire")
    server.give()
    share = next(share["id"] for share in known(box)["shares"] if share["name"] == "EHR")
    run = act(people, "run-now", "/v1/runs", {"share": share})
    done = until(lambda: any(run["id"] not in before and run.get("outcome") for run in box.get("vaultd", "/v1/runs?limit=1000")), 300)
    checks.check("backups go on", run.status == 200 and done, f"{run}\n{box.get('vaultd', '/v1/runs')}")
    act(people, "run-now", "/v1/offsite/send", {})
    checks.check("and go to the second site", until(lambda: receiver(box).get("waiting") == 0 and receiver(box).get("failure") is None, 300), offsite(box))
    text = "".join((box.folder / f"log/{name}.log").read_text() for name in ("recoverd", "vaultd"))
    checks.check("no key and no name of a file is in a log, and no program fell over", "PRIVATE" not in text and "files/" not in text and "panicked" not in text, text[-2000:])


main()
