#!/usr/bin/python3
"""Every command for a box, on a real one: what was downloaded is what the share held, an archive too; versions, search, comparison and gaps say what was done to the share; a restore
is cancelled; events are followed; a bundle for support names nobody; a shell completes the commands and every page of the manual is shown.
"""

import gzip
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import tarfile
import threading
import zipfile

from lib import trees
from lib.appliance import Appliance
from lib.checks import Checks, need_root
from lib.program import BINARY, start
from lib.servers import Samba

need_root("box-commands")
checks = Checks("box-commands")
# Names that nothing but an answer to who may see them holds.
SHARE, PERSON, LETTER = "Praxis-Zuckerhut", "Erika.Mustermann", "Befund-Huber-1955.txt"


def main():
    server = Samba(checks.scratch / "samba")
    box = Appliance(checks.scratch / "box")
    with checks.part("a share that is backed up twice"):
        runs = backed_up(box, server)
    with checks.part("what changed"):
        first, second = snapshots(box, runs)
        looked_at(box, [run["id"] for run in runs], first, second)
    with checks.part("downloads"):
        downloads(box, server, first, second)
    with checks.part("a restore"):
        restores(box, server, second)
    with checks.part("what goes on"):
        events(box)
    with checks.part("the box itself"):
        itself(box)
    with checks.part("a bundle for support"):
        bundle(box, server)
    with checks.part("shells and manual"):
        manual()
    with checks.part("who may not"):
        refused(box)
    checks.finish()


def backed_up(box, server):
    letters = server.share / "letters"
    trees.plain(server.share / "archive", 120, 20_000, seed=7)
    for name, content in ((LETTER, b"first\n"), ("old.txt", b"old\n"), ("touched.txt", b"same\n"), ("sealed.txt", b"sealed\n"), ("Übersicht.txt", b"x" * 70_000), ("empty", b"")):
        trees.put(letters / name, content)
    server.give()
    for path in server.share.rglob("*"):
        # Samba takes the earliest of a file's times for that of its creation, and the first backup changes the last access.
        os.utime(path, (1_600_000_000, 1_600_000_000))
    added = box("shares", "add", SHARE, *server.to_read())
    checks.check("a share is added", added.status == 0, added)
    checks.check("a user is added", box("users", "add", PERSON, "--role", "auditor").status == 0)
    one = box("runs", "start", SHARE, "--wait")
    checks.check("the first run is complete", one.status == 0, one)
    trees.put(letters / LETTER, b"second, and longer\n")
    trees.put(letters / "new.txt", b"new\n")
    (letters / "old.txt").unlink()
    # Nothing else: a change of owner is a change.
    server.give(letters / "new.txt")
    os.utime(letters / "touched.txt", (1_700_000_000, 1_700_000_000))
    # Nobody but root may read it, and the share's account is not root.
    os.chown(letters / "sealed.txt", 0, 0)
    (letters / "sealed.txt").chmod(0o600)
    trees.put(letters / "sealed.txt", b"sealed again\n", 0o600)
    two = box("runs", "start", SHARE, "--wait")
    checks.check("the second one is partial", two.status == 3 and two.report["run"]["outcome"] == "partial", two)
    return [run.report.get("run", {}) for run in (one, two)]


def snapshots(box, runs):
    """The snapshots of both runs. There may be one more, the oldest: a share that was added is backed up at once, and that run may end before the one that was asked for begins."""
    listed = box("snapshots", "--share", SHARE)
    found = [snapshot["id"] for snapshot in listed.report.get("snapshots", [])]
    ours = [run.get("snapshot") for run in runs]
    checks.check("the snapshots of both runs are listed", listed.status == 0 and found[-2:] == ours, f"{ours}\n{listed}")
    return ours


def looked_at(box, runs, first, second):
    compared = box("snapshots", "compare", first, second)
    changes = {item["path"]: item["change"] for item in compared.report.get("changes", [])}
    wanted = {f"letters/{LETTER}": "content", "letters/new.txt": "added", "letters/old.txt": "removed", "letters/touched.txt": "metadata"}
    checks.check("a comparison says what was done", compared.status == 0 and wanted.items() <= changes.items(), compared)
    checks.check("and nothing of what was not", not any(path.startswith("archive") for path in changes), changes)
    below = box("snapshots", "compare", first, second, "--path", "archive")
    checks.check("a folder in which nothing was done has no difference", below.report.get("changes") == [], below)
    versions = box("files", "versions", SHARE, f"letters/{LETTER}").report.get("versions", [])
    checks.check("a file has two versions, the newer one first", [item["file"]["size"] for item in versions] == [19, 6], versions)
    gone = box("files", "versions", SHARE, "letters/old.txt").report.get("versions", [])
    checks.check("one that was removed is not there in the newest", gone and gone[-1]["file"] and not gone[0]["file"] or len(gone) == 1 and gone[0]["snapshot"] == first, gone)
    found = box("files", "search", second, LETTER[:6].upper())
    checks.check("a name is found whatever its case", [item["path"] for item in found.report.get("found", [])] == [f"letters/{LETTER}"], found)
    nothing = box("files", "search", second, LETTER[:6], "--path", "archive")
    checks.check("and not where it is not", nothing.status == 0 and nothing.report.get("found") == [], nothing)
    whole, gaps = (box("runs", "gaps", run) for run in runs)
    checks.check("the complete run has no gap", whole.status == 0 and whole.report["total"] == 0, whole)
    checks.check("the partial one names its gap", gaps.status == 3 and [gap["path"] for gap in gaps.report["gaps"]] == ["letters/sealed.txt"], gaps)
    listed = box("files", second, "letters")
    checks.check("files are listed as before", listed.status == 0 and len(listed.report["files"]) == 6, listed)


def downloads(box, server, first, second):
    out = checks.scratch / "out"
    out.mkdir()
    old = box("download", first, f"letters/{LETTER}", "--to", out / "old")
    new = box("download", f"{SHARE}@latest", f"/letters/{LETTER}", "--to", out / "new")
    same = (out / "old").read_bytes() == b"first\n" and (out / "new").read_bytes() == (server.share / "letters" / LETTER).read_bytes()
    checks.check("a file of either snapshot is as it was", old.status == new.status == 0 and same, f"{old}\n{new}")
    checks.check("it is for this user alone", stat.S_IMODE((out / "old").stat().st_mode) == 0o600)
    again = box("download", second, f"letters/{LETTER}", "--to", out / "old")
    checks.check("a file that is there is left alone", again.status == 1 and (out / "old").read_bytes() == b"first\n", again)
    stream = subprocess.run([BINARY, "--box", box.folder, "download", second, "letters/Übersicht.txt", "--to", "-"], capture_output=True, check=False)
    checks.check("standard output holds its bytes and no more", stream.stdout == b"x" * 70_000, stream.stderr)
    whole = box("download", second, "archive", "--to", out / "archive.zip")
    held = {str(path.relative_to(server.share)): path.read_bytes() for path in (server.share / "archive").rglob("*") if path.is_file()}
    checks.check("a folder comes as an archive of what the share holds", whole.status == 0 and unzipped(out / "archive.zip") == held, whole)
    some = box("download", second, "letters/new.txt", "letters/empty", "--to", out / "some.zip")
    checks.check("so do several files", some.status == 0 and unzipped(out / "some.zip") == {"new.txt": b"new\n", "empty": b""}, f"{some}\n{list(unzipped(out / 'some.zip'))}")
    lacking = box("download", second, "letters", "--to", out / "letters.zip")
    checks.check("what an archive lacks is said", lacking.status == 3 and "sealed.txt" in receipt(out / "letters.zip"), lacking)
    none = box("download", second, "letters/no-such", "--to", out / "none")
    checks.check("what is not there leaves no file", none.status == 1 and sorted(os.listdir(out)) == ["archive.zip", "letters.zip", "new", "old", "some.zip"], none)


RECEIPT = "keepwell-receipt.txt"


def unzipped(path):
    """The files of an archive that a foreign program finds whole, without the receipt."""
    with zipfile.ZipFile(path) as archive:
        if archive.testzip() or archive.namelist()[-1] != RECEIPT:
            return {}
        return {name: archive.read(name) for name in archive.namelist() if name != RECEIPT and not name.endswith("/")}


def receipt(path):
    with zipfile.ZipFile(path) as archive:
        return archive.read(RECEIPT).decode()


def restores(box, server, snapshot):
    server.add("back")
    to = ["--to", server.url_of("back"), "--password-file", server.password]
    dry = box("restore", snapshot, "--path", "archive", *to, "--dry-run", "--wait")
    checks.check("a dry run says what it would do", dry.status == 0 and dry.report["restore"]["files"] == 120, dry)
    # A server that stands still, so that there is something to cancel.
    os.killpg(server.pid(), signal.SIGSTOP)
    try:
        begun = box("restore", snapshot, "--path", "archive", *to).report.get("id")
        under_way = [item for item in box("restores", "list").report.get("restores", []) if item["finished_at"] is None]
        going = box("events").report.get("events", [])
        checks.check("it is under way", [item["id"] for item in under_way] == [begun] and any(event["kind"] == "restore" for event in going), (under_way, going))
        cancelled = box("restores", "cancel", begun)
        over = box("restores", "show", begun, "--wait", timeout=300)
        checks.check("a restore is cancelled", cancelled.status == 0 and over.report.get("restore", {}).get("outcome") == "cancelled", f"{cancelled}\n{over}")
    finally:
        os.killpg(server.pid(), signal.SIGCONT)
    done = box("restore", snapshot, "--path", "archive", *to, "--conflict", "skip", "--wait")
    back, held = ({path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()} for root in (server.folder / "back", server.share / "archive"))
    checks.check("one that is not cancelled brings all back", done.status == 0 and {path: back.get(path) for path in held} == held, done)
    listed = box("restores", "list").report.get("restores", [])
    checks.check("restores are listed, the newest first", [item["outcome"] for item in listed] == ["complete", "cancelled", "complete"], listed)


def events(box):
    listener = start("--box", box.folder, "events", "--follow")
    # One that never tells the end of the run is ended.
    patience = threading.Timer(300, listener.kill)
    patience.start()
    first = json.loads(listener.stdout.readline())
    run = box("runs", "start", SHARE, "--wait")
    told, mine = [first], {}
    while mine.get("finished_at") is None and (line := listener.stdout.readline()):
        told.append(json.loads(line))
        mine = told[-1]["run"] if told[-1]["kind"] == "run" else mine
    patience.cancel()
    listener.kill()
    listener.wait()
    checks.check("first of all is the status", first.get("kind") == "status", first)
    checks.check("a run is followed to its end", mine.get("id") == run.report["run"]["id"] and mine.get("outcome") == "partial", told[-3:])
    checks.check("events name no share and no file", not any(name in json.dumps(told) for name in (SHARE, LETTER, "letters")), told)
    now = box("events")
    checks.check("afterwards nothing goes on", now.status == 0 and not any(event["kind"] == "run" for event in now.report["events"]), now)


def itself(box):
    shown = box("clock", "confirm")
    checks.check("the clock is shown and left alone", shown.status == 2 and abs(shown.report["machine_at"] - shown.report["box_at"]) <= 5, shown)
    confirmed = box("clock", "confirm", "--yes")
    checks.check("a person confirms it", confirmed.status == 0 and abs(confirmed.report["moved_s"]) <= 5, confirmed)
    keys = box("keys", "status")
    checks.check("keys are those of the box", keys.status in (0, 3) and keys.report.get("phase") != "locked", keys)
    tested = box("test-restore", "--tier", 3, "--wait")
    checks.check("a test restore proves that the box can restore", tested.status == 0 and tested.report["restore"]["compared"] > 0, tested)
    records = box("log").report.get("records", [])
    checks.check("and is logged", any(record["event"] == "test-restore" for record in records), records[-5:])
    for words in (["status"], ["shares", "list"], ["runs", "list"], ["incidents", "list"], ["policies", "list"], ["users", "list"], ["log"], ["log", "verify"]):
        answer = box(*words)
        checks.check(f"{' '.join(words)} answers", answer.status in (0, 3) and answer.report.get("command") == " ".join(words), answer)


def bundle(box, server):
    path = checks.scratch / "bundle"
    made = box("support-bundle", "--to", path)
    checks.check("a bundle is made, for this user alone", made.status == 0 and stat.S_IMODE(path.stat().st_mode) == 0o600, made)
    text = opened(path.read_bytes())
    names = [SHARE, PERSON, LETTER, "Befund", "letters", "archive", server.user, f"127.0.0.1:{server.port}", server.password.read_text().strip()]
    checks.check("it names no share, server, person or file", not (found := [name for name in names if name.encode() in text]), found)
    checks.check("it says how the box is", b"headline" in text or b"status" in text, text[:300])


def opened(content):
    """All that is in it, packed or not."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            return b"\n".join(member.name.encode() + b"\n" + (archive.extractfile(member).read() if member.isfile() else b"") for member in archive)
    except tarfile.TarError:
        return gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content


def manual():
    script = checks.scratch / "completions.bash"
    script.write_bytes(subprocess.run([BINARY, "completions", "bash"], capture_output=True, check=True).stdout)
    typed = 'COMP_WORDS=(keepwell snap); COMP_CWORD=1; _keepwell keepwell snap keepwell; echo "${COMPREPLY[*]}"'
    shell = subprocess.run(["bash", "-c", f'source "{script}" && complete -p keepwell > /dev/null && {typed}'], capture_output=True, text=True, check=False)
    checks.check("bash completes a command", shell.stdout.strip() == "snapshots", shell)
    pages = checks.scratch / "man"
    made = subprocess.run([BINARY, "man", "--to", pages], capture_output=True, check=False)
    checks.check("there is a page for each command", made.returncode == 0 and {"keepwell.1", "keepwell-runs-gaps.1", "keepwell-download.1"} <= set(os.listdir(pages)), made)
    if shutil.which("groff"):
        shown = [subprocess.run(["groff", "-man", "-Tutf8", "-wall", pages / name], capture_output=True, check=False) for name in sorted(os.listdir(pages))]
        checks.check("every page is shown", all(page.returncode == 0 and page.stdout and not page.stderr for page in shown), [page.stderr for page in shown if page.stderr])


def refused(box):
    checks.check("signed out", box("sign-out").status == 0)
    nobody = box("download", "latest", "letters", "--to", checks.scratch / "x")
    checks.check("nobody who is not signed in gets a file", nobody.status == 1 and "sign-in" in nobody.report.get("to_do", ""), nobody)
    box.stop()
    silent = box("status")
    checks.check("a box that does not run says so, and what to do", silent.status == 1 and "systemctl" in silent.report.get("to_do", ""), silent)


main()
