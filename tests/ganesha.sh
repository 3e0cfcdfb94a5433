#!/bin/sh
# Starts and stops a private NFS server (NFS-Ganesha, versions 3 and 4) for tests and the demo. Owns DIR (configuration, state, logs; not
# what is put into DIR/share) and the processes it started; never listens beyond 127.0.0.1, never ends a process it did not start. The
# one exception to the first is rpcbind, which Ganesha demands and which knows no addresses: it is started only where none runs.
#
#   tests/ganesha.sh start DIR [PORT]   PORT 0 or none: free ones. Needs root. Returns when the server answers.
#   tests/ganesha.sh stop DIR
#
# After start: DIR/share is the folder behind the export /share, DIR/port and DIR/mountport the ports, DIR/url the URL
# nfs://127.0.0.1:PORT/share?version=3&mountport=PORT. KEEPWELL_GANESHA_SQUASH: No_Root_Squash (default), Root_Squash or All_Squash;
# KEEPWELL_GANESHA_ACCESS: RW (default) or RO.
set -eu

script=ganesha.sh
daemon=ganesha
config=ganesha.conf
. "$(dirname "$0")/server.sh"

PATH="$PATH:/usr/sbin:/sbin"
# Process id of the rpcbind that a server of ours started, if one did.
rpcbind=/run/rpcbind/keepwell-tests.pid

# Ganesha registers with it, or does not start. Several servers may start and stop at once: one after the other looks after rpcbind, and each
# Ganesha holds $rpcbind.used as long as it lives. Whichever server of ours stops last ends it.
need_rpcbind() {
    listens 111 && return
    rpcbind -f -i </dev/null >"$dir/log/rpcbind.out" 2>&1 8>&- 9>&- &
    echo $! >"$rpcbind"
    waited=0
    until listens 111; do
        waited=$((waited + 1))
        [ $waited -lt 600 ] || die "rpcbind does not answer, see $dir/log/rpcbind.out"
        sleep 0.1
    done
}

configure() { # PORT MOUNTPORT
    for part in run state log share; do mkdir -p "$dir/$part"; done
    cat >"$dir/ganesha.conf" <<CONF
NFS_CORE_PARAM {
 Protocols = 3, 4;
 NFS_Port = $1;
 MNT_Port = $2;
 Bind_addr = 127.0.0.1;
 Enable_NLM = false;
 Enable_RQUOTA = false;
 Enable_UDP = false;
 mount_path_pseudo = true;
}
NFSv4 { RecoveryRoot = $dir/state; Graceless = true; Only_Numeric_Owners = true; Minor_Versions = 0, 1, 2; }
EXPORT {
 Export_Id = 1;
 Path = $dir/share;
 Pseudo = /share;
 Access_Type = ${KEEPWELL_GANESHA_ACCESS:-RW};
 Squash = ${KEEPWELL_GANESHA_SQUASH:-No_Root_Squash};
 SecType = sys;
 Protocols = 3, 4;
 Transports = TCP;
 PrivilegedPort = false;
 Attr_Expiration_Time = 0;
 FSAL { Name = VFS; }
}
LOG { Default_Log_Level = EVENT; }
CONF
}

initialized() { # PORT MOUNTPORT
    listens "$1" && listens "$2" && grep -q 'NFS SERVER INITIALIZED' "$dir/log/ganesha.log"
}

launch() { # PORT MOUNTPORT: whether the server answers there
    configure "$1" "$2"
    mkdir -p /run/rpcbind
    exec 8>"$rpcbind.used" 9>"$rpcbind.lock"
    flock 9
    flock -s 8
    need_rpcbind
    exec 9>&-
    ganesha.nfsd -F -f "$dir/ganesha.conf" -L "$dir/log/ganesha.log" -p "$dir/run/ganesha.pid" </dev/null >"$dir/log/ganesha.out" 2>&1 &
    echo $! >"$dir/ganesha.pid"
    exec 8>&-
    await 900 initialized "$1" "$2"
}

start() {
    command -v ganesha.nfsd >/dev/null || die "ganesha.nfsd is not installed (apt-get install nfs-ganesha nfs-ganesha-vfs rpcbind)"
    [ "$(id -u)" = 0 ] || die "must run as root: the server acts as the users who call"
    mkdir -p "$dir/log"
    dir=$(cd "$dir" && pwd -P)
    ours && die "a server for $dir is already running"
    port=${1:-0}
    if [ "$port" != 0 ]; then
        await_free "$port"
        mountport=$(free_port)
        launch "$port" "$mountport" || die "the server does not answer on port $port, see $dir/log"
    else
        # Somebody else may take the same free port meanwhile.
        port=$(free_port) mountport=$(free_port)
        launch "$port" "$mountport" || { port=$(free_port) mountport=$(free_port) && launch "$port" "$mountport"; } ||
            die "the server does not answer on port $port, see $dir/log"
    fi
    echo "$port" >"$dir/port"
    echo "$mountport" >"$dir/mountport"
    echo "nfs://127.0.0.1:$port/share?version=3&mountport=$mountport" | tee "$dir/url"
}

stop() {
    dir=$(cd "$dir" 2>/dev/null && pwd -P) || return 0
    end
    # Not while another server uses it, or is about to.
    mkdir -p /run/rpcbind
    exec 8>"$rpcbind.used" 9>"$rpcbind.lock"
    flock 9
    if flock -n 8 && [ "$(cat "/proc/$(cat "$rpcbind" 2>/dev/null || echo 0)/comm" 2>/dev/null)" = rpcbind ]; then
        kill "$(cat "$rpcbind")"
        rm -f "$rpcbind"
        waited=0
        while listens 111 && [ $waited -lt 100 ]; do sleep 0.1; waited=$((waited + 1)); done
    fi
    rm -f "$dir/ganesha.pid" "$dir/port" "$dir/mountport" "$dir/url"
}

serve "$@"
