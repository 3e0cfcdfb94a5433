#!/usr/bin/python3
"""A box that loses everything but its vault: shares with their passwords, policies, users and history come back from it by themselves, and backups go on."""

import shutil

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
        before = practice(box, server)
    with checks.part("all but the vault is lost"):
        lost(box, before)
    checks.finish()


def practice(box, server):
    trees.plain(server.share, 100, 4000, seed=2)
    server.give()
    box("shares", "add", "EHR", server.url, "--tier", 1, "--password-file", server.password)
    changed = box.promise(one={"cadence_s": 1800, "copy_age_goal_s": 4000})
    checks.check("a policy is changed", all(answer.status == 200 for answer in changed), changed)
    added = box("users", "add", "Ann", "--role", "restore-only")
    checks.check("a user is added", added.status == 0, added)
    runs = [box("runs", "start", "EHR", "--wait").report.get("run", {}) for _ in range(2)]
    checks.check("two runs are complete", [run.get("outcome") for run in runs] == ["complete"] * 2, runs)
    # What was changed last is kept within a minute, and what happened with it.
    at = box.get("vaultd", "/v1/status")["at"]
    checks.check("the state is kept in the vault", until(lambda: proven(box) > at, 150), box.get("vaultd", "/v1/status").get("duties"))
    return told(box)


def proven(box):
    duties = box.get("vaultd", "/v1/status").get("duties", [])
    return max((standing["at"] for duty, standing in duties if duty["kind"] == "state" and standing["is"] == "proven"), default=0)


def told(box):
    shares = [{name: share[name] for name in ("id", "name", "location", "tier", "paused", "added_at")} for share in box.get("vaultd", "/v1/shares")]
    runs = {run["id"]: run for run in box.get("vaultd", "/v1/runs?limit=1000")}
    users = {user["name"] for user in box.get("authd", "/v1/users")["users"]}
    return {"shares": shares, "policies": box.get("vaultd", "/v1/policies"), "runs": runs, "users": users}


def lost(box, before):
    box.stop()
    for program in ("vaultd", "authd"):
        shutil.rmtree(box.folder / "state" / program)
    shutil.rmtree(box.folder / "cache", ignore_errors=True)
    box.start()
    checks.check("it is there again", box.settled() and until(lambda: box.get("vaultd", "/v1/shares"), 30))
    after = told(box)
    for what in ("shares", "policies", "users"):
        checks.check(f"the same {what}", after[what] == before[what], (before[what], after[what]))
    same = {number: run for number, run in after["runs"].items() if number in before["runs"]}
    checks.check("the same history", same == before["runs"], (before["runs"], after["runs"]))
    box.sign_in()
    run = box("runs", "start", "EHR", "--wait")
    counts = run.report.get("run", {}).get("counts", {})
    checks.check("backups go on with the password that was kept, and read nothing twice", run.status == 0 and counts.get("read_bytes", 1) <= 100_000, run)
    log = box("log", "verify")
    checks.check("the new log begins, and is whole", log.status == 0, log)


main()
