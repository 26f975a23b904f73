# What `underlay` does on first use, and again when a list of packages or requirements.txt
# changes: install missing system packages, then make .venv. The launcher sources this
# file; $root, $venv, $system_python and the stamp's functions are its own.

log=$root/.underlay/setup.log
ticker=''
# The function that says in a line how far the command is that runs.
so_far=last_line
temporary=''
updated=no

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
            say "  … ${seconds} s: $("$so_far" | cut -c 1-100)"
        done
    ) 9>&- &
    ticker=$!
}

# What apt says last is what it unpacks or sets up just now.
last_line() {
    tail -n 1 "$log"
}

making_venv() {
    printf 'making .venv\n'
}

# How many packages of requirements.txt there are by now, and which one is the last. pip names all
# of them in one line before it installs the first, and says nothing more until it has the last:
# each has its folder of metadata once it is there. Its own is there before.
pip_so_far() {
    all=$(grep '^[A-Za-z0-9]' "$root/requirements.txt" | grep -vc win32 || true)
    done_by_now=0 last=''
    if ! grep -q '^Installing collected packages' "$log"; then
        done_by_now=$(grep -c '^Collecting ' "$log" || true)
        last=$(sed -n 's/^Collecting \([^=<>~! ]*\).*/\1/p' "$log" | tail -n 1)
        printf 'fetched %s of %s packages%s\n' "$done_by_now" "$all" "${last:+: $last}"
        return
    fi
    # The newest comes last: ls sorts by time, and names of packages hold no spaces.
    # shellcheck disable=SC2012
    for metadata in $(ls -tr "$venv"/lib/python3*/site-packages 2>/dev/null); do
        case $metadata in
            pip-*.dist-info) ;;
            *.dist-info) done_by_now=$((done_by_now + 1)) last=${metadata%%-*} ;;
        esac
    done
    printf 'installed %s of %s packages%s\n' "$done_by_now" "$all" "${last:+: $last}"
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
    install_bundle "$@"
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

# install_bundle bundle install FILE [--into FOLDER]: nothing is here yet that could read a bundle,
# so its own script does it all, by default for this checkout. Anything else is left to Python.
install_bundle() {
    [ "${1:-} ${2:-}" = "bundle install" ] || return 0
    shift 2
    into=$root bundle=''
    while [ $# -gt 0 ]; do
        case $1 in
            --into) [ $# -gt 1 ] || return 0; into=$2; shift ;;
            --into=*) into=${1#*=} ;;
            -*) return 0 ;;
            *) [ -z "$bundle" ] || return 0; bundle=$1 ;;
        esac
        shift
    done
    [ -f "$bundle" ] || return 0
    # What a killed one has left is as large as the bundle.
    for left in "$root"/.underlay/bundle.*; do
        kill -0 "${left##*.}" 2>/dev/null || rm -rf "$left"
    done
    temporary=$root/.underlay/bundle.$$
    mkdir "$temporary"
    say "unpacking $bundle"
    tar --extract --file="$bundle" --force-local --directory="$temporary" --strip-components=1 ||
        fail "$bundle can't be unpacked" "copy it again, and compare  sha256sum FILE"
    [ -f "$temporary/install" ] || fail "$bundle is no bundle" "underlay bundle FILE makes one"
    # The script starts this launcher, which would wait for the lock.
    exec 9>&-
    code=0
    sh "$temporary/install" "$into" || code=$?
    forget_temporary
    rmdir "$root/.underlay" 2>/dev/null || true
    exit "$code"
}

# Without network, what to do is another thing than where something failed.
without_network() {
    grep -qiE 'temporary failure (in name resolution|resolving)|could not resolve|network is unreachable|name or service not known|failed to establish a new connection' "$log"
}

# hint_of WORDS: what to try next after apt or pip has failed.
hint_of() {
    if without_network; then
        printf '%s' "this machine seems to have no network; a bundle brings all that is needed:\
 ./underlay bundle FILE where there is network, and here ./underlay bundle install FILE"
    else
        printf '%s' "$1"
    fi
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
    # Both lists of packages are of the same minute.
    [ "$updated" = yes ] || {
        say "updating apt's lists"
        quietly $apt update || say "apt-get update failed; trying with the lists there are"
        updated=yes
    }
    say "installing them (some minutes)"
    quietly $apt install -y --no-install-recommends $missing || {
        tail -n 5 "$log" >&2
        fail "apt-get could not install:$missing" \
            "$(hint_of "Underlay is made for Debian 13; all that apt said is in $log")"
    }
}

make_venv() {
    # 9 is that version's own answer: what ends Python otherwise says nothing about it.
    code=0
    "$system_python" -c 'import sys; sys.exit(9 if sys.version_info < (3, 11) else 0)' \
        2>>"$log" </dev/null 9>&- || code=$?
    case $code in
        0) ;;
        # Ended by a signal: the terminal's Ctrl-C reaches Python, too, and may reach it alone.
        129 | 130 | 143) say interrupted; exit 130 ;;
        9)
            fail "$system_python is $("$system_python" --version 2>&1 || true), Underlay needs 3.11\
 or newer" "Debian 12 and 13 have it"
            ;;
        *) fail "$system_python doesn't start: exit code $code" "all that it said is in $log" ;;
    esac
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
    so_far=making_venv
    quietly env TMPDIR="$temporary" "$system_python" -I -m venv "$venv" || {
        tail -n 5 "$log" >&2
        fail "$system_python could not make $venv" "all that it said is in $log"
    }
    so_far=pip_so_far
    # Wheels only: a source package would run its own code and fetch what no hash covers.
    quietly env TMPDIR="$temporary" PIP_USER=0 "$venv/bin/python" -I -m pip --disable-pip-version-check install \
        --no-input --progress-bar off --retries 2 --require-hashes --only-binary :all: \
        -r "$root/requirements.txt" || {
        tail -n 5 "$log" >&2
        fail "pip could not install the packages of requirements.txt" \
            "$(hint_of "is the network up? All that pip said is in $log")"
    }
    forget_temporary
}

write_stamp() {
    printf '%s\n%s\n%s\n' "$(wanted_venv)" "$(wanted_packages packages.txt)" "$libvirt_checked" \
        >"$venv/stamp.new"
    mv "$venv/stamp.new" "$venv/stamp"
    rm -f "$venv/unfinished"
}
