#!/usr/bin/env bash
# The fuzz corpus and seeded changes of it through every parser, with the stable compiler: `replay`, or `long` with many more changes.
set -euo pipefail
case "${1:-replay}" in
    replay) exec cargo test --quiet --locked --package keepwell-fuzz ;;
    long) KEEPWELL_LONG=1 exec cargo test --release --quiet --locked --package keepwell-fuzz ;;
    *) echo "usage: tests/fuzz.sh replay|long" >&2; exit 2 ;;
esac
