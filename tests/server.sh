# What the private servers of tests have in common; sourced, never run. Owns ports, process ids and the commands `start` and `stop`; knows
# no server. Who sources it sets `script`, `daemon` (DIR/$daemon.pid) and `config` (DIR/$config, on the server's command line), defines
# start [PORT] and stop, and ends with: serve "$@".

die() { echo "$script: $*" >&2; exit 1; }

# Whether the process in DIR/$daemon.pid is still the server that was started for DIR.
ours() {
    pid=$(cat "$dir/$daemon.pid" 2>/dev/null) || return 1
    tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -Fqx "$dir/$config"
}

listens() { # PORT: whether somebody listens there
    grep -Eq "^ *[0-9]+: [0-9A-F]+:$(printf %04X "$1") [0-9A-F:]+ 0A " /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

# Returns when nobody listens there any more: who was just killed does for a moment.
await_free() { # PORT
    waited=0
    while listens "$1"; do
        waited=$((waited + 1))
        [ $waited -lt 600 ] || die "port $1 is in use"
        sleep 0.1
    done
}

free_port() {
    tries=0
    while [ $tries -lt 100 ]; do
        candidate=$((20000 + ($(od -An -N2 -tu2 /dev/urandom) % 12000)))
        listens "$candidate" || { echo "$candidate"; return; }
        tries=$((tries + 1))
    done
    die "found no free port between 20000 and 32000"
}

# Whether the process in DIR/$daemon.pid, which this script has just started, goes on; right after the start it is still this script.
goes_on() {
    pid=$(cat "$dir/$daemon.pid" 2>/dev/null) && tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null | grep -q .
}

await() { # TENTHS COMMAND...: whether the server that was just started makes the command true in that time; else it is ended
    tenths=$1
    shift
    waited=0
    while [ $waited -lt "$tenths" ]; do
        sleep 0.1
        waited=$((waited + 1))
        goes_on || return 1
        if ours && "$@"; then return 0; fi
    done
    end
    return 1
}

end() {
    ours || return 0
    kill "$pid"
    waited=0
    while ours && [ $waited -lt 300 ]; do sleep 0.1; waited=$((waited + 1)); done
    ! ours || kill -9 "$pid"
}

serve() { # start DIR [PORT] | stop DIR
    usage="usage: $script start DIR [PORT] | stop DIR"
    [ $# -ge 2 ] || die "$usage"
    dir=$2
    case $1 in
    start) start "${3:-0}" ;;
    stop) stop ;;
    *) die "$usage" ;;
    esac
}
