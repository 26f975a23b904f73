"""Rules about hosts that no mistake in a single file shows: what they find and what they do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from archive import unpack
from underlay.fleet import read_hosts
from underlay.lint.hosts import lint_hosts

NIC = "[Match]\nName=lan0\n[Network]\nAddress=192.168.70.{0}/24\nMACVLAN=sh0\n"
NETDEV = "[NetDev]\nName=sh0\nKind=macvlan\n"
SHIM = "[Match]\nName=sh0\n[Network]\nAddress=192.168.70.2{0}/32\n"
CONTAINER = "[Container]\nImage=a\nNetwork=lan.network\n"
INSTALL = "[Install]\nWantedBy=multi-user.target\n"
MAKE = "docker network create -d macvlan --subnet 192.168.70.0/24 --gateway 192.168.70.1 {0}"
LAN = MAKE.format("--ip-range 192.168.70.{0}/28 -o parent=lan0 lan") + "\n"


def said(files: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the rules that find something in ``files``."""
    monkeypatch.chdir(folder)
    return [finding.id for finding in lint_hosts(read_hosts(unpack(files, folder)))]


def _shims(mode: str) -> dict[str, str]:
    found = {}
    for number, host in enumerate(("one", "two"), 1):
        found[f"{host}/etc/systemd/network/10-lan0.network"] = NIC.format(number + 10)
        found[f"{host}/etc/systemd/network/20-sh0.netdev"] = NETDEV + mode
        found[f"{host}/etc/systemd/network/20-sh0.network"] = SHIM.format(number)
        found[f"{host}/srv/net.sh"] = LAN.format(16 * (number + 3))
    return found


def test_a_shim_in_mode_bridge_is_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(_shims("[MACVLAN]\nMode=bridge\n"), tmp_path, monkeypatch) == []


@pytest.mark.parametrize("mode", ["", "[MACVLAN]\nMode=private\n", "[MACVLAN]\nMode=vepa\n"])
def test_a_shim_in_another_mode_hears_no_container(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert said(_shims(mode), tmp_path, monkeypatch) == ["shim-mode", "shim-mode"]


def _units(*installed: str) -> dict[str, str]:
    network = "[Network]\nNetworkName=lan\nSubnet=10.1.0.0/24\n"
    folder = "one/etc/containers/systemd"
    return {
        f"{folder}/lan.network": network,
        **{
            f"{folder}/{name}.container": CONTAINER + (INSTALL if name in installed else "")
            for name in ("a", "b", "c")
        },
    }


def test_a_container_that_nothing_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert said(_units("a", "b"), tmp_path, monkeypatch) == ["quadlet-not-started"]


@pytest.mark.parametrize(("installed", "count"), [(("a", "b", "c"), 0), (("a",), 2), ((), 3)])
def test_each_container_that_nothing_starts_is_said(
    installed: tuple[str, ...], count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = _units(*installed)
    assert said(files, tmp_path, monkeypatch) == ["quadlet-not-started"] * count
    (host,) = read_hosts(unpack(files, tmp_path))
    idle = {one.name for one in host.containers if one.idle}
    assert idle == {f"systemd-{name}" for name in ("a", "b", "c") if name not in installed}


@pytest.mark.parametrize(
    ("file", "more"),
    [
        ("srv/up.sh", "#!/bin/sh\ndocker network create x\nsystemctl start a c b.service\n"),
        ("user-data", "#cloud-config\nwrite_files: []\nruncmd: [[systemctl, start, a, b, c]]\n"),
        ("etc/containers/systemd/d.pod", "[Pod]\nPodName=d\n[Install]\nWantedBy=default.target\n"
         "[Unit]\nWants=a.service b.container\nUpholds=c.service\n"),
    ],
)  # fmt: skip
def test_what_a_file_of_the_host_starts_is_started(
    file: str, more: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = said({**_units(), f"one/{file}": more}, tmp_path, monkeypatch)
    assert "quadlet-not-started" not in found


def test_a_pod_starts_what_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = _units("a", "b", "c")
    folder = "one/etc/containers/systemd"
    files[f"{folder}/apps.pod"] = "[Pod]\nPodName=apps\nNetwork=lan.network\n"
    files[f"{folder}/app.container"] = "[Container]\nImage=x\nPod=apps.pod\n"
    assert said(files, tmp_path, monkeypatch) == ["quadlet-not-started"]
    # A member that is started has its pod started.
    files[f"{folder}/app.container"] += INSTALL
    assert said(files, tmp_path, monkeypatch) == []


def test_a_container_that_another_one_wants(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = _units("a", "b")
    files["one/etc/containers/systemd/a.container"] += "[Unit]\nWants=c.service\n"
    assert said(files, tmp_path, monkeypatch) == []


MACVLAN = (
    "services: {{}}\nnetworks: {{lan: {{name: lan, driver: {0}, driver_opts: {{parent: lan0}}}}}}\n"
)
OUTSIDE = "services: {a: {image: a, networks: [out]}}\nnetworks: {out: {external: true}}\n"


@pytest.mark.parametrize(
    ("driver", "found"),
    # A folder in which no network of Docker's is on a parent leaves out more than one.
    [("macvlan", 1), ("bridge", 0)],
)
def test_a_network_that_somebody_else_makes(
    driver: str, found: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"one/a/compose.yml": MACVLAN.format(driver), "one/b/compose.yml": OUTSIDE}
    assert said(files, tmp_path, monkeypatch).count("network-unmade") == found
    made = OUTSIDE.replace("external: true", "external: true, name: lan")
    files["one/b/compose.yml"] = made
    assert "network-unmade" not in said(files, tmp_path, monkeypatch)
