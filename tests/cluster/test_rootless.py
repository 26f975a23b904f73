"""The whole path as an ordinary user, without sudo: up, check, status, down.

The user, the open /dev/net/tun and the image in that user's cache are there in a mount
namespace of the test's own; this machine's own files are left as they are.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from cluster.commands import Done, run
from cluster.left_behind import interfaces, prove_nothing_is_left
from cluster.running import UP_DEADLINE, Checkout
from underlay.storage import paths

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="whoever runs the tests is an ordinary user already"
)

UID = 54321
NAME = "somebody"
SMALL = """\
name: modest
nodes: {count: 2, profile: lean}
segments:
  lan: {subnet: 192.168.70.0/24}
networks:
  lannet: {driver: macvlan, segment: lan, subnet: 20.1.1.0/24, runtime: cni}
  ipnet: {driver: ipvlan, segment: lan, vlan: 80, subnet: 30.1.1.0/24, runtime: iproute2}
containers:
  - {on: all, count: 2, networks: [lannet]}
  - {on: all, count: 2, networks: [ipnet]}
"""
# $1 is the user's home, $2 the images of whoever runs the tests, $3 the virtual environment that
# both share and $4 a folder above it that is closed to others, if any; $5 is the line of subuid(5)
# and subgid(5) that grants ids, if any, which is a setuid program's work; then comes the command.
SCRIPT = f"""
home=$1 images=$2 environment=$3 closed=$4 granted=$5
shift 5
mkdir -p "$home/.cache/underlay/images"
mount --bind "$images" "$home/.cache/underlay/images"
chown {UID}:{UID} "$home" "$home/.cache" "$home/.cache/underlay"
if [ "$closed" ]; then
    mkdir -p "$home/.shared"
    mount --bind "$environment" "$home/.shared"
    mount -t tmpfs -o mode=755 none "$closed"
    mkdir -p "$environment"
    mount --move "$home/.shared" "$environment"
fi
mount -t tmpfs -o mode=755 none /dev/net
mknod /dev/net/tun c 10 200
chmod 666 /dev/net/tun
{{ cat /etc/passwd; echo "{NAME}:x:{UID}:{UID}::$home:/bin/sh"; }} >/dev/net/passwd
mount --bind /dev/net/passwd /etc/passwd
for file in subuid subgid; do
    printf '%s\\n' "$granted" >/dev/net/$file
    [ ! -e /etc/$file ] || mount --bind /dev/net/$file /etc/$file
done
never=--no-new-privs
[ -z "$granted" ] || never=
cd "$home"
exec setpriv --reuid={UID} --regid={UID} --clear-groups $never \\
    env -i HOME="$home" USER={NAME} PATH=/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 "$@"
"""


@dataclass(frozen=True)
class Somebody:
    """An ordinary user with a checkout of their own."""

    home: Path
    checkout: Checkout
    granted: str = ""

    def __call__(self, *words: str) -> Done:
        return self.start(str(self.checkout.root / "underlay"), *words)

    def start(self, *command: str) -> Done:
        """Run ``command`` as this user; return what it did."""
        images = str(paths.cache() / "images")
        inside = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", SCRIPT, "sh"]
        environment = paths.root() / ".venv"
        shared = [str(environment), closed_above(environment), self.granted]
        arguments = [*inside, str(self.home), images, *shared, *command]
        return run(arguments, folder=self.home, deadline=UP_DEADLINE)


def closed_above(folder: Path) -> str:
    """Return the topmost folder above ``folder`` that other users can't enter; empty if none."""
    above = reversed(folder.resolve().parents)
    return next((str(each) for each in above if not each.stat().st_mode & 0o001), "")


@pytest.fixture
def somebody(here: Checkout) -> Iterator[Somebody]:
    # Not pytest's own folder, which is closed to other users.
    with tempfile.TemporaryDirectory(prefix="underlay-somebody-", dir="/tmp") as name:
        home = Path(name)
        home.chmod(0o755)
        checkout = here.copied(home / "underlay")
        for folder, _, files in os.walk(checkout.root):
            for path in (folder, *(os.path.join(folder, file) for file in files)):
                os.lchown(path, UID, UID)
        user = Somebody(home, checkout)
        yield user
        user("down", "--all")


def prove_the_path(somebody: Somebody, lab: str) -> None:
    before = interfaces()
    assert somebody("ssh", "core-01").code == 2
    at_switch = ("exec", "switch", "--")
    for words in (
        ("up", lab),
        ("check",),
        ("exec", "core-01", "--", "true"),
        # Debian keeps these where an ordinary user's PATH doesn't lead.
        (*at_switch, "bridge", "link"),
        (*at_switch, "tc", "qdisc"),
        (*at_switch, "nft", "list", "ruleset"),
        ("break", "cable-cut", "--node", "core-01"),
        ("mend",),
        ("down",),
    ):
        done = somebody(*words)
        assert done.code == 0, str(done)
    prove_nothing_is_left(somebody.checkout, before)
    done = somebody("down", "--all")
    assert done.code == 0, str(done)


def test_an_ordinary_user_runs_a_small_lab(somebody: Somebody) -> None:
    file = somebody.home / "modest.yml"
    file.write_text(SMALL)
    prove_the_path(somebody, str(file))


@pytest.mark.all
def test_an_ordinary_user_runs_the_default_lab(somebody: Somebody) -> None:
    prove_the_path(somebody, "coreos")


def test_it_really_is_an_ordinary_user(somebody: Somebody) -> None:
    """The twin: what only root may do fails in the same place."""
    script = "test -r /etc/shadow || exit 7"
    program = somebody.checkout.root / "underlay"
    program.unlink()
    program.write_text(f"#!/bin/sh\nset -e\n[ $(id -u) = {UID} ]\n{script}\n")
    program.chmod(0o755)
    assert somebody().code == 7


# A host's own configuration, whose one file belongs to the node's user.
CONFIG = """{"ignition": {"version": "3.3.0"}, "storage": {"files": [{"path": "/etc/motd",
"mode": 416, "user": {"name": "core"}, "contents": {"source": "data:,mine"}}]}}"""
APPLY = """
import sys, tarfile
from pathlib import Path
from underlay.cluster import ignition
from underlay.errors import UnderlayError

ours, tree = Path("ours.ign"), Path("tree.tar")
ours.write_text('{"ignition": {"version": "3.3.0"}}')
accounts = {"etc/passwd": "core:x:1000:1000::/:/bin/sh\\n", "etc/group": "core:x:1000:\\n"}
try:
    ignition.apply(ours, tree, {"hosts/core-01/config.ign": sys.argv[1]}, accounts)
except UnderlayError as error:
    sys.exit(f"{error.message}\\n{error.hint}")
with tarfile.open(tree) as tar:
    print(tar.getmember("./etc/motd").uid)
"""


def test_owners_of_hosts_files_need_ids_to_hand_out(somebody: Somebody) -> None:
    """Ignition gives files to whom they say; whoever has no ids is told how to get them."""
    python = str(somebody.checkout.root / ".venv" / "bin" / "python")
    path = f"PYTHONPATH={somebody.checkout.root / 'src'}"
    command = ("env", path, python, "-P", "-c", APPLY, CONFIG)
    done = somebody.start(*command)
    assert done.code == 1, str(done)
    assert f"{NAME} has none in /etc/subuid and /etc/subgid" in done.err
    assert (
        f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {NAME}" in done.err
    )
    assert f"a line {NAME}:100000:65536" in done.err
    done = replace(somebody, granted=f"{NAME}:10000:20000").start(*command)
    assert done.code == 0, str(done)
    assert done.out == "1000\n"
