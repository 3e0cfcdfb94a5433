#!/usr/bin/python3
"""A box says what is wrong once, to everybody who should know, by servers that are not ours: mail over TLS with a password, a webhook whose signature foreign code checks, a
collector of logs, a page of metrics. Once a day it says how it is. None of it, and no log, holds the name of a file. What can't be delivered waits, also through a power cut.
"""

import base64
import json
import os
import re
import sqlite3
import time

from lib import trees
from lib.appliance import Appliance
from lib.box import until
from lib.checks import Checks, need_root
from lib.hook import Hook
from lib.listener import Issuer
from lib.mail import Smtp
from lib.prometheus import Metrics
from lib.servers import Samba
from lib.syslog import Collector

need_root("alerts")
checks = Checks("alerts")
PASSWORD, SECRET = "geheim und lang", b"a secret of the webhook's"
CANARY, PATIENT = "Mustermann^Erika", "canary-19551224"
ISSUER = Issuer(checks.scratch / "issuer")


class Outside:
    """Everybody whom the box speaks to."""

    def __init__(self, box):
        self.box = box
        self.mail = Smtp(ISSUER.context(), users={"praxis": PASSWORD})
        self.hook = Hook(SECRET, ISSUER.context())
        self.log = Collector("tls", ISSUER.context())
        common = {"ca_pem": ISSUER.pem}
        self.channels = {
            "mail": {"kind": "email", "server": "127.0.0.1", "port": self.mail.port, "tls": "implicit", "from": "box@praxis.example", "to": ["chef@praxis.example"],
                     "user": "praxis", "password": base64.b64encode(PASSWORD.encode()).decode(), **common},
            "hook": {"kind": "webhook", "url": self.hook.url, "secret": base64.b64encode(SECRET).decode(), **common},
            "syslog": {"kind": "syslog", "server": "127.0.0.1", "port": self.log.port, "transport": "tls", **common},
        }

    def connect(self):
        for name, channel in self.channels.items():
            file = checks.scratch / f"{name}.json"
            file.write_text(json.dumps(channel))
            done = self.box("channels", "set", name, "--file", file)
            checks.check(f"a channel is set: {name}", done.status == 0, done)
            file.unlink()

    def heard(self, code):
        """How many notices of a kind each of them got. What vaultd was killed over may come again under its own number: that is one."""
        mails = {mail["Message-ID"] for mail in self.mail.mails if code in mail.text()}
        hooks = {post.notice["id"] for post in self.hook.posts if post.notice["code"] == code}
        logs = {re.search(r'\bid="([^"]*)"', message)[1] for message in self.log.messages if code in message}
        return len(mails), len(hooks), len(logs)

    def tested(self):
        """Whether a test message came to each. A channel has its messages in order: whatever was to be said before is there by then."""
        self.box.sign_in()
        asked = [self.box("channels", "test", name) for name in self.channels]
        came = lambda: (any("This is a test" in mail.text() for mail in self.mail.mails) and any(post.notice["kind"] == "test" for post in self.hook.posts)
                        and any('kind="test"' in message for message in self.log.messages))
        return all(one.status == 0 for one in asked) and until(came)


def main():
    server = Samba(checks.scratch / "samba")
    box = Appliance(checks.scratch / "box")
    outside = Outside(box)
    with checks.part("a practice"):
        practice(box, server, outside)
    with checks.part("something is wrong"):
        wrong(box, server, outside)
    with checks.part("a mail server that is not there"):
        waits(box, server, outside)
    with checks.part("what is put right"):
        put_right(box, server)
    with checks.part("the report of the day"):
        report(box, outside)
    with checks.part("metrics"):
        metrics(box)
    with checks.part("no name of a file anywhere"):
        no_names(box, outside)
    checks.finish()


def practice(box, server, outside):
    outside.connect()
    trees.plain(server.share / CANARY, 50, 2000, seed=1, prefix=PATIENT)
    server.give()
    hidden = server.share / f"{PATIENT}-unreadable.txt"
    hidden.write_text("only root may read this")
    os.chmod(hidden, 0)
    os.chown(hidden, 0, 0)
    added = box("shares", "add", "EHR", *server.to_read(), "--tier", 1)
    first = box("runs", "start", "EHR", "--wait")
    checks.check("a share is backed up, but for one file", added.status == 0 and first.status == 3, (added, first))
    heard = until(lambda: outside.heard("gaps") == (1, 1, 1))
    checks.check("everybody hears of the gap, once", heard, outside.heard("gaps"))
    checks.check("the status is no yes", box("status").status == 3)


def wrong(box, server, outside):
    bad = checks.scratch / "bad-password"
    bad.write_text("not this one\n")
    refused = box("shares", "add", "SCANS", server.url, "--tier", 2, "--password-file", bad)
    checks.check("a share whose password is wrong is not taken", refused.status == 1 and "password" in str(refused.report), refused)
    writes = box("shares", "add", "SCANS", server.url, "--tier", 2, "--password-file", server.password)
    checks.check("nor one whose account can write", writes.status == 1 and "more than read" in str(writes.report), writes)
    locked_out(box, server, "SCANS", "the second")
    failed = box("runs", "start", "SCANS", "--wait")
    checks.check("a wrong password is told as that", failed.status == 1 and "password" in str(failed.report), failed)
    checks.check("everybody hears of it, once", until(lambda: outside.heard("runs") == (1, 1, 1)), outside.heard("runs"))
    mail = next(mail for mail in outside.mail.mails if "runs" in mail.text())
    checks.check("the mail came encrypted, from who knows the password, and says what to do", mail.user == "praxis" and "password" in mail.text(), mail.text())
    checks.check("the webhook's signatures hold", outside.hook.posts and all(post.verified for post in outside.hook.posts))
    checks.check("the log messages can be parsed", len(outside.log.parsed()) == len(outside.log.messages) > 0)
    box("runs", "start", "SCANS", "--wait")
    again = outside.heard("runs")
    checks.check("the same again is said to nobody", again == (1, 1, 1), again)
    incidents = box("incidents", "list").report.get("incidents", [])
    mine = [one for one in incidents if one.get("duty", {}).get("kind", one.get("kind")) == "runs"]
    checks.check("it is one incident", len(mine) == 1, incidents)
    taken = box("incidents", "take", mine[0]["id"])
    still = box("incidents", "list").report.get("incidents", [])
    checks.check("who takes it does not close it", taken.status == 0 and len(still) == len(incidents), (taken, still))


def waits(box, server, outside):
    outside.mail.closed = "451 4.3.0 try again later"
    before = len(outside.mail.mails)
    locked_out(box, server, "OFFICE", "the third")
    box("runs", "start", "OFFICE", "--wait")
    checks.check("the others hear of it meanwhile", until(lambda: outside.heard("runs")[1] == 2), outside.heard("runs"))
    checks.check("vaultd is killed", box.kill("vaultd"))
    checks.check("and is there again", box.settled())
    outside.mail.closed = None
    checks.check("the mail arrives when it can", until(lambda: len(outside.mail.mails) > before), len(outside.mail.mails))
    checks.check("everybody hears of it", until(lambda: outside.heard("runs") == (2, 2, 2)), outside.heard("runs"))
    checks.check("and nobody heard it twice", outside.tested() and outside.heard("runs") == (2, 2, 2), outside.heard("runs"))


def locked_out(box, server, share, password):
    """Backed up once, with an account that can write and the reason why; then its password is another one at the server."""
    box("shares", "add", share, server.url, "--tier", 2, "--password-file", server.password, "--may-write", "the vendor's program allows no other account")
    copied = lambda: any(one["name"] == share and one["newest_copy_at"] for one in box.get("vaultd", "/v1/shares"))
    checks.check(f"{share} is taken with a reason, and backed up", until(copied), box.get("vaultd", "/v1/shares"))
    server.change_password(server.user, password)
    server.password.write_text(password + "\n")


def put_right(box, server):
    box.sign_in()
    for share in ("SCANS", "OFFICE"):
        box("shares", "change", share, "--password-file", server.password)
        box("runs", "start", share, "--wait")
    runs = [one for one in box("incidents", "list").report.get("incidents", []) if one.get("duty", {}).get("kind", one.get("kind")) == "runs"]
    checks.check("a run that succeeds ends the incident", until(lambda: not open_runs(box)), runs)


def report(box, outside):
    said = box.promise(clinic_hours={"days": [0], "from_min": 480, "to_min": 1080, "tz": noon_now(), "spared": False})
    checks.check("the box knows where the practice is", all(answer.status == 200 for answer in said), said)
    checks.check("a new box begins to count its days", until(lambda: change(box, 0) == 1, 180))
    checks.check("and has nothing to report on the first", not reports(outside), len(reports(outside)))
    a_day_passes(box)
    checks.check("after a day everybody who wants it has one report", until(lambda: len(reports(outside)) >= 1, 180), len(reports(outside)))
    text = " ".join(reports(outside)[0].text().split())
    wanted = ("Here:", "Offsite:", "Keys:", "People:", "EHR (tier 1)", "SCANS (tier 2)", "The newest copy is", "What changed", "Room:")
    checks.check("it says how the box is, share by share, and what changed", all(word in text for word in wanted), text)
    checks.check("vaultd is killed, and is there again", box.kill("vaultd") and box.settled())
    a_day_passes(box)
    checks.check("the next day has one too", until(lambda: len(reports(outside)) >= 2, 180), len(reports(outside)))
    tests = lambda: sum("This is a test" in mail.text() for mail in outside.mail.mails)
    before = tests()
    box.sign_in()
    asked = box("channels", "test", "mail")
    checks.check("a test message comes when somebody asks for it", asked.status == 0 and until(lambda: tests() > before, 120), asked)
    # A channel has its messages in order: what had been said twice would be there by now.
    checks.check("no report comes twice, also not after a restart", len(reports(outside)) == 2, len(reports(outside)))
    others = [post.notice["kind"] for post in outside.hook.posts if post.notice["kind"] == "digest"]
    checks.check("a webhook that did not ask for it has none", not others, others)
    told = {one["name"]: one for one in box("channels", "list").report.get("channels", [])}
    mail = told.get("mail", {})
    checks.check("the channels are told", set(told) == {"mail", "hook", "syslog"} and mail["delivered_at"] and mail["to"].startswith("c…@praxis.example"), told)
    checks.check("without what is secret", PASSWORD not in str(told) and SECRET.decode() not in str(told) and "chef@" not in str(told), told)


def reports(outside):
    """Each once, as a mail program shows them: what was delivered when vaultd was killed is sent again, under the same number."""
    by_id = {mail["Message-ID"]: mail for mail in outside.mail.mails if "Daily report" in mail["Subject"]}
    return list(by_id.values())


def noon_now():
    """A time zone in which it is about noon: no day ends by itself while this runs."""
    east = 12 - time.gmtime().tm_hour
    return f"Etc/GMT{-east:+d}" if east else "Etc/UTC"


def a_day_passes(box):
    """As if the last report had been made a day before; the box looks at it when its program starts."""
    change(box, -86400)
    box.kill("vaultd")
    checks.check("a day passes", box.settled())


def change(box, seconds):
    """Moves the moment of the last report in the box's state. How many there are: none, before the box begins to count its days."""
    moved = "json_set(content, '$.at', json_extract(content, '$.at') + ?)"
    with sqlite3.connect(box.folder / "state/vaultd/state.sqlite", timeout=60) as state:
        return state.execute(f"UPDATE documents SET content = {moved} WHERE name = 'digest'", [seconds]).rowcount


def open_runs(box):
    return [one for one in box.get("vaultd", "/v1/status").get("incidents", []) if one["duty"]["kind"] == "runs"]


def metrics(box):
    page = box.get("vaultd", "/metrics").get("text", "")
    metrics = Metrics(page)
    checks.check("Prometheus' own parser takes the page", not metrics.problems(), metrics.problems())
    checks.check("it counts shares and says whether a restore is proven to work", metrics.value("keepwell_restorable") is not None, page[:1500])
    checks.check("no name in it", not metrics.leaks([CANARY, PATIENT, "EHR", "SCANS"]), metrics.leaks([CANARY, PATIENT, "EHR", "SCANS"]))
    memory = box.resident_mib()
    checks.check(f"all programs together are small when nothing goes on ({memory:.0f} MiB)", 0 < memory <= 300)


def no_names(box, outside):
    texts = {f"mail {number}": mail.raw.decode(errors="replace") for number, mail in enumerate(outside.mail.mails)}
    texts |= {f"webhook {number}": json.dumps(post.notice) for number, post in enumerate(outside.hook.posts)}
    texts |= {f"syslog {number}": message for number, message in enumerate(outside.log.messages)}
    texts |= {log.name: log.read_text(errors="replace") for log in (box.folder / "log").iterdir()}
    texts["status"] = json.dumps(box("status").report)
    leaks = [name for name, text in texts.items() if CANARY in text or PATIENT in text]
    checks.check(f"in none of {len(texts)} mails, deliveries, messages and logs", not leaks, leaks)


main()
