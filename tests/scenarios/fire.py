#!/usr/bin/python3
"""Two whole boxes, two houses, each with a network of its own. One invites the other; from then on everything that is backed up at the one is at the other too, receipts and challenges say so, and the one that keeps can
read none of it. Then the one that sends burns, disks and all. A blank box, two papers, an address and the name of a key: people, shares, promises, log and data come back, what matters most
first; the lost box gets nothing any more, and the new one goes on where it was.
"""

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time

from lib import trees
from lib.appliance import Appliance
from lib.asking import ask
from lib.box import until
from lib.checks import Checks, need_root
from lib.internet import Internet
from lib.people import secret
from lib.program import run, start
from lib.second_site import events, is_there, log, offsite, receiver, tenant
from lib.servers import Samba
from lib.shards import flip
from lib.wan import own_network

need_root("fire")
own_network()
checks = Checks("fire")
PORT = 8484
MARK = b"MRN 4711, Jane Example, biopsy: benign. "


def main():
    internet = Internet()
    practice, other, rebuilt = internet.house(None), internet.house(), internet.house()
    server, images = Samba(checks.scratch / "samba"), Samba(checks.scratch / "samba-2")
    near = Appliance(checks.scratch / "near", "--offsite", f"{practice.address}:{PORT}")
    far = Appliance(checks.scratch / "far", "--offsite", f"{other.address}:{PORT}", within=other.within())
    there = f"{other.address}:{PORT}"
    with checks.part("two boxes that do not know each other"):
        strangers(near, far, there)
        papers = [paper(near, number) for number in (1, 2, 3)]
    with checks.part("they are paired"):
        paired(near, far, there)
    with checks.part("a share is backed up, and is at both places"):
        records(server, images)
        promised = backed_up(near, server, images)
        arrives(near, far)
    with checks.part("the one that keeps can read nothing"):
        keyless(near, far)
    with checks.part("what changes follows, however often programs are killed"):
        second = goes_on(near, far, server)
    with checks.part("what is lost there is found, and sent again"):
        heals(near, far)
    with checks.part("what is lost here comes back from there"):
        comes_back(near, server, second)
    with checks.part("who was not invited"):
        uninvited(near, far, there, internet)
    with checks.part("the logs"):
        logs(near, far)
    with checks.part("it burns"):
        before = burns(near, promised)
        practice.dark = True
    with checks.part("two papers, an address and a name"):
        recovered(far, there, rebuilt, papers, server, images)
    with checks.part("a blank box gets the disks"):
        new = blank(rebuilt, papers, before)
    with checks.part("the lost box"):
        practice.dark = False
        thief(near)
    with checks.part("the new box goes on"):
        for one in (server, images):
            moved(one, rebuilt)
        in_its_place(new, far, before, server)
    checks.finish()


def killed_and_back(box):
    """Without warning; the box starts it again. Whether there was one to kill."""
    before = box.pid("replicad")
    killed = box.kill("replicad")
    until(lambda: box.pid("replicad") not in (None, before) and box.answers("replicad"), 60)
    return killed


def listens(there):
    host, port = there.split(":")
    with socket.socket() as probe:
        probe.settimeout(30)
        return probe.connect_ex((host, int(port))) == 0


def strangers(near, far, there):
    checks.check("a new box has no second site, and says so", near("offsite", "status").status == 3 and offsite(near)["receivers"] == [], offsite(near))
    checks.check("nobody listens before somebody was invited", not listens(there))
    names = {offsite(box)["name"] for box in (near, far)}
    checks.check("each has a name of its own", len(names) == 2 and all(re.fullmatch("[0-9a-f]{64}", name) for name in names), names)
    refused = near("offsite", "pair", "kwpair1qqqq", "--practice", "X")
    checks.check("what is no invitation is refused in words", refused.status == 1 and refused.is_clear("no invitation"), refused)


def invite(far, there, **more):
    return far("offsite", "invite", "--address", there, "--quota", more.get("quota", "20GB"), "--place", "The other house")


def paired(near, far, there):
    invited = invite(far, there)
    text = invited.report.get("invitation", "")
    checks.check("an invitation", invited.status == 0 and text.startswith("kwpair1"), invited)
    checks.check("whoever invites listens", until(lambda: listens(there), 60))
    own = far("offsite", "pair", text, "--practice", "Practice")
    checks.check("nobody pairs with themselves", own.status == 1 and own.is_clear("own"), own)
    wrong = near("offsite", "pair", text[:-1] + ("q" if text[-1] != "q" else "p"), "--practice", "Practice")
    checks.check("a wrong character is found", wrong.status == 1 and wrong.is_clear("character|no invitation"), wrong)
    done = near("offsite", "pair", text.upper(), "--practice", "Practice Example")
    words = done.report.get("words", "")
    checks.check("paired", done.status == 0 and len(words.split()) == 4, done)
    checks.check("both show the same words", tenant(far).get("words") == words == receiver(near).get("words"), (words, tenant(far), receiver(near)))
    checks.check("the one knows the practice, the other the place", tenant(far).get("practice") == "Practice Example" and receiver(near).get("place") == "The other house")
    again = near("offsite", "pair", text, "--practice", "Practice Example")
    checks.check("an invitation is good once", again.status == 1 and again.is_clear("invitation"), again)
    known = list(checks.scratch.glob("*/state/replicad/*"))
    token = text.encode()
    checks.check("no file has the invitation", known and not any(token in file.read_bytes() for file in known if file.is_file()), known)


def paper(near, number):
    """Printed at its own screen, and confirmed with the words that are asked for. Its file."""
    vault = near.get("vaultd", "/v1/vault")["vault"].replace("-", "")
    route, keyd = f"/v1/vaults/{vault}/papers/{number}", near.folder / "run/keyd.sock"
    page = ask(keyd, "POST", route, {"format": "text", "keeper": f"keeper {number}", "serial": ""})
    text = page.report.get("text", "")
    rows = [line.split()[1:] for line in text.splitlines() if line.startswith("words-")]
    asked = near.get("keyd", route).get("places", [])
    typed = [secret(rows[place["row"] - 1][place["word"] - 1]) for place in asked]
    confirmed = ask(keyd, "POST", f"{route}/confirm", {"words": typed})
    checks.check(f"paper {number} of the kit is printed and confirmed", page.status == 200 and confirmed.status == 200, f"{page.status} {confirmed}")
    return trees.put(checks.scratch / f"papers/{number}.txt", text.encode(), 0o600)


def records(server, images):
    trees.plain(server.share, 200, 4000, seed=8)
    trees.put(server.share / "patients/record.txt", MARK * 5000)
    trees.put(server.share / "images/ct", os.urandom(30 << 20))
    server.give()
    for number in range(6):
        trees.put(images.share / f"archive/{number}", os.urandom(16 << 20))
    images.give()


def backed_up(near, server, images):
    near("shares", "add", "EHR", *server.to_read(), "--tier", 1)
    near("shares", "add", "Images", *images.to_read(), "--tier", 3)
    for share in ("EHR", "Images"):
        done = near("runs", "start", share, "--wait")
        checks.check(f"a backup of {share}", done.status == 0, done)
    at = near.get("vaultd", "/v1/status")["at"]
    changed = near.promise(two={"cadence_s": 7200, "copy_age_goal_s": 20_000})
    checks.check("a promise is another one from now on", all(answer.status == 200 for answer in changed), changed)
    return at


def arrives(near, far):
    checks.check("its newest snapshot is signed for", until(lambda: is_there(near, "EHR"), 300), offsite(near))
    done = until(lambda: receiver(near).get("waiting") == 0 and receiver(near).get("challenge"), 300)
    checks.check("so is all else, and a challenge was passed", done and receiver(near)["challenge"]["lost"] == 0, offsite(near))
    told = receiver(near)
    checks.check("the challenge asked for something of everything", told["challenge"]["asked"] >= 5, told["challenge"])
    tiers = {tier["tier"]: tier for tier in told["tiers"]}
    checks.check("tier 1 is there, with the box's own state", {copy["share"] for copy in tiers[1]["copies"]} == {"EHR", "keepwell-state"}, tiers)
    checks.check("nothing is to be sent any more", told["backlog"]["bytes"] == 0 and told["failure"] is None, told)
    status = near("offsite", "status")
    checks.check("the command says so", status.status == 0, status)
    kept = tenant(far)
    checks.check("the other box has counted it", kept["used_bytes"] > 60 << 20 and kept["snapshots"] == told["receipts"], (kept, told))
    answers = {answer["question"]: answer["mark"] for answer in near.get("vaultd", "/v1/status").get("answers", [])}
    checks.check("the status page has a second site", until(lambda: "proven" in str(near.get("vaultd", "/v1/status").get("answers", [])[1:2])), answers)


def bytes_of(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def tenants(far):
    return sorted(far.folder.glob("disks/disk-*/tenants/*"))


def keyless(near, far):
    folders = tenants(far)
    vault = near.get("vaultd", "/v1/vault")["vault"].replace("-", "")
    checks.check("it is on each disk, under the vault's id", len(folders) == 3 and all(folder.name == vault for folder in folders), folders)
    files = {path: content for folder in folders for path, content in bytes_of(folder).items()}
    files.update(bytes_of(far.folder / "state/replicad"))
    checks.check("nothing there can be read", files and not any(MARK[:20] in content for content in files.values()), len(files))
    secret = (near.folder / "owner/passphrase").read_bytes().strip()
    checks.check("no secret of the other box is there", not any(secret in content for content in files.values()))
    checks.check("the keeper's own vault is whole, and finds nothing foreign", far("offsite", "status").report.get("tenants") and not far.get("vaultd", "/v1/vault").get("degraded_objects"))


def goes_on(near, far, server):
    trees.put(server.share / "images/second", os.urandom(50 << 20))
    server.give()
    before = own_packs(near).keys()
    run = near("runs", "start", "EHR", "--wait")
    checks.check("a second backup", run.status == 0, run)
    second = max(own_packs(near).keys() - before, key=lambda pack: own_packs(near)[pack][0].stat().st_size, default=None)
    killed = 0
    for box in (near, far, near, far, near):
        killed += killed_and_back(box)
    checks.check("replicad was killed at both ends", killed >= 4, killed)
    checks.check("the newest snapshot is there all the same", until(lambda: is_there(near, "EHR"), 300), offsite(near))
    far.stop()
    trees.put(server.share / "letter", b"while the other house has no power")
    server.give()
    run = near("runs", "start", "EHR", "--wait")
    checks.check("a backup while the other box is off", run.status == 0, run)
    near("offsite", "send")
    checks.check("it is said that it can't be reached", until(lambda: (receiver(near).get("failure") or {}).get("code") == "unreachable", 120), receiver(near))
    checks.check("and that something is to be sent", until(lambda: receiver(near)["waiting"] > 0 and receiver(near)["backlog"]["bytes"] > 0), receiver(near))
    far.start()
    far.settled()
    near("offsite", "send")
    checks.check("when it is back, all arrives", until(lambda: is_there(near, "EHR") and receiver(near)["waiting"] == 0, 300), offsite(near))
    checks.check("and nothing is wrong any more", until(lambda: receiver(near)["failure"] is None, 60), receiver(near))
    return second


def heals(near, far):
    """A pack vanishes from all disks of the other box. The next start there sees it; the survey finds it, and it is told as a loss before it is sent again."""
    far.stop()
    packs = sorted({path.name.split(".")[0] for folder in tenants(far) for path in (folder / "packs").iterdir()})
    shards = lambda: {path.relative_to(far.folder) for folder in tenants(far) for path in (folder / "packs").glob(f"{packs[0]}.*")}
    before = shards()
    for path in before:
        (far.folder / path).unlink()
    far.start()
    far.settled()
    far.sign_in()
    near("offsite", "send")
    checks.check("a pack that vanished there is back", until(lambda: len(shards()) == len(before) > 0, 300), (before, shards()))
    losses = lambda: [record for record in events(near) if record["code"] == "loss"]
    checks.check("and it was told as a loss", until(lambda: bool(losses()), 60), events(near))


def own_packs(box):
    """Shards of each pack of the box's own vault."""
    found = {}
    for path in sorted(box.folder.glob("disks/disk-*/packs/*")):
        found.setdefault(path.name.split(".")[0], []).append(path)
    return found


def comes_back(near, server, pack):
    """A pack is damaged on every disk while the box runs: a download finds it. Of another one nothing is left after a restart: receipts say that it is missing."""
    whole, copies = (server.share / "images/second").read_bytes(), iter(range(1000))

    def is_readable():
        to = checks.scratch / f"copy-{next(copies)}"
        got = near("download", "EHR@latest", "images/second", "--to", to)
        return got.status == 0 and to.read_bytes() == whole

    healed = lambda: sum(int(record.get("objects", 0)) for record in events(near) if record["code"] == "healed")
    # Nothing read it before: vaultd would have it in memory.
    for path in own_packs(near)[pack]:
        flip(path)
    checks.check("what is damaged on all disks is read all the same, soon", until(is_readable, 180), events(near)[:5])
    checks.check("and it stands in the log", until(lambda: healed() == 1, 60), events(near)[:5])
    incidents = lambda: [one["code"] for one in near.get("vaultd", "/v1/status").get("incidents", []) if one["duty"]["kind"] == "scrub"]
    checks.check("that the disks had lost it is said, and not that it is lost", until(lambda: incidents() == ["healed"], 60), incidents())
    near.stop()
    gone = max((paths for name, paths in own_packs(near).items() if name != pack), key=lambda paths: paths[0].stat().st_size)
    before = {path: path.read_bytes() for path in gone}
    for path in gone:
        path.unlink()
    near.start()
    near.settled()
    near.sign_in()
    checks.check("what is gone from all disks is back, byte for byte", until(lambda: all(path.is_file() for path in gone) and healed() == 2, 300), events(near)[:5])
    checks.check("as it was", {path: path.read_bytes() for path in gone} == before)
    checks.check("and the vault's own check of its file is good", is_readable())


def uninvited(near, far, there, internet):
    """A key that nobody knows, and one with another protocol."""
    key, certificate = checks.scratch / "key.pem", checks.scratch / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=box", "-days", "1", "-keyout", key, "-out", certificate]
    subprocess.run(made, check=True, capture_output=True)

    def connect(protocols, version=ssl.TLSVersion.TLSv1_3, with_key=True):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = context.maximum_version = version
        context.set_alpn_protocols(protocols)
        if with_key:
            context.load_cert_chain(certificate, key)
        with socket.create_connection((there.split(":")[0], PORT), timeout=60) as plain:
            with context.wrap_socket(plain) as line:
                line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
                return line.recv(100)

    def ends(*words, **more):
        try:
            return not connect(*words, **more)
        except OSError:
            return True

    checks.check("an unknown key speaks the protocol", not ends(["keepwell/1"]))
    checks.check("no certificate: the line ends", ends(["keepwell/1"], with_key=False))
    checks.check("another protocol: the line ends", ends(["h2"]))
    checks.check("an older TLS: the line ends", ends(["keepwell/1"], version=ssl.TLSVersion.TLSv1_2))
    frames = subprocess.run(["curl", "-sk", "--http2-prior-knowledge", "--max-time", "20", "--cert", certificate, "--key", key, f"https://{there}/v1/survey"], capture_output=True, check=False)
    checks.check("a browser's protocols get nothing", frames.returncode != 0 and not frames.stdout, frames)
    invited = invite(far, there)
    text = invited.report.get("invitation", "")
    checks.check("a second invitation", text.startswith("kwpair1"), invited)
    elsewhere = internet.house()
    third = Appliance(checks.scratch / "third", "--disks", "1", "--offsite", f"{elsewhere.address}:{PORT}", within=elsewhere.within())
    killed_and_back(far)
    checks.check("it listens again by itself", until(lambda: listens(there), 60))
    late = third("offsite", "pair", text, "--practice", "Third")
    checks.check("an invitation of before a restart is over", late.status == 1 and late.is_clear("invitation"), late)
    small = invite(far, there, quota="1MB").report.get("invitation", "")
    done = third("offsite", "pair", small, "--practice", "Third")
    checks.check("a third box is paired, with very little room", done.status == 0, done)
    both = {kept["practice"] for kept in offsite(far).get("tenants", [])}
    checks.check("each has a folder of its own", both == {"Practice Example", "Third"} and len(tenants(far)) == 6, both)
    full(third, far, elsewhere)
    third.stop()


def full(third, far, house):
    server = Samba(checks.scratch / "samba-3")
    moved(server, house)
    trees.put(server.share / "big", os.urandom(8 << 20))
    server.give()
    third("shares", "add", "Big", *server.to_read(), "--tier", 2)
    third("runs", "start", "Big", "--wait")
    checks.check("full means refused, and is said", until(lambda: (receiver(third).get("failure") or {}).get("code") == "quota", 300), offsite(third))
    used = {kept["practice"]: kept["used_bytes"] for kept in offsite(far).get("tenants", [])}
    checks.check("no byte more than the quota is kept", used.get("Third", 1 << 40) <= 1_000_000, used)


def logs(near, far):
    codes = lambda box: {fields["code"] for fields in events(box)}
    checks.check("the source's log has pairing, receipts and challenges", until(lambda: {"paired", "receipt", "challenge", "loss"} <= codes(near), 60), codes(near))
    checks.check("the keeper's log has the tenants", until(lambda: {"tenant-paired"} <= codes(far), 60), codes(far))
    for box in (near, far):
        log = box("log", "verify")
        checks.check("and is whole", log.status == 0, log)
        text = (box.folder / "log/replicad.log").read_text()
        checks.check("no invitation and no name of a file is in the program's log", "kwpair1" not in text and "patients" not in text and "panicked" not in text)


def known(box):
    """What the box knows of itself and of people, without what changes by itself."""
    shares = [{name: share[name] for name in ("id", "name", "location", "tier", "added_at")} for share in box.get("vaultd", "/v1/shares")]
    users = [user["name"] for user in box.get("authd", "/v1/users").get("users", [])]
    return {"shares": shares, "users": users, "policies": box.get("vaultd", "/v1/policies")}


def recorded(box):
    return [tuple(record[name] for name in ("seq", "at", "actor", "event", "fields")) for record in log(box)]


def state_kept(box):
    duties = box.get("vaultd", "/v1/status").get("duties", [])
    return max((standing["at"] for duty, standing in duties if duty["kind"] == "state" and standing["is"] == "proven"), default=0)


def burns(near, promised):
    """Of the first house nothing is left. What is used again below is what a thief had carried away the night before, and what people know."""
    checks.check("its state is in the vault, as its people made it", until(lambda: state_kept(near) > promised, 180), near.get("vaultd", "/v1/status").get("duties"))
    near("offsite", "send")
    checks.check("and in the other house, with all else", until(lambda: receiver(near).get("waiting") == 0 and is_there(near, "keepwell-state"), 180), offsite(near))
    before = {**known(near), "log": recorded(near), "name": offsite(near)["name"]}
    near.stop()
    near.folder = near.folder.rename(checks.scratch / "stolen")
    return before


def bytes_in(share):
    return {path.relative_to(share): path.read_bytes() for path in share.rglob("*") if path.is_file()}


def moved(server, house):
    """The same file server at the same address, for who is in that house."""
    server.stop()
    server.within = house.within()
    server.start(server.port)


def recovered(far, there, house, papers, server, images):
    to = checks.scratch / "new/disks"
    name = offsite(far)["name"]
    kit = f"{papers[0]},{papers[2]}"
    order = lambda key=name: ("recover", "--from", there, "--key", key, "--papers", kit, "--to", to, "--disks", 3)
    of_kit = ("--vault", to, "--unlock", f"kit:{kit}")
    other = run(*order("0" * 64), within=house.within())
    checks.check("somebody else at that address is not spoken to", other.status == 1 and other.is_clear("key"), other)
    house.rate = 12 << 20
    began = time.monotonic()
    process = start(*order(), errors=subprocess.PIPE, within=house.within())
    end = threading.Timer(300, process.kill)
    end.start()
    told = []
    for text in process.stderr:
        event = json.loads(text) if text.startswith(b"{") else {}
        told += [event] if event.get("event") not in (None, "progress") else []
        if event.get("event") == "whole":
            break
    house.dark = True
    threading.Thread(target=process.stderr.read, daemon=True).start()
    checks.check("the first share that is whole is the one of tier 1", told and "'EHR'" in told[-1]["text"], told)
    out = checks.scratch / "first"
    first = run("vault", "restore", *of_kit, "EHR@latest", "--path", "patients/record.txt", "--to", out)
    took = time.monotonic() - began
    files = [path for path in out.rglob("*") if path.is_file()]
    checks.check("its first file is restored", first.is_plain and [path.read_bytes() for path in files] == [MARK * 5000], f"{first}\n{files}")
    listed = {one["name"] for one in run("vault", "list", *of_kit).report.get("snapshots", [])}
    checks.check("while the rest is still on its way", process.poll() is None and (to / "recover/unfinished").exists() and "EHR" in listed and "Images" not in listed, (process.poll(), listed))
    process.kill()
    process.wait()
    end.cancel()
    house.dark, house.rate = False, None
    done = run(*order(), within=house.within())
    checks.check("the machine fails, and the same command brings the rest", done.status == 0 and done.report.get("all") is True and done.report.get("tiers_known") is True, done)
    print(f"figures: first file of tier 1 after {took:.1f} s over a line of 12 MiB/s; after a kill the whole in {done.seconds:.1f} s more over a line without a limit")
    for share, what in (("EHR", server), ("Images", images)):
        whole = run("vault", "restore", *of_kit, f"{share}@latest", "--to", checks.scratch / f"whole-{share}")
        checks.check(f"every file of {share} is as it was backed up", whole.is_plain and bytes_in(checks.scratch / f"whole-{share}") == bytes_in(what.share), whole)


def blank(house, papers, before):
    """Whoever owned the burnt box has a password and a telephone."""
    new = Appliance(checks.scratch / "new", "--unclaimed", "--offsite", f"{house.address}:{PORT}", within=house.within())
    for kept in ("password", "totp"):
        shutil.copy(checks.scratch / "stolen/owner" / kept, new.folder / "owner" / kept)
    shutil.copy(checks.scratch / "stolen/session", new.folder / "session")
    checks.check("it has a vault that it can't open", until(lambda: (new.get("vaultd", "/v1/vault").get("unready") or {}).get("code") == "locked", 60), new.get("vaultd", "/v1/vault"))
    opened = new("keys", "recover", "--paper", papers[1], "--paper", papers[2])
    checks.check("two papers open it", opened.status == 0 and new.settled(), opened)
    same = lambda: {**known(new), "users": known(new)["users"]} == {name: before[name] for name in ("shares", "users", "policies")}
    checks.check("people, shares and promises are there again", until(same, 120), (before, known(new)))
    signed_in = new.sign_in()
    checks.check("the owner of before signs in", signed_in.status == 0, signed_in)
    verdict = new("log", "verify")
    now = recorded(new)
    own = next((at for at, (one, was) in enumerate(zip(now, before["log"])) if one != was), min(len(now), len(before["log"])))
    codes = {fields.get("code") for _, _, _, event, fields in now[:own] if event == "offsite"}
    checks.check("the log goes on where that of the lost box was kept last", verdict.status == 0 and {"paired", "receipt"} <= codes and len(now) > own, (verdict, own, len(before["log"])))
    checks.check("and says that the state came back", any(event == "state-restored" for _, _, _, event, _ in now[own:]), now[own:])
    return new


def thief(near):
    near.start()
    near.settled()
    near.sign_in()
    near("offsite", "send")
    checks.check("it is told that another one has its place", until(lambda: (receiver(near).get("failure") or {}).get("code") == "replaced", 120), offsite(near))
    near.stop()


def in_its_place(new, far, before, server):
    checks.check("nobody carries a key: it has the lost one's place", until(lambda: receiver(new).get("name") == offsite(far)["name"], 120), offsite(new))
    names = (offsite(new)["name"], before["name"])
    checks.check("with a key of its own", len(set(names)) == 2 and receiver(new)["place"] == "The other house", names)
    checks.check("all receipts came with it", until(lambda: is_there(new, "EHR") and is_there(new, "Images"), 120), offsite(new))
    checks.check("to the other box it is the same practice, with another key", len(tenants(far)) == 6 and receiver(new)["words"] in {kept["words"] for kept in offsite(far)["tenants"]}, offsite(far))
    trees.put(server.share / "patients/after", MARK)
    server.give()
    done = new("runs", "start", "EHR", "--wait")
    checks.check("backups go on", done.status == 0, done)
    new("offsite", "send")
    arrived = until(lambda: is_there(new, "EHR") and receiver(new)["waiting"] == 0 and receiver(new)["challenge"], 300)
    checks.check("and go to the other house", arrived and receiver(new)["failure"] is None, offsite(new))
    checks.check("which still has what it signed for", arrived and receiver(new)["challenge"]["lost"] == 0, offsite(new))
    checks.check("both logs say who has whose place", until(lambda: "tenant-replaced" in {fields["code"] for fields in events(far)} and "place-taken" in {fields["code"] for fields in events(new)}, 60), (events(far)[-5:], events(new)[-5:]))
    checks.check("and are whole", all(box("log", "verify").status == 0 for box in (new, far)))
    text = (new.folder / "log/replicad.log").read_text()
    checks.check("no key and no name of a file is in the program's log", "PRIVATE" not in text and "patients" not in text and "panicked" not in text)


main()
