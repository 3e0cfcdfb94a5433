#!/usr/bin/python3
"""What the way through the box's programs costs: the same share backed up by one process (`keepwell vault backup`) and by a box (vaultd, and ingestd over a socket), in turns.
Prints seconds and the ratio. Root, Samba, and some gigabytes in TMPDIR. `tests/bench/sockets.py [MIB of large files] [small files]`
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scenarios"))

from lib import trees  # noqa: E402
from lib.appliance import Appliance  # noqa: E402
from lib.box import until  # noqa: E402
from lib.checks import Checks  # noqa: E402
from lib.program import Vault, run  # noqa: E402
from lib.servers import Samba  # noqa: E402

bench = Checks("sockets")
ROUNDS = 3


def main():
    large, small = (int(word) for word in (sys.argv[1:3] or (1024, 20_000)))
    server = Samba(bench.scratch / "samba")
    for number in range(max(1, large // 256)):
        with open(server.share / f"large-{number}", "wb") as file:
            for _ in range(256):
                file.write(os.urandom(1 << 20))
    trees.plain(server.share / "small", small, 4000, seed=1)
    server.give()
    alone, through = [], []
    for number in range(ROUNDS):
        alone.append(in_process(server, number))
        through.append(by_box(server, number))
        print(f"round {number + 1}: one process {alone[-1]:.2f} s, a box {through[-1]:.2f} s", flush=True)
    best = min(alone) / min(through)
    print(f"{large} MiB in large files, {small} small files: {min(alone):.2f} s alone, {min(through):.2f} s through the box: {best:.0%} of the speed")
    bench.finish()


def in_process(server, number):
    vault = Vault(bench.scratch / f"alone-{number}", "2+1")
    began = time.monotonic()
    done = run("vault", "backup", server.url, "--vault", vault.dir, "--unlock", vault.unlock, "--password-file", server.password)
    took = time.monotonic() - began
    bench.check("a backup by one process is complete", done.status == 0, done)
    return took


def by_box(server, number):
    box = Appliance(bench.scratch / f"box-{number}")
    began = time.monotonic()
    box("shares", "add", "share", *server.to_read(), "--tier", 1)
    # The box begins by itself.
    until(lambda: [one for one in box.get("vaultd", "/v1/runs") if one["finished_at"]], 600)
    took = time.monotonic() - began
    runs = box.get("vaultd", "/v1/runs")
    bench.check("a backup by a box is complete", runs and runs[-1]["outcome"] == "complete", runs)
    box.stop()
    return took


main()
