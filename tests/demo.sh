#!/usr/bin/env bash
# The demo: a whole box in .demo/box, as real processes, backs up real servers on this machine: a Samba share that insists on encryption, one that signs, and
# an NFS export; a fourth server is not there. Shares are added, backed up, damaged and restored; one of the box's programs is killed; the log is checked.
# Then a second box, in .demo/new, waits for its owner in a browser: at a terminal it stays until Ctrl-C.
# Needs root for the servers only; without root it shows the box without them and says so.
# It may be run again and again; it ends only what it started.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

top=$PWD
demo=$top/.demo
box=$demo/box
keepwell=${KEEPWELL:-}
began=$SECONDS
passed=0 failed=0 dev=

say() { printf '\n== %s\n' "$*"; }
shown() { local text="$*"; text=${text//$demo/.demo}; text=${text//$keepwell/keepwell}; printf '%s' "$text"; }
# What a person would type, and what they would see.
run() { printf '   $ %s\n' "$(shown "$@")"; "$@" 2>&1 | sed "s|^|     |; s|$demo|.demo|g"; }
check() { # WHAT COMMAND...
    local what=$1
    shift
    if "$@"; then echo "   ok: $what" && passed=$((passed + 1)); else echo "   FAILED: $what" >&2 && failed=$((failed + 1)); fi
}
root() { [ "$(id -u)" -eq 0 ]; }
# Reads the answer to a command as `a`, and is true if the Python expression is.
holds() { # EXPRESSION COMMAND...
    local expression=$1
    shift
    { "$keepwell" --json "$@" 2> /dev/null || true; } | /usr/bin/python3 -c "import json, sys; a = json.load(sys.stdin); sys.exit(not ($expression))"
}
value() { # EXPRESSION COMMAND...
    local expression=$1
    shift
    { "$keepwell" --json "$@" 2> /dev/null || true; } | /usr/bin/python3 -c "import json, sys; a = json.load(sys.stdin); print($expression)"
}
await() { # SECONDS COMMAND...
    local end=$((SECONDS + $1))
    shift
    until "$@" 2> /dev/null; do [ $SECONDS -lt $end ] || return 1; sleep 0.2; done
}

end_box() {
    if [ -n "$dev" ]; then
        kill "$dev" 2> /dev/null || true
        wait "$dev" || true
    fi
    dev=
}

stop() {
    end_box
    root || return 0
    "$top/tests/samba.sh" stop "$demo/encrypted" || true
    "$top/tests/samba.sh" stop "$demo/signed" || true
    "$top/tests/ganesha.sh" stop "$demo/nfs" || true
}

build() {
    [ -z "$keepwell" ] || return 0
    say "Building keepwell (the first time takes some minutes)"
    make --no-print-directory build > /dev/null
    keepwell=${CARGO_TARGET_DIR:-$top/target}/release/keepwell
}

fresh() {
    # A box that an earlier demo left behind keeps its lock; it is not ours to end.
    stop
    rm -rf "$demo"
    mkdir -p "$demo"
    touch "$demo/CACHEDIR.TAG"
}

serve() {
    root || return 0
    say "Starting three servers, on this machine only: Samba that insists on encryption, Samba that signs, NFS"
    KEEPWELL_SAMBA_ENCRYPT=required tests/samba.sh start "$demo/encrypted" | sed 's/^/     /'
    tests/samba.sh start "$demo/signed" | sed 's/^/     /'
    KEEPWELL_GANESHA_ACCESS=RO tests/ganesha.sh start "$demo/nfs" | sed 's/^/     /'
    say "Filling them with what a practice has"
    patients
    letters
    imaging
    hand_over
    echo "   $(find "$demo"/*/share -type f | wc -l) files, $(du -shc "$demo"/*/share | tail -1 | cut -f1)"
}

patients() {
    local day patient folder
    for patient in $(seq 1 300); do
        folder=$demo/encrypted/share/patients/$((patient % 30))/P$patient
        mkdir -p "$folder"
        printf 'MSH|^~\\&|LAB|CLINIC|EHR|MAIN|20260104||ORU^R01|%s|P|2.5.1\nPID|1||%08d^^^MRN||Doe^J%s\n' "$patient" "$patient" "$patient" > "$folder/lab.hl7"
        for day in 1 2 3 4; do
            printf 'Visit %s of patient %s: blood pressure 1%02d/8%d.\n' "$day" "$patient" $((patient % 40 + 10)) $((day % 10)) > "$folder/visit-$day.txt"
        done
    done
}

# Some files of this machine.
letters() {
    local from
    for from in /usr/share/doc /usr/share/common-licenses /usr/lib/python3/dist-packages; do
        [ -d "$from" ] || continue
        mkdir -p "$demo/signed/share/machine$from"
        # Plain files of up to 2 MB only: what a server's share holds. The pipe ends early by intent.
        (cd "$from" && find . -xdev -type f -size -2000k -print0 2> /dev/null | sort -z | head -z -n 800 | tar -c --null -T - 2> /dev/null) |
            tar -x -C "$demo/signed/share/machine$from" --no-same-owner || true
    done
}

imaging() {
    local scan
    for scan in 1 2 3 4 5 6; do head -c 5000000 /dev/urandom > "$demo/nfs/share/scan-$scan.dcm"; done
}

# The Samba servers look at the files as their own user.
hand_over() { chown -R keepwell-demo: "$demo/encrypted/share" "$demo/signed/share"; }

start_box() {
    say "Starting a box: its keys, users, network and vault are programs of their own, in .demo/box; three disks, any one of which may be lost"
    echo "   \$ keepwell dev --folder .demo/box --disks 3 --layout 2+1 --console 127.0.0.1:0 &"
    "$keepwell" dev --folder "$box" --disks 3 --layout 2+1 --console 127.0.0.1:0 > "$demo/box.out" 2> "$demo/box.err" &
    dev=$!
    await 120 grep -q 'is ready' "$demo/box.out" || { cat "$demo/box.err" >&2 && return 1; }
    grep -v '^ ' "$demo/box.out" | sed "s|^|     |; s|$demo|.demo|g"
    export KEEPWELL_BOX=$box
}

add() { # NAME TIER URL [PASSWORD-FILE]
    run "$keepwell" shares add "$1" "$3" --tier "$2" ${4:+--password-file "$4"}
}

add_shares() {
    say "Telling it what to back up, and how much each matters"
    if root; then
        add patients 1 "$(cat "$demo/encrypted/reader-url")" "$demo/encrypted/reader-password"
        add letters 2 "$(cat "$demo/signed/reader-url")" "$demo/signed/reader-password"
        add imaging 3 "$(cat "$demo/nfs/url")"
    fi
    echo nothing > "$demo/no-password"
    check "a server that is not there is refused" refused old-server smb://backup@127.0.0.1:9/share "$demo/no-password"
    ! root || check "an account that could change the share is refused" refused writer "$(cat "$demo/encrypted/url")" "$demo/encrypted/password"
}

refused() { # NAME URL PASSWORD-FILE
    ! run "$keepwell" shares add "$1" "$2" --tier 3 --password-file "$3" && holds "all(s['name'] != '$1' for s in a['shares'])" shares list
}

first_copies() {
    say "First copies. The box begins by itself; this waits for them"
    local name
    for name in $(root && echo patients letters imaging); do
        run "$keepwell" runs start "$name" --wait
        check "a first copy of $name" holds "[s for s in a['shares'] if s['name'] == '$name'][0]['newest_copy_at']" shares list
    done
    run "$keepwell" runs list
    say "Can I restore today? One screen says so, and exits 0 only when all is proven"
    run "$keepwell" status || true
    check "a box of which not all is proven does not say yes" holds "a['exit'] == 3 and a['status']['headline'] != 'yes'" status
}

damage_and_restore() {
    local share=$demo/encrypted/share snapshot to
    to=$(cat "$demo/encrypted/url")
    snapshot=$(value "min(a['snapshots'], key=lambda s: s['taken_at'])['id']" snapshots --share patients)
    cp -a "$share" "$demo/patients-at-first"
    say "Somebody overwrites a visit and deletes 30 patients; the next backup runs"
    echo "gone" > "$share/patients/1/P1/visit-1.txt"
    rm -r "$share/patients/7" "$share/patients/8" "$share/patients/9"
    hand_over
    run "$keepwell" runs start patients --wait
    run "$keepwell" files patients@latest patients/1/P1
    say "The file as it was, back beside the share's own files, by a process that has nothing but the account that may write"
    run "$keepwell" restore "$snapshot" --path patients/1/P1/visit-1.txt --to "$to/restored-file" --password-file "$demo/encrypted/password" --wait
    check "the visit is as it was" cmp "$demo/patients-at-first/patients/1/P1/visit-1.txt" "$share/restored-file/visit-1.txt"
    say "All patients as they were"
    run "$keepwell" restore "$snapshot" --to "$to/restored" --password-file "$demo/encrypted/password" --wait
    check "all $(find "$demo/patients-at-first" -type f | wc -l) files are as they were" diff -r --no-dereference "$demo/patients-at-first" "$share/restored"
}

look_at_console() {
    local url
    url=$(sed -n 's/^ *console: //p' "$demo/box.out")
    say "The same in a browser: $url"
    check "the console answers over TLS, by the box's own authority" console_says "$url" /sign-in "<form"
}

console_says() { # URL PATH TEXT
    /usr/bin/python3 - "$@" "$box/state/consoled/authority.pem" << 'END'
import ssl, sys, urllib.request
url, path, text, authority = sys.argv[1:]
trust = ssl.create_default_context(cafile=authority)
page = urllib.request.urlopen(url + path, context=trust, timeout=30).read().decode()
sys.exit(text not in page)
END
}

kill_vaultd() {
    say "The program that has the vault is killed; the box starts it again, and it goes on"
    local before
    before=$(cat "$box/run/vaultd.pid")
    kill -9 "$before"
    check "another one answers" await 60 another_vaultd "$before"
    root || return 0
    run "$keepwell" runs start letters --wait
    check "letters are backed up by it" holds "a['runs'][0]['outcome'] == 'complete'" runs list --share letters --limit 1
}

another_vaultd() { # PID
    [ -s "$box/run/vaultd.pid" ] && [ "$(cat "$box/run/vaultd.pid")" != "$1" ] && "$keepwell" shares list > /dev/null &&
        "$keepwell" snapshots > /dev/null
}

look_at_log() {
    say "Who did what: each record is chained to the one before"
    "$keepwell" log | tail -5 | sed 's/^/     /'
    run "$keepwell" log verify
    check "nothing in the log was changed or taken out" holds "not a['faults'] and a['records'] > 5" log verify
}

interactive() { [ -t 0 ] && [ -t 1 ]; }

# As it comes out of its carton: nobody owns it, and nothing is backed up.
new_box() {
    local at=127.0.0.1:0 url
    ! interactive || at=127.0.0.1:8443
    end_box
    box=$demo/new
    say "A new box, which waits for its owner in a browser"
    echo "   \$ keepwell dev --folder .demo/new --disks 3 --layout 2+1 --unclaimed --console $at &"
    "$keepwell" dev --folder "$box" --disks 3 --layout 2+1 --unclaimed --console "$at" > "$demo/new.out" 2> "$demo/new.err" &
    dev=$!
    await 120 grep -q 'is ready' "$demo/new.out" || { cat "$demo/new.err" >&2 && return 1; }
    url=$(sed -n 's/^ *console: //p' "$demo/new.out")
    check "it answers, and asks for its claim code" console_says "$url" /sign-in "Claim this box"
    check "the code is told" grep -Eq 'claim code: ([A-Z0-9]{5}-){3}[A-Z0-9]{5}$' "$demo/new.out"
    cat << TOLD

   Open $url and set it up. Your browser does not know this box: compare the fingerprint.
   $(grep -E '(claim code|fingerprint)' "$demo/new.out" | sed 's/^ *//; 2,$s/^/   /')
TOLD
    ! root || cat << TOLD
   A share to back up:  server 127.0.0.1:$(cat "$demo/encrypted/port"), share "share", account $(cat "$demo/encrypted/reader"), password $(cat "$demo/encrypted/reader-password")
   It lies in .demo/encrypted/share: break a file there, and get it back. What is written back takes the account
   $(cat "$demo/encrypted/user") with the password $(cat "$demo/encrypted/password").
TOLD
    interactive || return 0
    echo "   It runs until Ctrl-C."
    trap : INT
    wait "$dev" || true
}

build
fresh
trap stop EXIT
root || say "Not root, so no servers can be started: the box is shown without them"
serve
start_box
add_shares
first_copies
! root || damage_and_restore
look_at_console
kill_vaultd
look_at_log

cat << END

== What happened, in $((SECONDS - began)) s
   A box of six programs backed up $(root && echo "three real servers" || echo "no server, for want of root,") and refused one that is not there.$(root && echo " What was overwritten and
   deleted came back.") Its vault program was killed and went on; its log is whole. All of it has ended now.

   .demo/box/disks        the vault on three disks; nothing on them can be read without the keys
   .demo/box/log          what each program said
   .demo/box/owner        passphrase, password and second factor: a box for trying out keeps them there

   Go on:     $(shown "$keepwell" dev --folder .demo/box --console 127.0.0.1:8443) &
              then https://127.0.0.1:8443 in a browser; name and password are in .demo/box/owner
              $(shown "$keepwell" --box .demo/box status)
   Clean up:  rm -r .demo
END
new_box
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
