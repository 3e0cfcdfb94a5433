#!/usr/bin/env bash
# The demo: a real Samba share, a vault on three disks, two backups, a lost disk, and everything back. All of it lives in .demo/.
# Needs root for the Samba server only; without root it backs up the same files from their folder and says so.
# It may be run again and again; it ends only the server that it started.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

top=$PWD
demo=$top/.demo
share=$demo/samba/share
vault=$demo/vault
kit=$demo/kit
out=$demo/restored
keepwell=${KEEPWELL:-}
began=$SECONDS

say() { printf '\n== %s\n' "$*"; }
run() { printf '   $ %s\n' "$(shown "$@")"; "$@" | sed 's/^/     /'; }
shown() { local text="$*"; text=${text//$demo/.demo}; text=${text//$keepwell/keepwell}; printf '%s' "$text"; }
stop() { [ "$(id -u)" -ne 0 ] || "$top/tests/samba.sh" stop "$demo/samba" || true; }

build() {
    [ -n "$keepwell" ] && return
    say "Building keepwell (the first time takes some minutes)"
    cargo build --release --locked --quiet --package keepwell-cli
    keepwell=${CARGO_TARGET_DIR:-$top/target}/release/keepwell
}

fresh() {
    stop
    rm -rf "$demo"
    mkdir -p "$demo"
    touch "$demo/CACHEDIR.TAG"
}

# A few thousand files: some of this machine, and some that look like a practice's.
fill() {
    mkdir -p "$share"
    local from
    for from in /usr/share/doc /usr/share/common-licenses /usr/lib/python3/dist-packages /usr/include; do
        [ -d "$from" ] || continue
        mkdir -p "$share/machine$from"
        # Plain files of up to 2 MB only: what a server's share holds. The pipe ends early by intent.
        (cd "$from" && find . -xdev -type f -size -2000k -print0 2>/dev/null | sort -z | head -z -n 1500 | tar -c --null -T - 2>/dev/null) |
            tar -x -C "$share/machine$from" --no-same-owner || true
    done
    local day patient
    for patient in $(seq 1 300); do
        mkdir -p "$share/patients/$((patient % 30))/P$patient"
        printf 'MSH|^~\\&|LAB|CLINIC|EHR|MAIN|20260104||ORU^R01|%s|P|2.5.1\nPID|1||%08d^^^MRN||Doe^J%s\n' "$patient" "$patient" "$patient" > "$share/patients/$((patient % 30))/P$patient/lab.hl7"
        for day in 1 2 3 4; do
            printf 'Visit %s of patient %s: blood pressure 1%02d/8%d.\n' "$day" "$patient" $((patient % 40 + 10)) $((day % 10)) > "$share/patients/$((patient % 30))/P$patient/visit-$day.txt"
        done
    done
    mkdir -p "$share/imaging"
    for patient in 1 2 3 4; do head -c 3000000 /dev/urandom > "$share/imaging/scan-$patient.dcm"; done
    hand_over
}

# The server looks at the files as its own user.
hand_over() { [ "$(id -u)" -ne 0 ] || chown -R keepwell-demo: "$share"; }

serve() {
    if [ "$(id -u)" -ne 0 ]; then
        say "Not root, so no Samba server can be started: the files are backed up from their folder instead"
        source=("$share")
        return
    fi
    say "Starting a Samba server for .demo/samba/share, on this machine only"
    "$top/tests/samba.sh" start "$demo/samba" | sed 's/^/     /'
    source=(--password-file "$demo/samba/password" "$(cat "$demo/samba/url")")
}

change() {
    local number
    for number in $(seq 1 40); do echo "Addendum: see the letter of today." >> "$share/patients/$((number % 30))/P$number/visit-1.txt"; done
    mv "$share/imaging/scan-1.dcm" "$share/imaging/scan-1-final.dcm"
    rm -r "$share/patients/7"
    printf 'Dear colleague,\n' > "$share/patients/letter to a colleague, "$'\u00fc\u00e9.txt'
    hand_over
}

same() { # WHAT EXPECTED FOUND
    if diff -r --no-dereference "$2" "$3" > "$demo/differences"; then
        echo "   Compared $1: $(find "$3" -type f | wc -l) files, no difference."
        passed=$((passed + 1))
    else
        echo "   Compared $1: THEY DIFFER, see .demo/differences" >&2
        failed=$((failed + 1))
    fi
}

# Where a restore goes: back to the share, because only there Windows' access lists have a place; without a server, to a folder.
target() { # NAME: sets `to` and `found`
    if [ "${#source[@]}" -eq 1 ]; then to=("$out/$1") found=$out/$1; else to=("${source[2]}/$1" "${source[@]:0:2}") found=$share/$1; fi
}

restore() { # SNAPSHOT NAME
    target "$2"
    run "$keepwell" vault restore --vault "$vault" --unlock "$unlock" "$1" --to "${to[@]}"
}

passed=0 failed=0
build
fresh
trap stop EXIT
mkdir -p "$demo/samba"
# Its first start makes the server's user, so the share is filled after it.
serve
say "Filling the share with a few thousand files"
fill
echo "   $(find "$share" -type f | wc -l) files, $(du -sh "$share" | cut -f1), in .demo/samba/share"

say "Making a vault on three disks; any one of them may be lost (here a disk is a folder)"
run "$keepwell" vault init --vault "$vault" --disks 3 --layout 2+1 --kit-out "$kit" --test
unlock=kit:$kit/kit-1.txt,$kit/kit-2.txt

say "First backup, over SMB"
run "$keepwell" vault backup --vault "$vault" --unlock "$unlock" --name practice "${source[@]}"
cp -a "$share" "$demo/share-at-first"

say "A day passes: 40 notes get longer, a scan is renamed, a folder is deleted, a letter is written"
change

say "Second backup: only what is new is stored"
run "$keepwell" vault backup --vault "$vault" --unlock "$unlock" --name practice "${source[@]}"
run "$keepwell" vault list --vault "$vault" --unlock "$unlock"

say "Disk 2 dies, and with it the cache"
mv "$vault/disk-2" "$demo/dead-disk-2"
rm -rf "$vault/cache"

cp -a "$share" "$demo/share-at-last"
say "Restoring both snapshots from the two disks that are left, with two of the three kit papers"
first=$("$keepwell" vault list --vault "$vault" --unlock "$unlock" --json 2> /dev/null | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["snapshots"][0]["id"])')
restore practice@latest restored-latest
same "the newest snapshot with the share" "$demo/share-at-last" "$found"
restore "$first" restored-first
same "the first snapshot with the share as it was then, the deleted folder included" "$demo/share-at-first" "$found"

say "A new, empty disk in its place; repair fills it"
mkdir "$vault/disk-2"
run "$keepwell" vault repair --vault "$vault" --unlock "$unlock"
run "$keepwell" vault verify --vault "$vault" --unlock "$unlock" --data

cat <<END

== What happened, in $((SECONDS - began)) s
   A share of a real Samba server was backed up twice into an encrypted vault on three disks. A disk was lost; from the other two,
   and two of the three kit papers, both states of the share came back whole. A new disk was then brought up to date.

   .demo/samba/share      what was backed up
   .demo/vault            the vault: disk-1, disk-2, disk-3; nothing in them can be read without the kit
   .demo/kit              the recovery kit: three papers, any two open the vault
   ${found#"$top/"}
                          what came back of the first snapshot; restored-latest beside it
   .demo/dead-disk-2      the disk that was "lost"

   Look around:  target/release/keepwell vault ls --vault .demo/vault --unlock kit:.demo/kit/kit-1.txt,.demo/kit/kit-3.txt latest patients
   Clean up:     rm -r .demo
END
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
