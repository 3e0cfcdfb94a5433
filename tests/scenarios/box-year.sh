#!/usr/bin/env bash
# A simulated year of a box, minute by minute (crates/duties/tests/year): every promise is kept or alarmed exactly once.
# KEEPWELL_SEEDS=N years (4 by default, SIZE=full 40); KEEPWELL_FIRST_SEED=N from where.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
[ "${SIZE:-}" = full ] && years=40 || years=4
export KEEPWELL_SEEDS=${KEEPWELL_SEEDS:-$years}
heard=$(mktemp)
trap 'rm -f "$heard"' EXIT
cargo test --quiet --locked --package keepwell-duties --test year -- --nocapture 2>&1 | tee "$heard"
status=${PIPESTATUS[0]}
counts=$(sed -n 's/^years: \([0-9]* passed, [0-9]* failed\)$/\1/p' "$heard" | tail -n 1)
echo "${counts:-0 passed, 1 failed}"
exit "$status"
