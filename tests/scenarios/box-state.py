#!/usr/bin/python3
"""A box forgets at night what its policies do not keep, and nothing else. Then it loses everything but its vault: shares with their passwords, policies, users and history come back
from it by themselves, what was forgotten does not, and backups go on."""

import json
import shutil
import sqlite3

from lib import trees
from lib.appliance import Appliance
from lib.box import until
from lib.checks import Checks, need_root
from lib.servers import Samba

need_root("box-state")
checks = Checks("box-state")


def main():
    server = Samba(checks.scratch / "samba")
    box = Appliance(checks.scratch / "box")
    with checks.part("a practice"):
        practice(box, server)
    with checks.part("a night"):
        kept = night(box, server)
    with checks.part("all but the vault is lost"):
        lost(box, told(box), kept)
    checks.finish()


def practice(box, server):
    trees.plain(server.share, 100, 4000, seed=2)
    server.give()
    box("shares", "add", "EHR", *server.to_read(), "--tier", 1)
    changed = box.promise(one={"cadence_s": 1800, "copy_age_goal_s": 4000})
    checks.check("a policy is changed", all(answer.status == 200 for answer in changed), changed)
    added = box("users", "add", "Ann", "--role", "restore-only")
    checks.check("a user is added", added.status == 0, added)
    runs = [box("runs", "start", "EHR", "--wait").report.get("run", {}) for _ in range(2)]
    checks.check("two runs are complete", [run.get("outcome") for run in runs] == ["complete"] * 2, runs)
    # What was changed last is kept within a minute, and what happened with it.
    at = box.get("vaultd", "/v1/status")["at"]
    checks.check("the state is kept in the vault", until(lambda: proven(box) > at, 300), box.get("vaultd", "/v1/status").get("duties"))


def proven(box):
    duties = box.get("vaultd", "/v1/status").get("duties", [])
    return max((standing["at"] for duty, standing in duties if duty["kind"] == "state" and standing["is"] == "proven"), default=0)


def told(box):
    shares = [{name: share[name] for name in ("id", "name", "location", "tier", "paused", "added_at")} for share in box.get("vaultd", "/v1/shares")]
    runs = {run["id"]: run for run in box.get("vaultd", "/v1/runs?limit=1000")}
    users = {user["name"] for user in box.get("authd", "/v1/users").get("users", [])}
    return {"shares": shares, "policies": box.get("vaultd", "/v1/policies"), "runs": runs, "users": users}


def night(box, server):
    """Three more runs on the same day, of which a policy keeps one: it stays with the newest, the others go."""
    tree = {}
    for version in range(3):
        trees.put(server.share / "letter", f"version {version}\n".encode())
        tree = {path.relative_to(server.share): path.read_bytes() for path in server.share.rglob("*") if path.is_file()}
        server.give()
        box("runs", "start", "EHR", "--wait")
    few = box.promise(one={"cadence_s": 1800, "copy_age_goal_s": 4000, "keep": {"hourly": 0, "daily": 1, "weekly": 0, "monthly": 0}})
    checks.check("a policy keeps very little", all(answer.status == 200 for answer in few), few)
    before = snapshots(box)
    today = [one for one in before if one["taken_at"] // 86400 == before[-1]["taken_at"] // 86400]
    kept = sorted({today[0]["id"], before[-1]["id"]})
    checks.check("there are old snapshots", len(before) >= 5, before)
    at_once(box)
    checks.check("what no policy keeps is gone", until(lambda: len(snapshots(box)) < len(before), 300), snapshots(box))
    after = snapshots(box)
    checks.check("the first of the day and the newest stay", sorted(one["id"] for one in after) == kept, (kept, after))
    server.add("back")
    restored = box("restore", before[-1]["id"], "--to", server.url_of("back"), "--password-file", server.password, "--wait")
    back = {path.relative_to(server.folder / "back"): path.read_bytes() for path in (server.folder / "back").rglob("*") if path.is_file()}
    checks.check("what is kept comes back exactly", restored.status == 0 and back == tree, (restored, sorted(set(tree) ^ set(back))))
    gone = next(one["id"] for one in before if one["id"] not in kept)
    server.add("again")
    refused = box("restore", gone, "--to", server.url_of("again"), "--password-file", server.password, "--wait")
    checks.check("what is gone is refused by name", refused.status != 0 and "forgotten" in str(refused), refused)
    deletions = lambda: [record["fields"] for record in box("log", "--limit", 1000).report.get("records", []) if record["event"] == "deletion"]
    until(lambda: any(fields.get("phase") == "done" for fields in deletions()))
    records = deletions()
    phases = [fields.get("phase") for fields in records]
    checks.check("the log has it before it happened, and after", phases == ["begun", "done"] and all(gone in fields["snapshots"] for fields in records), records)
    return kept


def snapshots(box):
    of_share = [one for one in box("snapshots").report.get("snapshots", []) if one["share"] == "EHR"]
    return sorted(of_share, key=lambda one: one["taken_at"])


def at_once(box):
    """It is night: the box believes that the last one was long ago."""
    box.stop()
    with sqlite3.connect(box.folder / "state/vaultd/state.sqlite") as state:
        state.execute("INSERT OR REPLACE INTO documents VALUES ('forgetting', ?)", [json.dumps({"at": 0})])
    state.close()
    box.start()
    box.settled()
    box.sign_in()


def lost(box, before, kept):
    box.stop()
    for program in ("vaultd", "authd"):
        shutil.rmtree(box.folder / "state" / program)
    shutil.rmtree(box.folder / "cache", ignore_errors=True)
    box.start()
    checks.check("it is there again", box.settled() and until(lambda: box.get("vaultd", "/v1/shares")))
    # People come back a moment after the shares.
    until(lambda: all(told(box)[what] == before[what] for what in ("shares", "policies", "users")))
    after = told(box)
    for what in ("shares", "policies", "users"):
        checks.check(f"the same {what}", after[what] == before[what], (before[what], after[what]))
    same = {number: run for number, run in after["runs"].items() if number in before["runs"]}
    checks.check("the same history", same == before["runs"], (before["runs"], after["runs"]))
    box.sign_in()
    checks.check("what was forgotten stays so", sorted(one["id"] for one in snapshots(box)) == kept, snapshots(box))
    run = box("runs", "start", "EHR", "--wait")
    counts = run.report.get("run", {}).get("counts", {})
    checks.check("backups go on with the password that was kept, and read nothing twice", run.status == 0 and counts.get("read_bytes", 1) <= 100_000, run)
    log = box("log", "verify")
    checks.check("the log goes on, and is whole", log.status == 0, log)


main()
