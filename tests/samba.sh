#!/bin/sh
# Starts and stops a private Samba server for tests and the demo. Owns DIR (configuration, passwords, state, logs; not what is put
# into DIR/share) and the process it started; never listens beyond 127.0.0.1, never ends a process it did not start.
#
#   tests/samba.sh start DIR [PORT]   PORT 0 or none: a free one. Needs root. Returns when the server answers.
#   tests/samba.sh stop DIR
#
# After start: DIR/share is the folder behind the share `share`, DIR/port the port, DIR/user the user, DIR/password the password
# (one line), DIR/url the URL smb://keepwell-demo@127.0.0.1:PORT/share. That user may change everything; DIR/reader with DIR/reader-password
# at DIR/reader-url sees all of it and may change nothing.
set -eu

script=samba.sh
daemon=smbd
config=smb.conf
. "$(dirname "$0")/server.sh"

user=keepwell-demo
reader=keepwell-reader

configure() { # PORT
    for part in run run/ncalrpc lock state cache private log share; do mkdir -p "$dir/$part"; done
    # The server looks into DIR/share as this user, so it must be able to get there; folders above DIR are the caller's affair.
    chmod 711 "$dir"
    chmod 700 "$dir/private"
    # Tried again, because another server of ours may be starting, and has the list of users for itself.
    for name in "$user" "$reader"; do
        waited=0
        until id "$name" >/dev/null 2>&1 || useradd -M -s /usr/sbin/nologin "$name" 2>/dev/null; do
            waited=$((waited + 1))
            [ $waited -lt 120 ] || die "could not create the user $name"
            sleep 0.5
        done
    done
    chown "$user": "$dir/share"
    cat >"$dir/smb.conf" <<CONF
[global]
 workgroup = CLINIC
 netbios name = CLINICNAS
 server role = standalone server
 map to guest = never
 bind interfaces only = yes
 interfaces = 127.0.0.1/8
 smb ports = $1
 disable netbios = yes
 server min protocol = SMB2_10
 server signing = mandatory
 server smb encrypt = ${KEEPWELL_SAMBA_ENCRYPT:-default}
 passdb backend = tdbsam:$dir/private/passdb.tdb
 private dir = $dir/private
 lock directory = $dir/lock
 state directory = $dir/state
 cache directory = $dir/cache
 pid directory = $dir/run
 ncalrpc dir = $dir/run/ncalrpc
 log file = $dir/log/log.%m
 load printers = no
 disable spoolss = yes
 ea support = yes
 store dos attributes = yes
[share]
 path = $dir/share
 read only = no
 read list = $reader
 mangled names = no
 map archive = no
 vfs objects = acl_xattr shadow_copy2 streams_xattr
 acl_xattr:ignore system acls = yes
 shadow:snapdir = .snapshots
 shadow:mountpoint = $dir/share
 shadow:sort = desc
 shadow:localtime = no
 veto files = /.snapshots/
CONF
}

set_password() { # USER FILE
    [ -s "$2" ] || (umask 077 && od -An -N12 -tx1 /dev/urandom | tr -d ' \n' >"$2" && echo >>"$2")
    password=$(cat "$2")
    printf '%s\n%s\n' "$password" "$password" | smbpasswd -c "$dir/smb.conf" -s -a "$1" >"$dir/log/smbpasswd" 2>&1 ||
        die "could not set the password, see $dir/log/smbpasswd"
}

launch() { # PORT: whether the server answers there
    configure "$1"
    set_password "$user" "$dir/password"
    set_password "$reader" "$dir/reader-password"
    # In the foreground it leads its own process group and ends its children when it is told to stop.
    smbd -s "$dir/smb.conf" -F </dev/null >"$dir/log/smbd.out" 2>&1 &
    echo $! >"$dir/smbd.pid"
    await 900 listens "$1"
}

start() {
    command -v smbd >/dev/null || die "smbd is not installed (apt-get install samba samba-vfs-modules samba-common-bin)"
    [ "$(id -u)" = 0 ] || die "must run as root: smbd changes to the user who signs in"
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd -P)
    ours && die "a server for $dir is already running"
    port=${1:-0}
    if [ "$port" != 0 ]; then
        await_free "$port"
        launch "$port" || die "smbd does not answer on port $port, see $dir/log"
    else
        # Somebody else may take the same free port meanwhile.
        port=$(free_port)
        launch "$port" || { port=$(free_port) && launch "$port"; } || die "smbd does not answer on port $port, see $dir/log"
    fi
    echo "$port" >"$dir/port"
    echo "$user" >"$dir/user"
    echo "$reader" >"$dir/reader"
    echo "smb://$reader@127.0.0.1:$port/share" >"$dir/reader-url"
    echo "smb://$user@127.0.0.1:$port/share" | tee "$dir/url"
}

stop() {
    dir=$(cd "$dir" 2>/dev/null && pwd -P) || return 0
    end
    rm -f "$dir/smbd.pid" "$dir/port" "$dir/url" "$dir/reader-url"
}

serve "$@"
