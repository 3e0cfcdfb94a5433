#!/usr/bin/env bash
# Keepwell beside restic and borg on the same data in one run. Prints one table (Markdown) and keeps it in BENCH_DATA/results.md.
#
#   BENCH_DATA=DIR   where data, repositories and restores go; outside the checkout; about 15 GiB at full scale
#   SCALE=0.25       size of the data; SETS="clinic imaging db random"; PEERS="keepwell restic borg"; RUNS=1
#
# Speeds are source MiB per CPU second (user + system of all processes), so that a loaded machine matters less; rescan is files per CPU
# second. "next" is the second generation: how much the repository grew by it.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$here/../.." && pwd)
export BENCH_DATA=${BENCH_DATA:?say where the data shall be, outside the checkout}
export SCALE=${SCALE:-0.25}
read -r -a sets <<< "${SETS:-clinic imaging db random}"
read -r -a peers <<< "${PEERS:-keepwell restic borg}"
runs=${RUNS:-1}

mkdir -p "$BENCH_DATA"
work=$(cd "$BENCH_DATA" && pwd)
case "$work/" in "$top"/*) echo "bench: BENCH_DATA must not lie inside the checkout" >&2; exit 2 ;; esac
data=$work/data-$SCALE
keepwell=${KEEPWELL:-${CARGO_TARGET_DIR:-$top/target}/release/keepwell}
results=$work/results.md

export RESTIC_PASSWORD=bench RESTIC_CACHE_DIR=$work/cache/restic
export BORG_PASSPHRASE=bench BORG_BASE_DIR=$work/cache/borg BORG_RELOCATED_REPO_ACCESS_IS_OK=yes BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes

# Each contender: init, backup (of the current folder), restore (into the current folder), check. $repo is where.
keepwell_init() { "$keepwell" vault init --vault "$repo" --layout 1+0 --kit-out "$repo.kit" --test; }
keepwell_backup() { "$keepwell" vault backup --vault "$repo" --unlock "$(kit)" --name bench .; }
keepwell_restore() { "$keepwell" vault restore --vault "$repo" --unlock "$(kit)" latest --to .; }
keepwell_check() { "$keepwell" vault verify --vault "$repo" --unlock "$(kit)" --data; }
kit() { echo "kit:$repo.kit/kit-1.txt,$repo.kit/kit-2.txt"; }

restic_init() { restic -q -r "$repo" init; }
restic_backup() { restic -q -r "$repo" backup .; }
restic_restore() { restic -q -r "$repo" restore latest --target .; }
restic_check() { restic -q -r "$repo" check --read-data; }

borg_init() { borg init -e repokey-blake2 "$repo"; }
borg_backup() { borg create -C zstd,3 "$repo::$(date +%s%N)" .; }
borg_restore() { borg extract "$repo::$(borg list --short --last 1 "$repo")"; }
borg_check() { borg check --verify-data "$repo"; }

# measure FUNCTION: runs it in a shell of its own and leaves "cpu_s wall_s rss_kib" in $measured. The CPU of all children counts.
measure() {
    local log=$work/log.$1 times=$work/times
    export -f "$1" kit
    export repo keepwell
    if ! /usr/bin/time -f '%U %S %e %M' -o "$times" bash -euo pipefail -c "$1" > "$log" 2>&1; then
        echo "bench: $1 failed, see $log" >&2
        tail -n 5 "$log" >&2
        exit 1
    fi
    measured=$(tail -n 1 "$times" | awk '{ printf "%.2f %.2f %d", $1 + $2, $3, $4 }')
}

bytes() { du -sb "$@" | awk '{ sum += $1 } END { print sum }'; }
stored() { du -sb --exclude=cache "$repo" | cut -f1; }
divide() { awk -v a="$1" -v b="$2" -v d="$3" 'BEGIN { q = (b > 0) ? a / b : 0; printf("%." d "f", q) }'; }

contend() { # PEER SET
    local peer=$1 set=$2 source=$data/$2 rss=0 size files first cpu wall kib
    repo=$work/repo/$peer-$set
    rm -rf "$repo" "$repo.kit" "$work/out" "$work/cache"
    mkdir -p "$work/repo" "$work/out" "$work/cache"
    size=$(bytes "$source") files=$(find "$source" -type f | wc -l)
    step() { # FUNCTION FOLDER: fills cpu and wall
        cd "$2"
        measure "$1"
        cd "$work"
        read -r cpu wall kib <<< "$measured"
        [ "$kib" -le "$rss" ] || rss=$kib
    }
    step "${peer}_init" "$work"
    step "${peer}_backup" "$source"
    local initial_cpu=$cpu initial_wall=$wall
    first=$(stored)
    step "${peer}_backup" "$source"
    local rescan_cpu=$cpu
    local next=-
    if [ "$set" = clinic ] || [ "$set" = db ]; then
        local before
        before=$(stored)
        /usr/bin/python3 "$here/make_dataset.py" apply "$data"
        step "${peer}_backup" "$source"
        next="$(divide $((100 * ($(stored) - before))) "$before" 1) %"
    fi
    step "${peer}_restore" "$work/out"
    local restore_cpu=$cpu
    diff -r "$source" "$work/out" > /dev/null || { echo "bench: $peer restored $set wrongly" >&2; exit 1; }
    step "${peer}_check" "$work"
    local check_cpu=$cpu mib
    mib=$(divide "$size" 1048576 3)
    /usr/bin/python3 "$here/make_dataset.py" revert "$data"
    echo "| $set | $peer | $(divide "$mib" "$initial_cpu" 0) | $(divide "$mib" "$initial_wall" 0) | $(divide "$files" "$rescan_cpu" 0) | $(divide "$mib" "$restore_cpu" 0) | $(divide "$mib" "$check_cpu" 0) | $(divide "$size" "$first" 2) | $next | $((rss / 1024)) |" | tee -a "$results"
    rm -rf "$repo" "$repo.kit" "$work/out"
}

[ -d "$data" ] || /usr/bin/python3 "$here/make_dataset.py" make "$data"
/usr/bin/python3 "$here/make_dataset.py" revert "$data"
{
    echo "Scale $SCALE, $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg); $(restic version | cut -d' ' -f1-2), $(borg --version), $("$keepwell" --version)"
    echo
    echo "| set | peer | initial, MiB/cpu-s | initial, MiB/s | rescan, files/cpu-s | restore, MiB/cpu-s | check, MiB/cpu-s | size ratio | next, growth | RSS MiB |"
    echo "|---|---|---|---|---|---|---|---|---|---|"
} | tee "$results"
for _ in $(seq "$runs"); do
    for set in "${sets[@]}"; do
        for peer in "${peers[@]}"; do contend "$peer" "$set"; done
    done
done
echo "bench: the table is in $results"
