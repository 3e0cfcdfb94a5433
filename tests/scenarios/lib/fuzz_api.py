"""Requests of all kinds against the console's JSON API, made from its own description by schemathesis, which is not ours. Owns no checks."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
# What may not be tried on a box that has to live on: these end in long work or use up what others need. Events have no end.
APART = ("/api/v1/events",)


def run(url, token, ca, examples=6, seconds=60):
    """How many requests there were, and what went wrong, a line each: answers of 500, 502 and so on (503 says why, and is none), and answers that break off. `url` is the console's, `ca` its
    authority's certificate. Cases come of a fixed seed, so many a route; where they take longer than `seconds`, the rest is left out."""
    with tempfile.TemporaryDirectory() as folder:
        events = Path(folder) / "events.ndjson"
        command = [
            SCHEMATHESIS, "run", f"{url}/api/v1/openapi.json", "--header", f"Authorization: Bearer {token}", "--tls-verify", ca,
            "--checks", "not_a_server_error", "--phases", "coverage,fuzzing", "--max-examples", examples, "--seed", 1, "--workers", 1, "--no-color",
            "--continue-on-failure", "--suppress-health-check", "all", "--generation-database", "none", "--request-timeout", 120, "--max-time", seconds,
            "--report", "ndjson", "--report-ndjson-path", events,
        ]
        for path in APART:
            command += ["--exclude-path", path]
        done = subprocess.run([str(word) for word in command], cwd=folder, capture_output=True, text=True, timeout=seconds + 600, check=False)
        asked, failures = read(events)
        if not asked:
            failures.append(f"nothing was asked: {(done.stdout + done.stderr)[-2000:]}")
        return asked, failures


def read(events):
    """How many requests there were, and what is wrong with their answers."""
    asked, failures = 0, set()
    if not events.exists():
        return 0, ["there is no report"]
    for line in events.read_text(encoding="utf-8").splitlines():
        for request, answer in exchanges(json.loads(line)):
            asked += 1
            what = f"{request.get('method')} {request.get('uri')}"
            if answer is None:
                failures.add(f"{what}: no answer")
            elif answer["status_code"] >= 500 and answer["status_code"] != 503:
                failures.add(f"{what}: {answer['status_code']}")
    return asked, sorted(failures)


def exchanges(event):
    """All requests with their answers (none where none came), wherever in an event they are."""
    if isinstance(event, dict):
        request, answer = event.get("request"), event.get("response", "")
        if isinstance(request, dict) and "uri" in request and (answer is None or isinstance(answer, dict) and "status_code" in answer):
            yield request, answer
            return
        event = list(event.values())
    if isinstance(event, list):
        for part in event:
            yield from exchanges(part)
