#!/usr/bin/python3
"""The first pool of a box: out of its carton, with blank disks. vaultd, diskd and keyd are killed while it is made, again and again; asked again it is made once, is whole, and backs up and restores.
The recovery kit is printed and confirmed, and its slots reach the pool by themselves.

Needs root (loop devices, mounts).
"""

import base64
import subprocess
import threading
import time

from lib import trees
from lib.appliance import Appliance
from lib.bays import Shelf
from lib.box import until
from lib.checks import RUNNING, Checks, need_root
from lib.people import People
from lib.servers import Samba
from lib.telephone import STEP_S

need_root("first-pool")
checks = Checks("first-pool")
SIZE = 640 << 20


class Carton:
    """A new box and its shelf."""

    def __init__(self, folder):
        shelf = folder / "shelf"
        self.box = Appliance(folder / "box", "--diskd", shelf / "diskd/socket", "--without-pool")
        self.shelf = Shelf(shelf, folder / "box/run/keyd.sock", 4, SIZE)
        self.serials = []
        until(lambda: len(self.blank()) == 4)
        *self.serials, self.away = sorted(self.blank())

    def blank(self):
        return [disk["serial"] for disk in self.shelf.known() if disk["standing"]["kind"] == "blank"]

    def making(self):
        return self.box.get("vaultd", "/v1/pool")

    def told(self):
        """The same, by a box that has looked for its pool since it started."""
        vault = self.box.get("vaultd", "/v1/vault")
        starting = not vault or (vault["unready"] or {}).get("code") == "starting"
        return {} if starting else self.making()

    def create(self, serials, **more):
        body = {"disks": [{"serial": serial, "typed_serial": serial} for serial in serials], "owner": "Dr. Example", **more}
        return self.box.granted("disks-change", "/v1/pool", body)

    def cut(self, when, end):
        """Asks for the pool and ends a program when `when` holds."""
        answers = []

        def asking():
            try:
                answers.append(self.create(self.serials))
            except OSError as error:
                answers.append(error)

        thread = threading.Thread(target=asking)
        thread.start()
        until(lambda: when(self.making()) or not thread.is_alive(), 300)
        end()
        thread.join()
        return answers[0]


def main():
    carton = Carton(checks.scratch)
    box = carton.box
    with checks.part("out of its carton"):
        until(lambda: carton.making().get("phase") == "none")
        status = box.get("vaultd", "/v1/status")
        checks.check("a box without a pool says that it has none, and lacks none", carton.making().get("phase") == "none" and status.get("incidents") == [], f"{carton.making()} {status}")
        wrong = box.granted("disks-change", "/v1/pool", {"disks": [{"serial": carton.serials[0], "typed_serial": "NOT-IT"}]})
        checks.check("a serial number that is not the disk's ends it", wrong.status == 409 and wrong.code == "wrong-serial", wrong)
        checks.check("and nothing was changed", len(carton.blank()) == 4, carton.shelf.known())
    with checks.part("cut at each step"):
        cuts(carton)
    with checks.part("made"):
        made(carton)
    with checks.part("the kit"):
        kit(carton)
    with checks.part("in use"):
        in_use(carton)
    checks.finish()


def cuts(carton):
    box = carton.box
    kill = lambda name: lambda: box.kill(name)
    steps = [
        ("vaultd as it begins", lambda making: making.get("phase") == "making" and making.get("disks"), kill("vaultd")),
        ("keyd as it begins", lambda making: making.get("phase") == "making", kill("keyd")),
        ("diskd in the middle", lambda making: making.get("phase") == "making", carton.shelf.diskd.restart),
        ("vaultd with one disk ready", lambda making: len(making.get("ready", [])) >= 1, kill("vaultd")),
        ("vaultd with all disks ready", lambda making: len(making.get("ready", [])) == 3, kill("vaultd")),
    ]
    carton.cut(lambda making: making.get("phase") == "making", kill("vaultd"))
    back = until(lambda: carton.told().get("phase") in ("begun", "there") or carton.told().get("phase") == "none" and len(carton.blank()) == 4, 300)
    checks.check("vaultd before it plans: it is begun, or nothing was", back, carton.making())
    for what, when, end in steps:
        carton.cut(when, end)
        back = until(lambda: carton.told().get("phase") in ("begun", "there"), 300)
        checks.check(f"{what}: it is begun, or made", back, carton.making())
        until(lambda: box.get("keyd", "/v1/status").get("phase") in ("open", "new"), 300)


def made(carton):
    box = carton.box
    answer = carton.create(carton.serials)
    checks.check("asked once more it is made, or was", answer.status == 200 or answer.code == "pool-exists", answer)
    there = until(lambda: box.get("vaultd", "/v1/vault").get("unready", 1) is None, 300)
    checks.check("the vault is open", there and carton.making().get("phase") == "there", f"{box.get('vaultd', '/v1/vault')} {carton.making()}")
    members = lambda: sorted(disk["pool_name"] for disk in box.get("vaultd", "/v1/disks").get("disks", []) if disk["membership"] == "member")
    checks.check("on the disks that were chosen", until(lambda: members() == carton.serials), members())
    again = carton.create(carton.serials)
    checks.check("there is no second one", again.status == 409 and again.code == "pool-exists", again)
    vaults = box.get("keyd", "/v1/status").get("vaults", [])
    checks.check("keyd has the keys of one vault", len(vaults) == 1 and vaults[0]["vault"] == box.get("vaultd", "/v1/vault")["vault"], vaults)


def kit(carton):
    """keyd was killed, so the first kit's papers are gone from its memory: they come once more, as often as that happens, for an owner's code."""
    box = carton.box
    people = People(box)
    vault = box.get("vaultd", "/v1/vault")["vault"]
    order = lambda paper: {"vault": vault, "paper": paper, "format": "text", "keeper": f"keeper {paper}"}
    gone = print_paper(people, "print", order(1))
    checks.check("papers that keyd has forgotten are said to be gone", gone.code == "no-paper", gone)
    again = print_paper(people, "again", {"vault": vault})
    checks.check("the first kit is made once more", again.status == 200, again)
    confirmed(box, people, order(1))
    box.kill("keyd")
    opened = until(lambda: box.get("keyd", "/v1/status").get("phase") == "open", 120)
    gone = print_paper(people, "print", order(2))
    checks.check("keyd began anew after paper 1: paper 2 is gone", opened and gone.code == "no-paper", gone)
    again = print_paper(people, "again", {"vault": vault})
    checks.check("that is no dead end: the kit is made once more", again.status == 200, again)
    for paper in (1, 2, 3):
        confirmed(box, people, order(paper))
    stored = until(lambda: box.get("keyd", "/v1/status")["vaults"][0]["to_store"] is False, 150)
    status = box.get("keyd", "/v1/status")["vaults"][0]
    checks.check("the pool gets its slots by itself, and it is the valid kit", stored and all(paper["confirmed_at"] for paper in status["papers"]), status)
    over = [print_paper(people, "print", order(1)).code, print_paper(people, "again", {"vault": vault}).code]
    checks.check("then nothing of it comes out any more", all(over), over)
    # The command line has the same telephone: its next code is one that nobody has shown.
    telephone = people.telephones[people.owner]
    while time.time() < (telephone.last + 1) * STEP_S:
        time.sleep(1)


def print_paper(people, what, order):
    """As an owner, with a new code where one is asked for."""
    answer = people.act(people.owner, "kit-print", f"/v1/kit/{what}", order)
    return people.act(people.owner, "kit-print", f"/v1/kit/{what}", order, code=True) if answer.code == "step-up" else answer


def confirmed(box, people, order):
    page = print_paper(people, "print", order)
    if not checks.check(f"paper {order['paper']} is printed", page.status == 200, page.status):
        return
    asked = box.get("vaultd", f"/v1/kit/{order['paper']}")["places"]
    body = {"vault": order["vault"], "paper": order["paper"], "words": words(page.report["text"], asked)}
    answer = people.act(people.owner, "settings-change", "/v1/kit/confirm", body)
    if answer.code == "step-up":
        answer = people.act(people.owner, "settings-change", "/v1/kit/confirm", body, code=True)
    checks.check(f"paper {order['paper']} is confirmed", answer.status == 200, answer)


def words(page, places):
    """What a person finds on the paper at the places that are asked for."""
    rows = [line.split() for line in page.splitlines() if line.startswith("words-")]
    return [base64.b64encode(rows[place["row"] - 1][place["word"]].encode()).decode() for place in places]


def in_use(carton):
    box = carton.box
    server = Samba(checks.scratch / "samba")
    trees.plain(server.share / "files", 100, 20_000, seed=5)
    server.give()
    added = box("shares", "add", "EHR", *server.to_read(), "--tier", 1)
    first = box("runs", "start", "EHR", "--wait")
    checks.check("its first backup is complete", added.status == 0 and first.status == 0, f"{added}\n{first}")
    taken_away(carton, server)
    box.stop()
    box.start()
    checks.check("a box that starts again opens it", until(lambda: box.get("vaultd", "/v1/vault").get("snapshots", 0) >= 1), box.get("vaultd", "/v1/vault"))


def taken_away(carton, server):
    """A whole snapshot on a disk that leaves the box."""
    box, serial = carton.box, carton.away
    order = {"snapshot": "latest", "to": f"usb:{serial}", "conflict": "refuse"}
    early = box.granted("restore", "/v1/restores", order)
    checks.check("a disk that is not ready for it is refused", early.status == 409 and early.code == "not-outward", early)
    member = box.granted("disks-change", "/v1/disks/outward", {"serial": carton.serials[0], "typed_serial": carton.serials[0]})
    wrong = box.granted("disks-change", "/v1/disks/outward", {"serial": serial, "typed_serial": carton.serials[0]})
    checks.check("no disk of the pool is erased for that, and none whose number was not typed", (member.code, wrong.code) == ("member", "wrong-serial"), (member, wrong))
    made = box.granted("disks-change", "/v1/disks/outward", {"serial": serial, "typed_serial": serial})
    checks.check("a disk is made ready to be taken away", made.status == 200, made)
    begun = box.granted("restore", "/v1/restores", order)
    state = lambda: box.get("vaultd", f"/v1/restores/{begun.report.get('id')}")
    checks.check("a restore to it is whole", begun.status == 200 and until(lambda: state().get("outcome"), 300) and state()["outcome"] == "complete", f"{begun} {state()}")
    standing = lambda: next(disk["standing"]["kind"] for disk in carton.shelf.known() if disk["serial"] == serial)
    checks.check("then it can be taken out", until(lambda: standing() == "foreign"), carton.shelf.known())
    device = next(disk["device"] for disk in carton.shelf.known() if disk["serial"] == serial)
    place = checks.scratch / "away"
    place.mkdir()
    subprocess.run(["mount", "-o", "ro", f"/dev/{device}p1", place], check=True)
    RUNNING.append(lambda: subprocess.run(["umount", "--lazy", place], check=False, capture_output=True))
    files = lambda folder: {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    there = files(place / f"restore-{begun.report['id']}")
    checks.check("any machine reads it", there == files(server.share), sorted(set(files(server.share)) ^ set(there))[:5])
    subprocess.run(["umount", place], check=True)


main()
