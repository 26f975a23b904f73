# What `underlay` does on first use, and again when a list of packages or requirements.txt
# changes: install missing system packages, then make .venv. The launcher sources this
# file; $root, $venv, $system_python and the stamp's functions are its own.

log=$root/.underlay/setup.log
ticker=''
temporary=''

say() {
    printf 'underlay: %s\n' "$*" >&2
}

# fail MESSAGE [HINT]: end with exit code 3, and with a JSON document where one was asked for.
fail() {
    printf 'error: %s\n' "$1" >&2
    [ -z "${2:-}" ] || printf '\nhint: %s\n' "$2" >&2
    if [ "$json" = yes ]; then
        printf '{"error": "%s", "hint": "%s"}\n' "$(json_text "$1")" "$(json_text "${2:-}")"
    fi
    exit 3
}

# quoted TEXT: TEXT as one word of a shell.
quoted() {
    printf "'"
    printf '%s' "$1" | sed "s/'/'\\\\''/g"
    printf "'"
}

json_text() {
    printf '%s' "$1" | sed 's/[\\"]/\\&/g' | tr '\n\t' '  '
}

wants_json() {
    for argument; do
        case $argument in
            --) return 1 ;;
            --json) return 0 ;;
        esac
    done
    return 1
}

# Run a command into the log, with a sign of life every ten seconds.
quietly() {
    printf '+ %s\n' "$*" >>"$log"
    start_ticker
    code=0
    "$@" >>"$log" 2>&1 </dev/null 9>&- || code=$?
    stop_ticker
    return "$code"
}

start_ticker() {
    # sleep holds none of our streams: a reader of our output mustn't wait for it.
    (
        seconds=0
        while sleep 10 >/dev/null 2>&1 9>&- && kill -0 $$ 2>/dev/null; do
            seconds=$((seconds + 10))
            say "  … ${seconds} s: $(tail -n 1 "$log" | cut -c 1-100)"
        done
    ) 9>&- &
    ticker=$!
}

stop_ticker() {
    # Not TERM: a ticker just forked still has our own trap, and would survive it.
    [ -z "$ticker" ] || kill -KILL "$ticker" 2>/dev/null || true
    ticker=''
}

set_up() {
    json=no
    ! wants_json "$@" || json=yes
    mkdir -p "$root/.underlay" 2>/dev/null && [ -w "$root" ] || fail \
        "$root cannot be written to: its first use makes .venv and .underlay there" \
        "whoever may write there starts it once; or have a copy: git clone $(quoted "$root")\
 ~/underlay && ~/underlay/underlay --version"
    trap 'stop_ticker; forget_temporary' EXIT
    trap 'say interrupted; exit 130' INT TERM HUP
    take_lock
    # Another first use may have done it all while this one waited.
    if ! is_ready; then
        : >"$log"
        [ "$checked" = "$(wanted_packages packages.txt)" ] || install_packages packages.txt
        if [ "$libvirt" = yes ]; then
            install_packages packages-libvirt.txt
            libvirt_checked=$(wanted_packages packages-libvirt.txt)
        fi
        [ "$made_from" = "$(wanted_venv)" ] || make_venv
        write_stamp
        mv "$log" "$venv/setup.log"
    fi
    rmdir "$root/.underlay" 2>/dev/null || true
    exec 9>&-
    trap - EXIT INT TERM HUP
}

# Who is interrupted may leave folders of temporary files: pip does. They are in one of our own.
forget_temporary() {
    [ -z "$temporary" ] || rm -rf "$temporary"
    temporary=''
}

take_lock() {
    command -v flock >/dev/null || fail "flock is missing" "install util-linux"
    # A file that is there anyway: a lock file of its own would have to be tidied away.
    exec 9<"$root/requirements.txt"
    flock -n 9 || {
        say "waiting for another first use of this checkout to finish"
        flock 9
    }
}

# is_there PROBE: a path (perhaps with wildcards) or a command's name.
is_there() {
    case $1 in
        /*) for found in $1; do [ ! -e "$found" ] || return 0; done; return 1 ;;
        *) PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ;;
    esac
}

# install_packages LIST: install what is missing of a list at the root.
install_packages() {
    missing='' reasons=''
    while read -r package probe why; do
        case $package in '' | '#'*) continue ;; esac
        is_there "$probe" && continue
        missing="$missing $package"
        reasons="$reasons
underlay:   $package $why"
    done <"$root/$1"
    [ -n "$missing" ] || return 0
    say "these system packages are missing:$reasons"
    command -v apt-get >/dev/null || fail "this system has no apt-get, so nothing was installed" \
        "Underlay is made for Debian 13; elsewhere, install what provides:$missing"
    as_root=''
    if [ "$(id -u)" != 0 ]; then
        as_root='sudo -n'
        { command -v sudo >/dev/null && sudo -n true 2>/dev/null; } || fail \
            "installing them needs root" \
            "sudo sh -c 'apt-get update && apt-get install -y --no-install-recommends$missing'"
    fi
    apt_install
}

# $as_root and $missing are lists of words.
# shellcheck disable=SC2086
apt_install() {
    apt="$as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -o Dpkg::Use-Pty=0"
    # An interrupted installation leaves packages that the next one would stumble over.
    [ -z "$(dpkg --audit 2>/dev/null)" ] || quietly $as_root dpkg --configure -a || true
    say "updating apt's lists"
    quietly $apt update || say "apt-get update failed; trying with the lists there are"
    say "installing them (some minutes)"
    quietly $apt install -y --no-install-recommends $missing || {
        tail -n 5 "$log" >&2
        fail "apt-get could not install:$missing" \
            "Underlay is made for Debian 13; all that apt said is in $log"
    }
}

make_venv() {
    "$system_python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || fail \
        "$system_python is $("$system_python" --version 2>&1 || true), Underlay needs 3.11 or newer" \
        "Debian 12 and 13 have it"
    rm -rf "$root/.underlay"/discarded.*
    if [ -e "$venv" ]; then
        { [ -f "$venv/pyvenv.cfg" ] || [ -f "$venv/unfinished" ]; } || fail \
            "$venv is not a virtual environment, so it was left alone" "move it away"
        # Moved away in one step: an interrupted removal leaves no half of it behind.
        mv "$venv" "$root/.underlay/discarded.$$"
        rm -rf "$root/.underlay/discarded.$$"
    fi
    mkdir "$venv"
    : >"$venv/unfinished"
    temporary=$venv/tmp
    mkdir "$temporary"
    say "making .venv and installing the Python packages of requirements.txt (half a minute)"
    quietly env TMPDIR="$temporary" "$system_python" -I -m venv "$venv" || {
        tail -n 5 "$log" >&2
        fail "$system_python could not make $venv" "all that it said is in $log"
    }
    # Wheels only: a source package would run its own code and fetch what no hash covers.
    quietly env TMPDIR="$temporary" PIP_USER=0 "$venv/bin/python" -I -m pip --disable-pip-version-check install \
        --no-input --progress-bar off --retries 2 --require-hashes --only-binary :all: \
        -r "$root/requirements.txt" || {
        tail -n 5 "$log" >&2
        fail "pip could not install the packages of requirements.txt" \
            "is the network up? All that pip said is in $log"
    }
    forget_temporary
}

write_stamp() {
    printf '%s\n%s\n%s\n' "$(wanted_venv)" "$(wanted_packages packages.txt)" "$libvirt_checked" \
        >"$venv/stamp.new"
    mv "$venv/stamp.new" "$venv/stamp"
    rm -f "$venv/unfinished"
}
