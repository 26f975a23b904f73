#!/bin/sh
# Installs Underlay from the folder that this file is in, which came by a bundle, without network.
#
#     ./install [FOLDER]              packages, a checkout in FOLDER (~/underlay), the nodes' image;
#                                     a checkout that is there is taken, if it needs the same
#     ./install --packages            Debian packages alone: the part that needs root
#
# Everything said here goes to stderr. Exit codes: 0 installed, 2 this bundle is damaged or for
# another system, or FOLDER is something else, 3 something failed, 130 interrupted.
set -eu

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
work='' part='' ticker='' as_root=''

say() {
    printf 'install: %s\n' "$*" >&2
}

# fail CODE MESSAGE [HINT]
fail() {
    printf 'error: %s\n' "$2" >&2
    [ -z "${3:-}" ] || printf '\nhint: %s\n' "$3" >&2
    exit "$1"
}

usage() {
    sed -n '/^# /s/^# //p; /^#$/s/.*//p; /^set /q' "$0"
}

# quoted TEXT: TEXT as one word of a shell.
quoted() {
    case $1 in
        *[!A-Za-z0-9_./+~-]*) printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")" ;;
        *) printf '%s' "$1" ;;
    esac
}

# uri PATH: as apt and pip want it, for which a blank ends a path.
uri() {
    printf 'file://%s' "$1" | sed 's/%/%25/g; s/ /%20/g; s/\[/%5B/g; s/#/%23/g'
}

# need WORD: what needs.txt says of it.
need() {
    sed -n "s/^$1 //p" "$here/needs.txt"
}

# manifest WORD: what manifest.json says of the bundle itself.
manifest() {
    sed -n "s/^ \"$1\": \"\(.*\)\",\$/\1/p" "$here/manifest.json"
}

clean_up() {
    stop_ticker
    [ -z "$part" ] || rm -rf "$part"
    # What apt has left there is root's.
    [ -z "$work" ] || rm -rf "$work" 2>/dev/null || $as_root rm -rf "$work"
}

# Run a command into the log, with a sign of life every ten seconds.
quietly() {
    start_ticker
    code=0
    "$@" >>"$work/log" 2>&1 </dev/null || code=$?
    stop_ticker
    return "$code"
}

start_ticker() {
    # sleep holds none of our streams: a reader of our output mustn't wait for it.
    (
        seconds=0
        while sleep 10 >/dev/null 2>&1 && kill -0 $$ 2>/dev/null; do
            seconds=$((seconds + 10))
            say "  … ${seconds} s: $(tail -n 1 "$work/log" | cut -c 1-100)"
        done
    ) &
    ticker=$!
}

stop_ticker() {
    # Not TERM: a ticker just forked still has our own trap, and would survive it.
    [ -z "$ticker" ] || kill -KILL "$ticker" 2>/dev/null || true
    ticker=''
}

check_system() {
    [ -r "$here/needs.txt" ] && [ -r "$here/SHA256SUMS" ] ||
        fail 2 "$here does not hold a whole bundle" "unpack all of it: tar -xf FILE"
    wanted="$(need distribution) $(need release)"
    # shellcheck source=/dev/null
    found=$(. /etc/os-release 2>/dev/null && printf '%s %s' "${ID:-}" "${VERSION_ID:-}") ||
        found='none that has /etc/os-release'
    [ "$found" = "$wanted" ] ||
        fail 2 "this bundle is for $wanted, and this machine has $found" \
            "make one there: ./underlay bundle FILE; or use a container of $wanted"
    wanted=$(need architecture)
    found=$(dpkg --print-architecture 2>/dev/null || uname -m)
    [ "$found" = "$wanted" ] ||
        fail 2 "this bundle is for $wanted, and this machine is $found" "make one there"
}

check_sums() {
    count=$(grep -c . "$here/SHA256SUMS" || true)
    say "checking the sums of $count files"
    code=0
    (cd "$here" && LC_ALL=C sha256sum --check --quiet --strict SHA256SUMS) \
        >"$work/sums" 2>/dev/null || code=$?
    [ "$code" = 0 ] && return
    [ "$code" -lt 128 ] || exit 130
    wrong=$(sed -n 's/: FAILED open or read$/ is missing/p; s/: FAILED$//p' "$work/sums" |
        head -n 5 | paste -s -d , - | sed 's/,/, /g')
    fail 2 "this bundle is damaged: ${wrong:-SHA256SUMS}" \
        "nothing was installed; copy it again, and unpack it anew"
}

# room_for WORD PATH WHAT: refuse where there is less room than needs.txt asks for.
room_for() {
    path=$2
    while [ ! -e "$path" ]; do path=$(dirname -- "$path"); done
    free=$(($(df --output=avail -k -- "$path" | tail -n 1) / 1024))
    wanted=$(need "room-$1")
    [ "$free" -ge "$wanted" ] ||
        fail 3 "$path has $free MiB free, and needs $wanted MiB for $3" "make room there"
}

# is_there PROBE: a path (perhaps with wildcards) or a command's name.
is_there() {
    case $1 in
        /*) for found in $1; do [ ! -e "$found" ] || return 0; done; return 1 ;;
        *) PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ;;
    esac
}

# has PACKAGE VERSION: whether it is installed in just this version.
has() {
    [ "$(dpkg-query --show --showformat='${db:Status-Status} ${Version}' "$1" 2>/dev/null)" = \
        "installed $2" ]
}

missing_packages() {
    sed -n 's/^package //p' "$here/needs.txt" | while read -r package probe version; do
        if [ "$version" = - ]; then
            is_there "$probe" || printf ' %s' "$package"
        else
            # The nodes' image is of this very version.
            has "$package" "$version" || printf ' %s=%s' "$package" "$version"
        fi
    done
}

install_packages() {
    missing=$(missing_packages)
    [ -n "$missing" ] || { say "all Debian packages are there"; return 0; }
    say "these Debian packages are missing:$missing"
    if [ "$(id -u)" != 0 ]; then
        as_root='sudo -n'
        { command -v sudo >/dev/null && sudo -n true 2>/dev/null; } || {
            as_root=''
            fail 3 "installing Debian packages needs root" \
                "sudo sh $(quoted "$here/install") --packages; then this command again"
        }
    fi
    room_for system /usr "Debian's packages"
    mkdir -p "$work/lists/partial" "$work/archives/partial" "$work/none"
    printf 'deb [trusted=yes] %s ./\n' "$(uri "$here/debs")" >"$work/sources.list"
    # An interrupted installation leaves packages that the next one would stumble over. $as_root
    # is a list of words.
    # shellcheck disable=SC2086
    [ -z "$(dpkg --audit 2>/dev/null)" ] || quietly $as_root dpkg --configure -a || true
    say "installing them from the bundle (some minutes)"
    { quietly apt update && packages_by_apt; } || {
        tail -n 5 "$work/log" >&2
        fail 3 "apt-get could not install:$missing" \
            "a machine whose packages are newer than the bundle's needs a newer bundle"
    }
}

# $missing is a list of words. Downgrades happen to none but those whose versions it names.
packages_by_apt() {
    # shellcheck disable=SC2086
    quietly apt install --yes --no-install-recommends --allow-downgrades $missing
}

# This machine's apt with the bundle as its only source, and none of its own preferences.
apt() {
    # $as_root is a list of words.
    # shellcheck disable=SC2086
    $as_root env DEBIAN_FRONTEND=noninteractive LC_ALL=C apt-get -q -o Dpkg::Use-Pty=0 \
        -o DPkg::Lock::Timeout=120 -o APT::Sandbox::User=root -o Acquire::Languages=none \
        -o Dir::State::lists="$work/lists" -o Dir::Cache::archives="$work/archives" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts="$work/none" \
        -o Dir::Etc::preferences="$work/none/none" -o Dir::Etc::preferencesparts="$work/none" \
        "$@"
}

# The sum of the checkout that the folder was made from, if it was made from a bundle.
sum_of_folder() {
    [ ! -r "$folder/.from-bundle" ] || read -r sum _ <"$folder/.from-bundle"
    printf '%s' "${sum:-}"
}

# Whether the folder is a checkout that needs just what the bundle holds, wherever it came from.
needs_the_same() {
    [ -x "$folder/underlay" ] || return 1
    for name in requirements.txt packages.txt; do
        [ -f "$folder/$name" ] || return 1
        tar --extract --gzip --to-stdout --file="$here/underlay.tar.gz" "$name" 2>/dev/null |
            cmp -s - "$folder/$name" || return 1
    done
}

check_folder() {
    [ -e "$folder" ] || [ -L "$folder" ] || return 0
    [ "$(sum_of_folder)" = "$own_sum" ] || needs_the_same || fail 2 \
        "$folder is there already, and needs other things than this bundle has" \
        "name another folder: ./install FOLDER"
}

# The folder appears in one step, with all files in it.
unpack_checkout() {
    [ ! -e "$folder" ] || { say "the checkout is in $folder already"; return 0; }
    say "unpacking the checkout to $folder"
    mkdir -p "$(dirname -- "$folder")"
    part=$(mktemp -d "$folder.unfinished-XXXXXX")
    printf '%s %s\n' "$own_sum" "$(manifest commit)" >"$part/.from-bundle"
    tar --extract --gzip --file="$here/underlay.tar.gz" --directory="$part" --no-same-owner ||
        fail 3 "cannot unpack the checkout to $(dirname -- "$folder")"
    chmod 755 "$part"
    mv -T "$part" "$folder"
    part=''
}

# The launcher makes .venv as ever, but from the bundle's wheels.
make_venv() {
    [ -e "$folder/.venv/stamp" ] || room_for folder "$folder" "Python's packages"
    PIP_NO_INDEX=1 PIP_FIND_LINKS=$(uri "$here/wheels") PIP_CONFIG_FILE=/dev/null \
        "$folder/underlay" --version >"$work/versions" ||
        fail 3 "Underlay could not be started" "$(quoted "$folder/underlay") doctor"
}

import_image() {
    cache=${XDG_CACHE_HOME:-$HOME/.cache} key=$(manifest image)
    [ -e "$cache/underlay/images/$key/image.json" ] || room_for cache "$cache" "the nodes' image"
    say "importing the nodes' image"
    "$folder/underlay" image import --json "$here/image.tar.zst" >"$work/image.json" ||
        fail 3 "the nodes' image could not be imported"
    grep -q '"current": true' "$work/image.json" || fail 3 \
        "nodes here boot another image than the bundle's" \
        "the kernel or busybox was changed: apt-get install --reinstall user-mode-linux busybox-static"
}

only_packages=no folder=''
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --packages) only_packages=yes ;;
        --) shift; break ;;
        -*) fail 2 "there is no option $1" "./install --help" ;;
        *) break ;;
    esac
    shift
done
[ $# -le 1 ] || fail 2 "one folder is enough: $*" "./install --help"
folder=${1:-${HOME:-/root}/underlay}
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac

trap clean_up EXIT
trap 'say interrupted; exit 130' INT TERM HUP
work=$(mktemp -d "${TMPDIR:-/tmp}/underlay-install-XXXXXX")
: >"$work/log"
check_system
check_sums
own_sum=$(sed -n 's/  underlay\.tar\.gz$//p' "$here/SHA256SUMS")
[ "$only_packages" = yes ] || check_folder
install_packages
[ "$only_packages" = no ] || { say "the packages are there"; exit 0; }
unpack_checkout
make_venv
import_image
say "Underlay is in $folder, and needs no network any more"
say "next: $(quoted "$folder/underlay") doctor; then $(quoted "$folder/underlay") demo"
