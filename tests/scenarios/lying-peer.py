#!/usr/bin/python3
"""A peer that says it has what it has not. Root at the other house takes packs away, writes zeros over them, swaps them, cuts them, puts an old state back; another one leaves all of it as it is
and answers from a cache. Each is found by the box that sends, told as a loss, sent again, and proven afterwards."""

import os
import shutil

from lib import trees
from lib.box import free_pair, until
from lib.checks import Checks, need_root
from lib.second_site import FAR, Front, Pair, events, happened, transport_key
from lib.servers import Samba

need_root("lying-peer")
checks = Checks("lying-peer")


def main():
    server = Samba(checks.scratch / "samba")
    pair = Pair(checks.scratch)
    with checks.part("a pair of boxes"):
        began(pair, server)
    with checks.part("root at the other house"):
        for what, damage in DAMAGES.items():
            found(pair, what, damage)
    with checks.part("under a program that does not notice"):
        under_it(pair)
    with checks.part("an old state is put back"):
        old_state(pair, server)
    with checks.part("one that answers from a cache"):
        cached(pair)
    with checks.part("the log"):
        logs(pair)
    checks.finish()


def began(pair, server):
    done = pair.pair()
    checks.check("they are paired", done.status == 0, done)
    put(server, "first")
    pair.near("shares", "add", "EHR", *server.to_read(), "--tier", 1)
    backed_up(pair)
    checks.check("all is there", pair.all_there(), pair.receiver())
    told = pair.proven()
    checks.check("who asks for a proof gets one at once", told and told["lost"] == 0 and told["asked"] >= 5, told)


def put(server, name):
    for number in range(3):
        trees.put(server.share / name / str(number), os.urandom(3 << 20))
    server.give()


def backed_up(pair):
    run = pair.near("runs", "start", "EHR", "--wait")
    checks.check("a backup", run.status == 0, run)


def shards(pair, kind="packs"):
    """The files of each object of a class at the other house: one on each disk."""
    found = {}
    for folder in pair.folders():
        for path in sorted((folder / kind).iterdir()):
            # What was found lost keeps its files under another name.
            if path.suffix != ".lost":
                found.setdefault(path.name.split(".")[0], []).append(path)
    return found


def largest(pair, count):
    """Packs in which there is most, with their files."""
    return sorted(shards(pair).values(), key=lambda files: -files[0].stat().st_size)[:count]


def removed(pair):
    for path in largest(pair, 2)[0] + largest(pair, 2)[1]:
        path.unlink()
    return 2


def zeroed(pair):
    for path in largest(pair, 1)[0]:
        path.write_bytes(bytes(path.stat().st_size))
    return 1


def swapped(pair):
    """Each file of one pack gets the bytes of the other's."""
    one, other = largest(pair, 2)
    for here, there in zip(one, other):
        here.write_bytes(there.read_bytes())
    return 1


def payload_zeroed(pair):
    """Headers stay as they are: the directories look right."""
    for path in largest(pair, 1)[0]:
        with open(path, "r+b") as file:
            file.seek(4096)
            file.write(bytes(path.stat().st_size - 4096))
    return 1


def cut(pair):
    for path in largest(pair, 1)[0]:
        os.truncate(path, path.stat().st_size // 2)
    return 1


def locks_removed(pair):
    """What opens the rest: a few hundred bytes."""
    taken = 0
    for kind in ("slots", "keyrings", "manifests"):
        first = next(iter(shards(pair, kind).values()))
        for path in first:
            path.unlink()
        taken += 1
    return taken


DAMAGES = {
    "packs that are gone from all disks": removed,
    "packs of zeros": zeroed,
    "packs of zeros behind a right header": payload_zeroed,
    "a pack with another's bytes": swapped,
    "packs that are cut": cut,
    "key slots, a keyring and a manifest that are gone": locks_removed,
}


def found(pair, what, damage):
    """Either by what it says to have, or by the challenge: told as a loss, and whole afterwards."""
    before = losses(pair)
    count = damage(pair)
    pair.reopen()
    healed(pair, what, count, before)


def healed(pair, what, count, before):
    """Whoever found it: a round of its own as soon as the other box is back, or the challenge."""
    told = pair.proven()
    lost = losses(pair) - before
    checks.check(f"{what}: told as a loss", told and lost >= count, f"{lost} of {count}, {told}\n{happened(pair.near)[-5:]}")
    checks.check(f"{what}: sent again", pair.all_there() and until(lambda: whole(pair.receiver())), pair.receiver())
    again = pair.proven()
    checks.check(f"{what}: the next challenge is passed", again and again["lost"] == 0 and losses(pair) - before == lost, f"{again}, {losses(pair) - before}")


LOST = {"loss": ("objects", "receipts"), "challenge": ("lost",)}


def whole(told):
    return told["waiting"] == 0 and told["challenge"]["mended"] >= told["challenge"]["lost"]


def losses(pair):
    """Objects that the log calls lost: those that a survey missed, and those of challenges."""
    told = happened(pair.near)
    return sum(int(event.get(name, 0)) for event in told for name in LOST.get(event["code"], ()))


def under_it(pair):
    """Nobody tells the program: what it knows of its folders is of before."""
    before, gone = losses(pair), largest(pair, 1)[0]
    for path in gone:
        path.unlink()
    healed(pair, "a pack that is taken away under it", 1, before)
    checks.check("its files are there again", until(lambda: len(shards(pair).get(gone[0].name.split(".")[0], ())) == len(gone), 60), gone)
    before = losses(pair)
    for path in largest(pair, 1)[0]:
        path.write_bytes(bytes(path.stat().st_size))
    healed(pair, "zeros that are written under it", 1, before)


def old_state(pair, server):
    """The tenant's folders as they were before a backup that was signed for: neither its packs nor its receipt are there any more."""
    for folder in pair.folders():
        shutil.copytree(folder, checks.scratch / f"old-{folder.parents[1].name}")
    put(server, "second")
    backed_up(pair)
    checks.check("a newer backup is signed for", pair.all_there(), pair.receiver())
    receipts, before = pair.receiver()["receipts"], losses(pair)
    for folder in pair.folders():
        shutil.rmtree(folder)
        shutil.move(checks.scratch / f"old-{folder.parents[1].name}", folder)
    pair.reopen()
    healed(pair, "an older copy of all that it keeps", 1, before)
    checks.check("all of it is signed for anew", pair.receiver()["receipts"] >= receipts and pair.tenant()["snapshots"] >= receipts, (receipts, pair.receiver(), pair.tenant()))
    put(server, "third")
    backed_up(pair)
    checks.check("what comes later is taken", pair.all_there(), (pair.receiver(), happened(pair.near)[-5:]))


def cached(pair):
    """Another program has the peer's key, the real one stands behind it."""
    near, far = transport_key(pair.near, checks.scratch / "near.pem"), transport_key(pair.far, checks.scratch / "far.pem")
    pair.far.stop()
    back = f"{FAR}:{free_pair()}"
    pair.restart_far("--offsite", back)
    front = Front(far, pair.address, back, near)
    checks.check("it stands there", front.ready)
    honest = pair.proven()
    checks.check("as long as it is honest, nobody can tell", honest and honest["lost"] == 0, honest)
    asked = honest["asked"]
    for lie, least in (("zeros", asked), ("cached", 1), ("empty", asked)):
        front.lie(lie)
        before = pair.count("mended")
        told = pair.proven()
        checks.check(f"{lie}: found", told and told["lost"] >= least, (told, pair.receiver()))
        front.lie("none")
        checks.check(f"{lie}: sent again", until(lambda: pair.count("mended") > before, 300) and pair.all_there(), pair.receiver())
        told = pair.proven()
        checks.check(f"{lie}: passed when it is honest again", told and told["lost"] == 0, told)
    front.lie("replayed")
    pair.near("offsite", "prove")
    checks.check("yesterday's answer is none", until(lambda: pair.failure() == "nonsense"), pair.receiver())
    checks.check("and is told", any(event.get("failure") == "nonsense" for event in happened(pair.near)), happened(pair.near)[-5:])
    front.lie("none")
    checks.check("nothing stays wrong", pair.all_there() and pair.proven()["lost"] == 0, pair.receiver())
    # It says that it has what it has not any more.
    for path in largest(pair, 1)[0]:
        path.unlink()
    front.lie("old-survey")
    told = pair.proven()
    checks.check("a survey of before: the challenge finds what is gone", told and told["lost"] == 1, (told, pair.receiver()))
    front.lie("none")
    told = pair.proven()
    checks.check("and it is there again", told and told["lost"] == 0, told)
    front.stop()


def logs(pair):
    codes = lambda told: [event["code"] for event in told]
    told = codes(happened(pair.near))
    logged = until(lambda: codes(events(pair.near))[:len(told)] == told, 120)
    checks.check("all that happened is in the log, each thing once", logged and {"loss", "mended", "challenge"} <= set(told), (told, codes(events(pair.near))))
    pair.outlived(checks)


main()
