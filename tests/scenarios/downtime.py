#!/usr/bin/python3
"""The practice's server is dead. Somebody opens the downtime share: within five minutes any computer reads the last good copies of tier 1 with curl, by WebDAV and as pages, and
nothing can be written. Each file that is opened stands in the log, and everybody is told. It outlives a death of vaultd and of authd, and closes when its time is over, and a task stays.
"""

import base64
import json
import sqlite3
import subprocess
import time

from lib.appliance import Appliance
from lib.box import until
from lib.checks import Checks, need_root
from lib.servers import Samba

need_root("downtime")
checks = Checks("downtime")
LARGE = bytes(range(256)) * 40_000


def main():
    server = Samba(checks.scratch / "samba")
    box = Appliance(checks.scratch / "box", "--console", "127.0.0.1:0")
    with checks.part("a practice with a copy"):
        practice(box, server)
    with checks.part("the server dies, and somebody opens"):
        share = opened(box, server)
    with checks.part("read"):
        read(share)
    with checks.part("refused"):
        refused(share)
    with checks.part("logged and told"):
        told(box, share)
    with checks.part("programs die"):
        dies(box, share)
    with checks.part("its time is over"):
        over(box, share)
    checks.finish()


def practice(box, server):
    (server.share / "letters").mkdir()
    (server.share / "letters/Mustermann.txt").write_text("allergic to penicillin")
    (server.share / "scan.dcm").write_bytes(LARGE)
    server.give()
    for name, tier in (("EHR", 1), ("BILLS", 2)):
        url = f"smb://{server.reader}@127.0.0.1:{server.port}/share"
        added = box("shares", "add", name, url, "--password-file", server.reader_password, "--tier", tier)
        run = box("runs", "start", name, "--wait")
        checks.check(f"{name} is backed up", added.status == run.status == 0, f"{added}\n{run}")


class Share:
    """The downtime share, for one computer of the practice that has curl and nothing else."""

    def __init__(self, box, answer):
        self.opened = answer.report
        self.password = base64.b64decode(self.opened["secret"]).decode()
        self.meet(box)

    def meet(self, box):
        """The console has another port after each start."""
        self.url = box.ready["console"]["url"].rstrip("/")

    def curl(self, path, *options, password=None):
        out = checks.scratch / "out"
        out.unlink(missing_ok=True)
        command = ["curl", "-sk", "--path-as-is", "-o", out, "-w", "%{http_code}", "-u", f"downtime:{password or self.password}", *options, self.url + path]
        status = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=300, check=False).stdout
        return int(status or 0), out.read_bytes() if out.exists() else b""


def opened(box, server):
    server.stop()
    began = time.monotonic()
    box.sign_in()
    answer = box.granted("emergency-open", "/v1/emergency/open", {"reason": "the server does not start", "hours": 2})
    checks.check("it is opened", answer.status == 200 and [one["share"] for one in answer.report["shares"]] == ["EHR"], answer)
    share = Share(box, answer)
    status, body = share.curl("/downtime/EHR/letters/Mustermann.txt")
    checks.check("a file is read within five minutes", (status, body) == (200, b"allergic to penicillin") and time.monotonic() - began < 300, status)
    return share


def read(share):
    checks.check("a large one whole", share.curl("/downtime/EHR/scan.dcm") == (200, LARGE))
    checks.check("a part of it", share.curl("/downtime/EHR/scan.dcm", "-r", "5000000-5000999") == (206, LARGE[5_000_000:5_001_000]))
    status, body = share.curl("/downtime/", "-X", "PROPFIND", "-H", "Depth: 1")
    checks.check("shares by WebDAV, tier 1 alone", status == 207 and b"/downtime/EHR/" in body and b"BILLS" not in body, body)
    status, body = share.curl("/downtime/EHR/", "-X", "PROPFIND", "-H", "Depth: 1")
    checks.check("a folder by WebDAV", status == 207 and b"/downtime/EHR/letters/" in body and b"scan.dcm" in body, body)
    status, body = share.curl("/downtime/EHR/letters")
    checks.check("a folder as a page", status == 200 and b"Mustermann.txt</a>" in body and b"<h1>Downtime share" in body, body)


def refused(share):
    checks.check("another password", share.curl("/downtime/EHR/", password="AAAAA-AAAAA-AAAAA-AAAAA")[0] == 401)
    for method in ("PUT", "DELETE", "MKCOL", "MOVE", "LOCK", "PROPPATCH"):
        checks.check(f"{method} is refused", share.curl("/downtime/EHR/letters/Mustermann.txt", "-X", method, "-d", "x")[0] == 405)
    for path in ("/downtime/../../etc/passwd", "/downtime/EHR/../../../etc/passwd", "/downtime/EHR/%2e%2e/%2e%2e/etc/passwd", "/downtime/EHR/..%2f..%2fetc%2fpasswd", "/downtime/BILLS/"):
        status, body = share.curl(path)
        checks.check(f"nothing outside: {path}", status in (400, 403, 404) and b"root:" not in body, status)
    checks.check("no walk through everything", share.curl("/downtime/", "-X", "PROPFIND", "-H", "Depth: infinity")[0] == 403)


def records(box, what):
    answer = box.granted_once("log-read", "/v1/log", {"from": 1, "limit": 1000})
    return [record for record in answer.report if record["fields"].get("what") == what]


def incidents(box):
    return box.get("vaultd", "/v1/status").get("incidents", [])


def told(box, share):
    checks.check("the opening stands in the log", len(records(box, "emergency-opened")) == 1)
    files = records(box, "emergency-content")
    checks.check("each file once, with the address", len(files) == 2 and all(one["actor"] == "downtime" and one["fields"]["from"] == "127.0.0.1" for one in files), files)
    before = len(files)
    share.curl("/downtime/EHR/scan.dcm", "-r", "0-9")
    checks.check("again is the same opening", len(records(box, "emergency-content")) == before)
    open_now = lambda: [one["severity"] for one in incidents(box) if one["duty"]["kind"] == "emergency"]  # noqa: E731
    checks.check("it is a critical incident", until(lambda: open_now() == ["critical"]), incidents(box))
    status = box.get("vaultd", "/v1/status")
    checks.check("without a name of a file", "Mustermann" not in json.dumps(status))


def dies(box, share):
    box.kill("authd")
    checks.check("read without authd", share.curl("/downtime/EHR/letters/Mustermann.txt")[0] == 200)
    box.kill("vaultd")
    checks.check("vaultd is back", box.settled())
    checks.check("it is still open", until(lambda: share.curl("/downtime/EHR/letters/Mustermann.txt")[0] == 200))


def over(box, share):
    box.stop()
    state = next(box.folder.glob("**/state.sqlite"))
    with sqlite3.connect(state) as database:
        # As if two hours had passed; a test that waits for them proves no more.
        changed = database.execute("UPDATE documents SET content = json_set(content, '$.open.glass.lasts_s', 1) WHERE name = 'emergency'").rowcount
    database.close()
    box.start()
    share.meet(box)
    checks.check("the box is back", changed == 1 and box.settled())
    checks.check("it is closed", until(lambda: share.curl("/downtime/EHR/letters/Mustermann.txt")[0] == 403))
    closed = lambda: box.get("vaultd", "/v1/emergency").get("to_review") == [share.opened["id"]]  # noqa: E731
    checks.check("a task stays", until(closed), box.get("vaultd", "/v1/emergency"))
    box.sign_in()
    checks.check("the end stands in the log", [one["fields"]["code"] for one in records(box, "emergency-closed")] == ["time"])
    tasks = lambda: [one for one in incidents(box) if one["duty"]["kind"] == "emergency-review"]  # noqa: E731
    until(tasks)
    task = tasks()
    checks.check("somebody takes it", len(task) == 1 and box.granted("incidents-acknowledge", "/v1/incidents/acknowledge", {"id": task[0]["id"]}).status == 200, task)
    checks.check("then it is done", until(lambda: box.get("vaultd", "/v1/emergency").get("to_review") == []))


main()
