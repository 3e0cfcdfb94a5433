#!/usr/bin/python3
"""The box's own screen before a real box: what it shows to whoever stands there, signing in, a whole share back to where it came from, a paper rehearsed, the keys opened with two
papers, emergency access by the sealed code, and the doors that stay shut.
"""

import json
import re
import time

from lib import trees
from lib.appliance import Appliance
from lib.box import Keyd, until
from lib.checks import Checks, need_root
from lib.people import People
from lib.screen import Screen
from lib.servers import Samba

need_root("text-console")
checks = Checks("text-console")
CANARY = "canary-patient"


def main():
    here = checks.scratch
    server = Samba(here / "samba")
    with checks.part("a box that nobody owns"):
        unclaimed(here)
    box = Appliance(here / "box")
    power = here / "power"
    power.write_text(f'#!/bin/sh\necho "$1" >> {here}/powered\n')
    power.chmod(0o755)
    network = here / "10-keepwell.network"
    people = People(box)
    screen = Screen(box, "--console", "https://127.0.0.1:8443", "--power-command", power, "--network-command", power, "--network-file", network)
    with checks.part("a practice"):
        practice(box, server)
    with checks.part("nobody is signed in"):
        nobody(screen, here)
    with checks.part("signing in"):
        signed_in(screen, people)
    with checks.part("a share goes back"):
        restored(screen, people, server)
    with checks.part("an address"):
        address(screen, network, people)
    with checks.part("emergency access"):
        emergency(box, screen, people)
    with checks.part("papers"):
        papers(box, screen, here)
    with checks.part("what was shown"):
        shown = "\n".join(screen.seen)
        checks.check("never a file's name", CANARY not in shown and CANARY.encode() not in screen.raw, shown[-2000:])
        checks.check("never a password", people.passwords[people.owner] not in shown)
        checks.check("the screen still runs", screen.process.poll() is None)
    checks.finish()


def unclaimed(here):
    box = Appliance(here / "new", "--unclaimed")
    screen = Screen(box)
    code = box.ready.get("claim_code") or "none"
    checks.check("the claim code stands on the screen", screen.shows(re.escape(code)) and screen.shows("no owner"), screen.text)
    screen.stop()
    box.stop()


def practice(box, server):
    trees.plain(server.share, 30, 2000, seed=4)
    (server.share / f"{CANARY}.txt").write_text("findings")
    server.give(server.share)
    added = box("shares", "add", "EHR", f"smb://{server.reader}@127.0.0.1:{server.port}/share", "--tier", 1, "--password-file", server.reader_password)
    run_done = box("runs", "start", "EHR", "--wait")
    checks.check("a share is backed up", run_done.status == 0, f"{added}\n{run_done}")


def nobody(screen, here):
    checks.check("whoever stands there sees the answer", screen.shows("CAN I RESTORE TODAY") and screen.shows("HERE") and screen.shows("OFFSITE"), screen.text)
    checks.check("and where the console is", screen.shows("https://127.0.0.1:8443"), screen.text)
    checks.check("but no name of a share", "EHR" not in screen.text, screen.text)
    checks.check("and nothing to restore with", "Restore a share" not in screen.text, screen.text)
    screen.pick("Network")
    checks.check("addresses are shown and not to be set", screen.shows("Router") and "Set a fixed" not in screen.text, screen.text)
    screen.home()
    screen.pick("Restart, shut down, move")
    screen.pick("Shut down")
    screen.pick("Yes")
    checks.check("it is shut down by the system's program", screen.shows("shuts down") and (here / "powered").read_text() == "poweroff\n", screen.text)
    screen.home()
    screen.pick("Find a disk")
    checks.check("what does not answer is told in words", screen.shows("can't be asked"), screen.text)
    screen.home()
    for key in ("\x03", "\x1a", "\x1c", "\x04"):
        screen.keys(key)
    checks.check("no key leads out of it", screen.shows("Press a digit") and screen.process.poll() is None, screen.text)


def signed_in(screen, people):
    screen.home()
    screen.pick("Sign in")
    screen.shows("Password")
    screen.fill("owner", "not the password", "123456")
    checks.check("a wrong password is refused", screen.shows("not done"), screen.text)
    screen.home()
    screen.pick("Sign in")
    screen.shows("Password")
    screen.fill("owner", people.passwords[people.owner], people.telephones[people.owner].code())
    checks.check("the owner signs in", screen.shows(r"owner \(owner\)") and screen.shows("Restore a share"), screen.text)


def code_if_asked(screen, people, then):
    """Shows the second factor where that is asked for, until `then` stands there."""
    if screen.shows(rf"{then}|Show that it is you", 120) and "Show that it is you" in screen.text:
        screen.fill(people.telephones[people.owner].code())
    return screen.shows(then, 180)


def restored(screen, people, server):
    kept = server.folder.parent / "kept"
    kept.mkdir()
    for path in server.share.rglob("*"):
        if path.is_file():
            copy = kept / path.relative_to(server.share)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    files = sorted(path for path in server.share.rglob("*") if path.is_file())
    files[0].write_bytes(b"encrypted by somebody")
    files[-1].unlink()
    screen.home()
    screen.pick("Restore a share")
    screen.pick("EHR")
    checks.check("its copies are listed by date", screen.shows("complete") and screen.shows("31 files"), screen.text)
    screen.keys("1")
    screen.pick("Where it came from")
    screen.shows("An account that may write")
    screen.fill(server.user, server.password.read_text().strip())
    screen.pick("Replace it by the copy")
    checks.check("it is checked first", code_if_asked(screen, people, "The check is complete"), screen.text)
    checks.check("with what would be written", screen.shows("would be written; nothing was"), screen.text)
    checks.check("and nothing is written by that", not files[-1].exists())
    screen.pick("Restore now")
    checks.check("then it is restored", code_if_asked(screen, people, "The restore is complete"), screen.text)
    checks.check("with a receipt", screen.shows("All are as in the backup"), screen.text)
    different = [path for path in kept.rglob("*") if path.is_file() and (server.share / path.relative_to(kept)).read_bytes() != path.read_bytes()]
    checks.check("the share is as it was", not different, different)


def address(screen, network, people):
    screen.home()
    screen.pick("Network")
    screen.pick("Set a fixed address")
    screen.shows("Network card")
    screen.fill("10.0.0.9")
    screen.fill("", "")
    checks.check("what is no address is refused", screen.shows("Type the address as"), screen.text)
    screen.escape()
    screen.pick("Set a fixed address")
    screen.shows("Network card")
    screen.fill("10.0.0.9/24", "10.0.0.1", "10.0.0.1")
    screen.pick("Yes, set it")
    checks.check("one that is stands in the network service's file", code_if_asked(screen, people, "The address is set") and "Address=10.0.0.9/24" in network.read_text(), screen.text)


def emergency(box, screen, people):
    screen.home()
    screen.pick("Emergency access")
    screen.pick("Make a new sealed code")
    screen.shows("authenticator")
    screen.fill(people.telephones[people.owner].code())
    shown = screen.shows(r"    \w{4}-\w{4}-\w{4}-\w{4}-\w{4}-\w{4}")
    checks.check("an owner makes a sealed code", shown, screen.text)
    code = re.search(r"\w{4}(-\w{4}){5}", screen.text).group(0)
    screen.home()
    screen.pick("Sign out")
    checks.check("signed out, nothing can be restored", screen.shows("Sign in") and "Restore a share" not in screen.text, screen.text)

    def opens(typed, seconds=90):
        screen.home()
        screen.pick("Emergency access")
        if not screen.shows("Open it with the sealed code", seconds):
            return "not offered"
        screen.pick("Open it with the sealed code")
        screen.shows("Sealed code")
        screen.fill("the server burns", "", typed)
        if not screen.shows("Emergency access is open|not done"):
            return "no answer"
        return "open" if "is open" in screen.text else "refused"

    checks.check("a wrong code opens nothing", opens("ABCD-" * 5 + "ABCD") == "refused", screen.text)
    checks.check("the sealed code opens it", opens(code) == "open", screen.text)
    checks.check("address, name and password are shown", screen.shows("https://127.0.0.1:8443/downtime/") and screen.shows("User +downtime") and screen.shows(r"Password +\S{10}"), screen.text)
    state = box.get("vaultd", "/v1/emergency")
    checks.check("it is open, by the sealed code, for four hours", (state.get("open") or {}).get("by") == "break-glass" and 3.9 * 3600 < state["open"]["until"] - time.time() < 4.1 * 3600, state)
    checks.check("the code is burnt by it", opens(code, 15) in ("not offered", "refused"), screen.text)


def papers(box, screen, here):
    keys = Keyd(here / "no-keyd")
    keys.socket = box.folder / "run/keyd.sock"
    sheets, runs = keys.print_kit(box.folder / "disks", here, form="text")
    checks.check("a kit is printed", all(done.status == 0 for done in runs), [str(done) for done in runs])
    rows = [[" ".join(line.split()[1:]) for line in sheet.read_text().splitlines() if line.startswith("words-")] for sheet in sheets]
    screen.home()
    screen.pick("Recovery papers")
    screen.pick("Rehearse one paper")
    screen.shows("Row 1")
    words = rows[1][0].split()
    screen.fill(" ".join([*words[:2], "qqqq", *words[3:]]))
    checks.check("a wrong word is told by its place", screen.shows("row 1, word 3"), screen.text)
    screen.keys("\x7f" * 200)
    screen.fill(" ".join(word[:4].upper() for word in words), *rows[1][1:])
    checks.check("a good paper is good", screen.shows("Paper 2 of set .* is good"), screen.text)
    rehearsed = box.get("keyd", "/v1/status")["vaults"][0]["papers"]
    checks.check("the box remembers when", rehearsed[1]["rehearsed_at"] and not rehearsed[0]["rehearsed_at"], rehearsed)

    # Nobody opens the keys by themselves any more.
    (box.folder / "owner/passphrase").rename(here / "passphrase")
    box.kill("keyd")
    checks.check("the keys are locked", until(lambda: box.get("keyd", "/v1/status").get("phase") == "locked", 60), box.get("keyd", "/v1/status"))
    box.kill("vaultd")
    screen.home()
    checks.check("the first page says so", screen.shows("KEYS LOCKED"), screen.text)
    screen.pick("Recovery papers")
    screen.pick("Open the keys with two papers")
    screen.shows("First paper")
    screen.fill(*rows[0])
    screen.shows("Second paper")
    screen.fill(*rows[0])
    checks.check("the same paper twice is refused", screen.shows("paper 1 again"), screen.text)
    screen.home()
    screen.pick("Recovery papers")
    screen.pick("Open the keys with two papers")
    screen.shows("First paper")
    screen.fill(*rows[0])
    screen.shows("Second paper")
    screen.fill(*rows[2])
    if screen.shows("A new passphrase|The keys are open", 120) and "A new passphrase" in screen.text:
        screen.fill("a new passphrase for the box", "a new passphrase for the box")
    checks.check("two papers open the keys", screen.shows("The keys are open", 180), screen.text)
    checks.check("and the box goes on by itself", box.settled(120), json.dumps(box.get("vaultd", "/v1/vault")))
    screen.home()
    # Single words of the list are words of the screen, too.
    pairs = {pair for paper in rows for row in paper for pair in zip(row.split(), row.split()[1:])}
    left = screen.text.split()
    checks.check("no words of a paper stay on the screen", not pairs & set(zip(left, left[1:])), screen.text)


main()
