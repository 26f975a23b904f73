"""libvirt for an ordinary user in the group libvirt: no root, no sudo, a home of its own."""

from __future__ import annotations

import grp
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cluster.commands import Done, run
from cluster.own_libvirt import OwnLibvirt, own_libvirt
from cluster.running import NOT_COPIED, Checkout
from underlay.storage import paths

pytestmark = [
    pytest.mark.all,
    pytest.mark.skipif(os.geteuid() != 0, reason="it takes root to become another user"),
]

USER = "nobody"
UP_DEADLINE = 600.0
NOT_ALLOWED = "it takes root or the group libvirt: starting one of the lab's own"


@dataclass(frozen=True)
class Member:
    """A user whose only privilege is the group; ``home`` holds a checkout and a cache."""

    home: Path
    daemon: OwnLibvirt

    def underlay(self, *words: str, deadline: float = 120, groups: str = "libvirt") -> Done:
        """Run the user's own ``underlay`` with ``words`` where the libvirtd is."""
        checkout = self.home / "underlay"
        command = self.daemon.enter(checkout, *self.command(*words, groups=groups))
        return run(command, folder=checkout, deadline=deadline)

    def first_use(self) -> Done:
        """Have the user's own environment made; pip needs the network, so out here."""
        return run(self.command("--version"), folder=self.home / "underlay", deadline=300)

    def command(self, *words: str, groups: str = "nogroup") -> list[str]:
        """Return the argument list by which the user runs ``underlay``."""
        return [
            "setpriv", f"--reuid={USER}", "--regid=nogroup", "--inh-caps=-all", "--no-new-privs",
            f"--groups={groups}",
            "env", f"HOME={self.home}", f"USER={USER}", f"XDG_CACHE_HOME={self.home / 'cache'}",
            str(self.home / "underlay" / "underlay"), *words,
        ]  # fmt: skip


@pytest.fixture
def member(here: Checkout) -> Iterator[Member]:
    """Return the user, with a fresh checkout and the image already in the user's cache."""
    home = Path(tempfile.mkdtemp(prefix="underlay-member-", dir="/var/tmp"))
    try:
        ignore = shutil.ignore_patterns(*NOT_COPIED)
        shutil.copytree(here.root, home / "underlay", ignore=ignore, symlinks=True)
        cache = home / "cache" / "underlay"
        cache.mkdir(parents=True)
        done = run(
            ["cp", "-a", "--sparse=always", str(paths.cache() / "images"), str(cache)],
            folder=home,
            deadline=120,
        )
        assert done.code == 0, str(done)
        done = run(["chown", "-R", f"{USER}:nogroup", str(home)], folder=home, deadline=60)
        assert done.code == 0, str(done)
        home.chmod(0o711)
        with own_libvirt() as daemon:
            yield Member(home, daemon)
    finally:
        shutil.rmtree(home)


def test_the_group_is_enough_and_without_it_the_lab_has_its_own(member: Member) -> None:
    assert grp.getgrnam("libvirt")
    done = member.first_use()
    assert done.code == 0, str(done)
    up = ("up", "coreos", "--provider", "libvirt")
    done = member.underlay(*up, groups="nogroup", deadline=UP_DEADLINE)
    assert done.code == 0, str(done)
    try:
        assert NOT_ALLOWED in done.err, str(done)
    finally:
        done = member.underlay("down", groups="nogroup", deadline=UP_DEADLINE)
    assert done.code == 0, str(done)
    done = member.underlay(*up, deadline=UP_DEADLINE)
    assert done.code == 0, str(done)
    try:
        assert NOT_ALLOWED not in done.err, str(done)
        done = member.underlay("check", "--json")
        assert done.code == 0, str(done)
        summary = done.document()["summary"]
        assert summary["cells"] == summary["as_expected"] > 600, summary
    finally:
        done = member.underlay("down", deadline=UP_DEADLINE)
    assert done.code == 0, str(done)
    assert not (member.home / "underlay" / ".underlay").exists()
