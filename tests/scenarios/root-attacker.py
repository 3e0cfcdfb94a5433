#!/usr/bin/python3
"""Somebody is root on the box that sends: they have its transport key, its state, and the vault's keys out of its memory. They forge snapshots, send floods of them, replay, try every verb on every
route, lock the owner out with key slots, forget everything, fill the quota, set the clock, begin with a new box in the old one's name; and have the session of a technician at both. Thirty days go
by at the other box. Then the practice takes two papers and a blank folder: all that was there before is there, byte for byte. And those who stand between two boxes."""

import hashlib
import os
import shutil
import socket
import ssl
import subprocess
import threading
import time

from lib import compare, trees
from lib.ahead import DAY, Later, wrong_clock
from lib.box import Keyd, free_pair, until
from lib.checks import RUNNING, Checks, full_size, need_root
from lib.people import People
from lib.program import Vault, run
from lib.second_site import FAR, Pair, ask, events, happened, hostile, offsite, transport_key
from lib.servers import Samba

need_root("root-attacker")
checks = Checks("root-attacker")
QUOTA = 120_000_000
SHARES = {"EHR": 1, "Letters": 2, "Images": 3}


def main():
    server = Samba(checks.scratch / "samba", shares={name: "" for name in SHARES})
    good = certificate("authority")
    # As if the system trusted it, as far as a program can be told.
    os.environ["SSL_CERT_FILE"] = str(good[0].with_name("ca.pem"))
    pair = Pair(checks.scratch)
    del os.environ["SSL_CERT_FILE"]
    papers = kit(pair.near)
    with checks.part("who stands between"):
        between(pair, good)
    with checks.part("a practice"):
        snapshots = practice(pair, server)
    kept = kept_files(pair)
    with checks.part("a technician's session at both boxes"):
        people = stolen_session(pair)
    with checks.part("the attack"):
        attack = Attack(pair, papers)
        refused(attack)
        methods(attack)
        flooded(attack)
        unpaired(pair, attack)
        ten_years(pair)
    with checks.part("thirty days at the other box"):
        days(pair, attack, kept)
        back(pair, people)
    with checks.part("all that was there is there"):
        checks.check("no file of before was changed or removed", unharmed(kept), len(kept))
    with checks.part("two papers and a blank folder"):
        recovered(pair, attack, papers, snapshots)
    with checks.part("the logs"):
        logs(pair)
    checks.finish()


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def kit(box):
    """The papers of the near box, as its people have them."""
    keyd = Keyd(checks.scratch / "keyd")
    keyd.socket = box.folder / "run/keyd.sock"
    files, runs = keyd.print_kit(box.folder / "disks", checks.scratch, form="text")
    checks.check("three papers", all(run.status == 0 for run in runs), runs[0])
    return files[:2]


# Who stands between

class Between:
    """Takes connections with a certificate of its own, and whatever protocols and versions it is told."""

    def __init__(self, certificate, key, port=0, protocols=("keepwell/1",), version=ssl.TLSVersion.TLSv1_3):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.context.minimum_version = self.context.maximum_version = version
        self.context.set_alpn_protocols(list(protocols))
        self.listener = socket.create_server((FAR, port))
        self.address = f"{FAR}:{self.listener.getsockname()[1]}"
        self.met, self.heard, self.open = 0, b"", True
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()
        RUNNING.append(self.stop)

    def serve(self):
        while self.open:
            try:
                line, _ = self.listener.accept()
            except OSError:
                return
            self.met += 1
            line.settimeout(30)
            try:
                with self.context.wrap_socket(line, server_side=True) as secured:
                    self.heard += secured.recv(4096)
            except OSError:
                line.close()

    def stop(self):
        if self.open:
            self.open = False
            # Ends a wait for the next one, which closing alone does not.
            self.listener.shutdown(socket.SHUT_RDWR)
            self.listener.close()
            self.thread.join(60)


def certificate(name):
    """One that an authority has signed which this machine trusts, for the right address: everything that a browser asks for."""
    folder = checks.scratch / name
    folder.mkdir()
    openssl = lambda *words: subprocess.run(["openssl", *map(str, words)], cwd=folder, check=True, capture_output=True)
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    openssl("req", "-x509", *curve, "-subj", "/CN=A public authority", "-days", 30, "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *curve, "-subj", "/CN=backup.example.org", "-keyout", "own.key", "-out", "own.csr")
    (folder / "names").write_text(f"subjectAltName=IP:{FAR},DNS:backup.example.org,DNS:keepwell.invalid\n")
    openssl("x509", "-req", "-in", "own.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", 30, "-extfile", "names", "-out", "own.pem")
    openssl("verify", "-CAfile", "ca.pem", "-verify_ip", FAR, "own.pem")
    return folder / "own.pem", folder / "own.key"


def between(pair, good):
    """Before and after they are paired. What the system trusts makes no difference."""
    text = pair.invite()
    refused_pairing(pair, good, text)
    done = pair.near("offsite", "pair", text, "--practice", "Practice")
    checks.check("the right one is paired with the right words", done.status == 0 and done.report["words"] == pair.receiver()["words"] == pair.tenant()["words"], done)
    interposed(pair, good)


def refused_pairing(pair, good, text):
    there = Between(*good)
    led = hostile("invitation", text, "--address", there.address)
    done = pair.near("offsite", "pair", led, "--practice", "Practice")
    checks.check("an invitation that leads to somebody with a good certificate: no pairing", done.status == 1 and done.report.get("code") == "other-key", done)
    checks.check("nobody there heard a word of it", there.met >= 1 and b"KWPAIR" not in there.heard, there.heard)
    there.stop()
    wrong = hostile("invitation", text, "--wrong-token")
    done = pair.near("offsite", "pair", wrong, "--practice", "Practice")
    checks.check("a wrong code of the right form: no pairing", done.status == 1 and done.report.get("code") == "bad-invitation", done)
    refusals = [event["why"] for event in happened(pair.far) if event["code"] == "tenant-refused"]
    checks.check("whoever invited is told", "invitation" in refusals, happened(pair.far))
    checks.check("neither has a second site now", not offsite(pair.near)["receivers"] and not offsite(pair.far)["tenants"])


def interposed(pair, good):
    """The far box's place on the network is taken while it is off: by somebody else, and by its own key with what an older release might have spoken."""
    key = transport_key(pair.far, checks.scratch / "far.pem")
    own = key.with_name("far-certificate.pem"), key
    subprocess.run(["openssl", "req", "-x509", "-key", key, "-subj", "/CN=box", "-days", "1", "-out", own[0]], check=True, capture_output=True)
    pair.far.stop()
    cases = (
        ("a good certificate of a public authority", good, {}, "other-key"),
        ("the right key and TLS 1.2", own, {"version": ssl.TLSVersion.TLSv1_2}, "handshake"),
        ("a good certificate once more", good, {}, "other-key"),
        ("the right key and an older protocol", own, {"protocols": ("keepwell/0", "h2", "http/1.1")}, "handshake"),
    )
    for what, pretended, options, code in cases:
        there = Between(*pretended, pair.port, **options)
        pair.near("offsite", "send")
        checks.check(f"{what}: refused", until(lambda: there.met and pair.failure() == code), pair.receiver())
        checks.check(f"{what}: not a byte of a request was sent", not there.heard, there.heard)
        status = pair.near("offsite", "status")
        checks.check(f"{what}: the command says so", status.status == 3, status)
        there.stop()
    told = [event["failure"] for event in happened(pair.near) if event["code"] == "failure"]
    checks.check("all four are told", told.count("other-key") >= 2 and told.count("handshake") >= 2, told)
    pair.restart_far()
    checks.check("the right one is known again", until(lambda: pair.near("offsite", "send").status == 0 and pair.failure() is None, 300), pair.receiver())


# A practice

def practice(pair, server):
    """Two snapshots of each share, all of which the far box has signed for. What each held."""
    again = pair.pair(f"{QUOTA}B")
    checks.check("a smaller room is agreed on", again.status == 0 and pair.tenant()["quota_bytes"] == QUOTA, again)
    held = {}
    for turn in range(2):
        for name, tier in SHARES.items():
            folder = server.folder / name
            trees.plain(folder / f"turn-{turn}", 12, 60_000, seed=tier * 10 + turn)
            trees.put(folder / "letter", os.urandom(700_000))
            server.give(folder)
            if turn == 0:
                pair.near("shares", "add", name, *server.to_read(name), "--tier", tier)
            done = pair.near("runs", "start", name, "--wait")
            checks.check(f"{name} is backed up", done.status == 0, done)
            copy = checks.scratch / "held" / f"{name}-{turn}"
            shutil.copytree(folder, copy)
            held[newest(pair.near, name)] = copy
    checks.check("all of it is at the other house", pair.all_there(), pair.receiver())
    proof = pair.proven()
    checks.check("and proven", proof and proof["lost"] == 0, proof)
    return held


def newest(box, share):
    of_it = [one for one in box("snapshots").report.get("snapshots", []) if one["share"] == share]
    return max(of_it, key=lambda one: one["taken_at"])["id"]


def kept_files(pair):
    """All files that the far box keeps for the near one, and what they hold."""
    return {path: digest(path) for folder in pair.folders() for path in folder.rglob("*") if path.is_file() and path.parent.name in ("packs", "manifests", "slots", "keyrings", "sets")}


def unharmed(kept):
    return kept and all(path.is_file() and digest(path) == known for path, known in kept.items())


# The attack

FORBIDDEN = ("offsite-change", "policy-loosen", "shares-change", "shares-remove", "disks-change", "restore", "download", "kit-print", "emergency-open", "deletions-thaw")


def stolen_session(pair):
    """Whoever looks after the boxes is signed in at each, and somebody else has these sessions now."""
    boxes, people = (pair.near, pair.far), {}

    def signed_in(box):
        people[box] = People(box)
        people[box].add("MSP", "technician")
        people[box].session("MSP")

    # Each waits for a code of its owner's.
    waiting = [threading.Thread(target=signed_in, args=(box,)) for box in boxes]
    for one in waiting:
        one.start()
    for one in waiting:
        one.join()
    for box in boxes:
        tried = {verb: people[box].grant("MSP", verb, b"{}").code for verb in FORBIDDEN}
        checks.check("nothing about second sites, disks, promises or copies is theirs to do", set(tried.values()) == {"not-allowed"}, tried)
    sent = people[pair.near].act("MSP", "run-now", "/v1/offsite/send", {})
    checks.check("what they may do is to have more sent", sent.status == 200, sent)
    return people


class Attack:
    """With everything that the near box has."""

    def __init__(self, pair, papers):
        self.pair, self.papers = pair, papers
        self.key = transport_key(pair.near, checks.scratch / "near.pem")
        self.of = offsite(pair.far)["name"]

    def __call__(self, which, *more):
        disks = self.pair.near.folder / "disks"
        papers = ",".join(map(str, self.papers))
        return hostile("attack", "--key", self.key, "--at", self.pair.address, "--of", self.of, "--disks", disks, "--papers", papers, *more, which)

    def ask(self, method, path):
        return ask(self.key, self.pair.address, self.of, method, path)


def refused(attack):
    expected = {
        "a manifest that nobody took": (201, ""),
        "an object that is too long": (413, "too-long"),
        "a snapshot with other packs": (409, "missing"),
        "a snapshot that is not there": (404, "not-here"),
        "a snapshot with a pack that was never sent": (409, "missing"),
    }
    came = attack("refused")
    checks.check("forgeries are tried", isinstance(came, list) and len(came) >= 18, came)
    for one in came if isinstance(came, list) else ():
        wanted = expected.get(one["what"], (422, "other-bytes"))
        checks.check(f"{one['what']}: {wanted[0]}", (one["status"], one["code"]) == wanted, one)


def methods(attack):
    came = attack("methods")
    checks.check("every method on every route", isinstance(came, list) and len(came) > 300, came)
    # HTTP/2 cuts a stream with a body after HEAD; it does nothing either.
    taken = [one for one in came if one["status"] < 400 and not one["what"].startswith("HEAD")] if isinstance(came, list) else [came]
    # An object that is there is there: what was to take its place is not even read.
    known = [one for one in taken if one["what"].startswith("PUT /v1/objects/") and one["status"] == 200 and not one["bytes"]]
    checks.check("none of them does anything", taken == known and not any(one["status"] >= 500 for one in came), [one for one in taken if one not in known] + [one for one in came if one["status"] >= 500])


def flooded(attack):
    count = 10_000 if full_size() else 300
    came = attack("flood", "--count", count)
    checks.check("snapshots that nobody took are signed for, each by itself", came.get("came") == {"put 201 ": count, "sign 200 ": count}, came)
    replayed(attack)
    locks = attack("locks")
    checks.check("key slots are kept beside those that were there", isinstance(locks, list) and all(one["status"] in (201, 422) for one in locks), locks)
    stones = attack("tombstones")
    checks.check("a tombstone for everything is kept, and forgets nothing", isinstance(stones, list) and stones[0]["status"] == 201, stones)


def replayed(attack):
    again = attack("replay")
    checks.check("what is sent again changes nothing", again.get("same") and set(again.get("came", ())) == {"200 ", "sign 200 "}, again)


def filled(attack):
    pair = attack.pair
    free = shutil.disk_usage(checks.scratch).free
    garbage = attack("garbage", "--count", 400)
    checks.check("rubbish is taken until the quota is full", garbage.get("last") == "507 quota" and garbage.get("bytes", 0) > 10 << 20, garbage)
    used = pair.tenant()["used_bytes"]
    checks.check("and not a byte more", QUOTA - 8192 < used <= QUOTA, used)
    on_disk = sum(path.stat().st_blocks * 512 for folder in pair.folders() for path in folder.rglob("*") if path.is_file())
    # Whole copies of what is small on three disks, two data shards and one of parity of what is not, and the file system's blocks.
    checks.check("nor does it take more from the disks than that", on_disk < 3 * QUOTA, (on_disk, free - shutil.disk_usage(checks.scratch).free))
    checks.check("the far box has room, and goes on", pair.far("status").status in (0, 3) and pair.far.answers("replicad"))


def nobody_signs_in(*boxes):
    """At their next starts: codes of another time would be used up for this one."""
    for box in boxes:
        box.options = (*box.options, "--unclaimed")


def ten_years(pair):
    """The near box's clock is set ten years ahead, and then the far one's."""
    before = pair.tenant()
    pair.near.promise(two={"cadence_s": 7200})
    nobody_signs_in(pair.near, pair.far)
    pair.near.stop()
    with wrong_clock("+10y"):
        pair.near.start()
    checks.check("a box that is ten years ahead sends", until(lambda: (pair.tenant()["snapshots"] or 0) > before["snapshots"], 180), (before, pair.tenant()))
    after = pair.tenant()["received_at"]
    checks.check("and the other box dates it by its own clock", abs(after - time.time()) < DAY, after)
    pair.far.stop()
    with wrong_clock("+10y"):
        pair.restart_far()
    checks.check("a keeper whose own clock is ten years ahead keeps as many", until(lambda: (pair.tenant()["snapshots"] or 0) >= before["snapshots"] + 1), pair.tenant())


def days(pair, attack, kept):
    """Linux counts on for the far box, as if it ran. Root goes on; their box does not, so that what it still has to send is sent by them."""
    pair.near.stop()
    for day in (10, 20, 30):
        pair.far.stop()
        pair.far.within = Later(day * DAY).within()
        pair.restart_far()
        if day < 30:
            # The first ones of each flood are the same.
            came = attack("flood", "--count", day)
            checks.check(f"day {day}: more of it is signed for", came.get("after", 0) > came.get("before", 1 << 40), came)
            checks.check(f"day {day}: so many days have gone by there", came.get("elapsed_s", 0) // DAY == day, came)
            attack("replay")
            replayed(attack)
        else:
            checks.check(f"day {day}: what was sent is still refused where there is no room for it", attack("garbage", "--count", 1).get("last") == "507 quota")
        if day == 20:
            filled(attack)
        checks.check(f"day {day}: no file of before was changed or removed", unharmed(kept))


def back(pair, people):
    """To the time that it is."""
    pair.far.stop()
    pair.far.within = ()
    pair.restart_far()
    pair.near.start()
    for box in (pair.near, pair.far):
        box.settled()
        owner = box.ready["owner"]
        code = people[box].telephones[owner["user"]].code()
        signed_in = box("sign-in", "--user", owner["user"], "--password-file", owner["password_file"], "--code", code)
        checks.check("its owner signs in again", signed_in.status == 0, signed_in)


def unpaired(pair, attack):
    """The pairing can't be undone or handed on from the source's side."""
    other = checks.scratch / "other.pem"
    hostile("key", other)
    status, code = ask(other, pair.address, attack.of, "GET", "/v1/packs")
    checks.check("another key gets nothing", (status, code) == (403, "stranger"), (status, code))
    # The same vault, and an invitation that somebody gave for another box.
    came = hostile("pair", "--key", other, "--at", pair.address, "--of", attack.of, "--disks", pair.near.folder / "disks", pair.invite())
    checks.check("the same vault with another key is not paired, whoever invited it", (came.get("status"), came.get("code")) == (403, "bad-invitation"), came)
    checks.check("which is told", any(event.get("why") == "vault" for event in happened(pair.far)), happened(pair.far)[-5:])
    checks.check("and gets nothing still", ask(other, pair.address, attack.of, "GET", "/v1/packs") == (403, "stranger"))
    began = Vault(checks.scratch / "reset")
    came = hostile("pair", "--key", attack.key, "--at", pair.address, "--of", attack.of, "--disks", began.dir, pair.invite())
    checks.check("the old key and a vault that was begun anew", came.get("status") == 403, came)
    checks.check("one tenant, as before", len(offsite(pair.far)["tenants"]) == 1, offsite(pair.far)["tenants"])


# The practice again

def recovered(pair, attack, papers, snapshots):
    kit_words = ",".join(map(str, papers))
    blank = checks.scratch / "blank"
    order = ("--from", pair.address, "--key", attack.of, "--papers", kit_words, "--to", blank, "--disks", 2, "--forgotten")
    done = run("recover", *order)
    checks.check("two papers bring all of it back", done.status in (0, 3) and done.report.get("all") is True, done)
    for snapshot, held in snapshots.items():
        out = checks.scratch / "out" / held.name
        back = run("vault", "restore", "--vault", blank, "--unlock", f"kit:{kit_words}", snapshot, "--to", out)
        checks.check(f"{held.name}: restored", back.status in (0, 3), back)
        checks.check(f"{held.name}: byte for byte", same(held, out), out)
    files = checks.scratch / "new-source"
    trees.plain(files, 5, 1000, seed=3)
    more = run("vault", "backup", files, "--vault", blank, "--unlock", f"kit:{kit_words}", "--name", "after")
    checks.check("and takes new backups", more.status == 0, more)
    # What is known of packs is read from their own bytes again.
    shutil.rmtree(blank / "cache")
    again = run("vault", "restore", "--vault", blank, "--unlock", f"kit:{kit_words}", more.report.get("snapshot", "after@latest"), "--to", checks.scratch / "out/after")
    checks.check("which can be restored", again.status == 0 and not compare.differences(files, checks.scratch / "out/after"), again)
    gone(pair, attack)


def same(held, out):
    """Files below, by path and content: the share's own descriptors have no place in a folder."""
    tree = lambda root: {path.relative_to(root): digest(path) for path in root.rglob("*") if path.is_file()}
    return tree(held) == tree(out) and tree(held)


def gone(pair, attack):
    """The stolen key opens nothing any more."""
    for method, path in (("GET", "/v1/packs"), ("POST", "/v1/survey"), ("GET", "/v1/receipts"), ("PUT", f"/v1/objects/packs/{'0' * 64}"), ("DELETE", "/v1/packs")):
        checks.check(f"the lost box's key is refused: {method} {path[:20]}", attack.ask(method, path) == (403, "replaced"), attack.ask(method, path))
    pair.near("offsite", "send")
    checks.check("the lost box says so", until(lambda: pair.failure() == "replaced"), pair.receiver())


def logs(pair):
    alarms = lambda: {event["failure"] for event in events(pair.near) if event["code"] == "failure"}
    # It has a record of each receipt that somebody had its box be given.
    checks.check("all alarms are in the near box's log", until(lambda: {"other-key", "handshake", "replaced"} <= alarms(), 300), alarms())
    refusals = lambda: {event.get("why", event["code"]) for event in events(pair.far) if event["code"] in ("tenant-refused", "tenant-replaced")}
    checks.check("and in the far one's", until(lambda: {"invitation", "vault", "tenant-replaced"} <= refusals(), 60), refusals())
    checks.check("so do calls with the key of the lost box", until(lambda: "replaced" in refusals(), 120), refusals())
    returned = [event for event in happened(pair.far) if event.get("why") == "replaced"]
    checks.check("in one record for all of them, that says how many", len(returned) == 1 and int(returned[0]["calls"]) > 0, returned)
    pair.outlived(checks)


main()
