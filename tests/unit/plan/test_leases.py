"""Who gives containers their addresses: ranges, CNI's plugins, DHCP leases, advertisements."""

from __future__ import annotations

from ipaddress import IPv6Network
from pathlib import Path

import pytest
from underlay_node import cni, iproute2, leases, podman, settling
from underlay_node.commands import Failed

from underlay.cluster.providers.uml import wiring
from underlay.lint.read import read_lab
from underlay.plan import Plan, make_plan
from underlay.plan.addresses import own_made

LABS = Path(__file__).resolve().parents[3] / "labs"


def plan_of(name: str) -> Plan:
    return make_plan(read_lab(LABS / f"{name}.yml"))


def test_an_interface_makes_its_address_of_the_prefix_and_its_mac() -> None:
    # RFC 4291, appendix A, has this MAC address's interface identifier.
    subnet = IPv6Network("2001:db8::/64")
    assert str(own_made(subnet, "34:56:78:9a:bc:de")) == "2001:db8::3656:78ff:fe9a:bcde"
    assert str(own_made(subnet, "02:75:10:01:00:01")) == "2001:db8::75:10ff:fe01:1"


def test_a_range_is_sliced_instead_of_its_subnet() -> None:
    network = plan_of("cni-ipam").network("listed")
    assert [piece.cidr for piece in network.slices.values()] == ["10.1.1.80/28", "10.1.1.96/28"]


def test_the_server_leases_what_the_plan_says() -> None:
    plan = plan_of("cni-ipam")
    lines = plan.host("server").services.splitlines()
    assert "dhcp-range=set:leased,10.1.3.0,static,255.255.255.0,1h" in lines
    # No value: a client that is told of no router gets no default route from its lease.
    assert "dhcp-option=tag:leased,option:router" in lines
    leased = {
        f"dhcp-host={attachment.mac},{attachment.address.partition('/')[0]}"
        for container in plan.containers
        for attachment in container.attachments
        if attachment.network == "leased"
    }
    assert {line for line in lines if line.startswith("dhcp-host=")} == leased
    assert len(leased) == 4
    assert "enable-ra" not in lines


def test_the_router_advertises_what_containers_make_addresses_of() -> None:
    lines = plan_of("slaac").host("router").services.splitlines()
    assert lines.count("enable-ra") == 1
    assert "dhcp-range=fd00:1::,ra-only,64" in lines
    assert "dhcp-range=fd00:2::,ra-only,64" in lines
    assert "ra-param=*,4,0" in lines
    assert not any(line.startswith("dhcp-host") for line in lines)


def test_only_hosts_that_serve_get_a_server() -> None:
    def served(name: str) -> list[str]:
        made = wiring.setup(plan_of(name))
        return [text for command, text in made if any("dnsmasq" in word for word in command)]

    assert served("cni-ipam") == [plan_of("cni-ipam").host("server").services]
    assert served("external-server") == []


def test_a_container_by_cni_asks_for_its_address_as_the_plugin_takes_it() -> None:
    one = {"name": "web"}
    own = {
        "network": "net",
        "interface": "eth0",
        "address": "10.1.1.65/24",
        "address6": "fd00::65/64",
        "mac": "02:75:10:01:00:01",
    }

    def words(**network: object) -> list[str]:
        return cni.parameters(one, own, {"name": "net", "own_mac": True, **network})[4:]

    mac = "MAC=02:75:10:01:00:01"
    assert words() == ["IPS=10.1.1.65/24,fd00::65/64", mac]
    assert words(slaac=True) == ["IP=10.1.1.65", mac]
    assert words(ipam="static", slaac=True) == ["IPS=10.1.1.65/24", mac]
    assert words(ipam="dhcp", slaac=True) == [mac]


def test_an_advertised_address_is_waited_for_and_never_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = {"network": "net", "interface": "eth0", "address": "10.1.1.65/24"}
    own |= {"address6": "fd00::65/64", "mac": "02:75:10:01:00:01"}
    net = {"driver": "macvlan", "mode": "bridge", "slaac": True}
    assert not any("fd00" in line for line in iproute2.configuration(own, net))
    assert any("fd00" in line for line in iproute2.configuration(own, {**net, "slaac": False}))
    entry = {"local": "fd00::65", "prefixlen": 64}
    answers = [[], [{"addr_info": [{**entry, "tentative": True}]}], [{"addr_info": [entry]}]]
    monkeypatch.setattr(settling, "show", lambda *_: answers.pop(0))
    settling.wait({"name": "web", "attachments": [own]}, {"net": net})
    assert answers == []
    monkeypatch.setattr(settling, "show", lambda *_: [])
    monkeypatch.setattr(settling, "DEADLINE", 0.0)
    with pytest.raises(Failed, match="no router advertises"):
        settling.wait({"name": "web", "attachments": [own]}, {"net": net})
    settling.wait({"name": "web", "attachments": [own]}, {"net": {**net, "slaac": False}})


UNIX = """\
Num       RefCount Protocol Flags    Type St Inode Path
0000: 00000002 00000000 00010000 0001 01 901 /run/podman/nv-proxy.sock
0000: 00000003 00000000 00000000 0001 03 902
"""


def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str) -> list[list[str]]:
    """Let the node's sockets be those of ``text``; return what podman's part runs from now on."""
    ran: list[list[str]] = []
    (tmp_path / "unix").write_text(text)
    monkeypatch.setattr(podman, "UNIX_SOCKETS", str(tmp_path / "unix"))
    monkeypatch.setattr(podman, "SETTINGS", str(tmp_path / "containers.conf"))
    monkeypatch.setenv("CONTAINERS_CONF_OVERRIDE", "")
    monkeypatch.setattr(podman, "run", lambda words, *_, **__: ran.append(words) or "image")
    return ran


LEASED = {"name": "leased", "runtime": "podman", "ipam": "dhcp", "own_mac": True, "mode": "bridge"}
LEASED |= {"default_route": "none", "pools": []}


def test_the_proxy_is_started_before_the_containers_that_need_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    closed = UNIX.replace("00010000", "00000000")
    ran = served(monkeypatch, tmp_path, closed)
    podman.prepare([LEASED])
    assert [words[:2] for words in ran[:2]] == [["systemctl", "unmask"], ["systemctl", "start"]]
    assert ran[1][2] == "netavark-dhcp-proxy.socket"
    assert podman.unserved([LEASED]) == [
        "podman: nobody listens at /run/podman/nv-proxy.sock:"
        " systemctl start netavark-dhcp-proxy.socket"
    ]
    ran = served(monkeypatch, tmp_path, UNIX)
    podman.prepare([LEASED])
    assert ran[0][0] == "podman"
    assert podman.unserved([LEASED]) == []


def test_no_proxy_is_needed_for_anything_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran = served(monkeypatch, tmp_path, UNIX.splitlines()[0])
    for other in ({"runtime": "cni"}, {"ipam": ""}, {"ipam": "none"}):
        podman.prepare([LEASED | other])
        assert podman.unserved([LEASED | other]) == []
    assert {words[0] for words in ran} == {"podman"}


def test_podman_is_told_the_mac_address_and_not_what_is_leased() -> None:
    own = {"network": "leased", "interface": "eth0", "address": "10.1.1.65/24"}
    own["mac"] = "02:75:10:01:00:01"
    assert podman.endpoint(own, LEASED) == "leased:mac=02:75:10:01:00:01,interface_name=eth0"


def test_another_lease_than_the_planned_one_ends_the_container(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran = served(monkeypatch, tmp_path, UNIX)
    rows = [{"addr_info": [{"local": "10.1.1.99", "prefixlen": 24}]}]
    monkeypatch.setattr(leases, "show", lambda words, enter: rows)
    monkeypatch.setattr(podman, "enter", lambda name: ["nsenter", name])
    monkeypatch.setattr(podman, "batch", lambda lines, enter: None)
    own = {"network": "leased", "interface": "eth0", "address": "10.1.1.65/24", "mac": "02:75::"}
    container = {"name": "web", "attachments": [own]}
    with pytest.raises(Failed, match=r"eth0 was leased 10.1.1.99/24, and 10.1.1.65/24 is the"):
        podman.start(container, {"leased": LEASED})
    assert "rm" in ran[-1]
    own["address"] = "10.1.1.99/24"
    podman.start(container, {"leased": LEASED})
    # The lease's own default route has a metric, and would stay beside the plan's.
    assert ran[-1] == ["nsenter", "web", "ip", "-4", "route", "flush", "exact", "default"]


def test_silence_of_the_server_is_said_in_plain_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    served(monkeypatch, tmp_path, UNIX)

    def run(words: list[str], *_: object, **__: object) -> str:
        if "run" in words:
            raise Failed(f'podman: exit 126: Error: netavark: {podman.NO_ANSWER}: Timeout"')
        return ""

    monkeypatch.setattr(podman, "run", run)
    own = {"network": "leased", "interface": "eth0", "address": "10.1.1.65/24", "mac": "02:75::"}
    container = {"name": "web", "attachments": [own]}
    with pytest.raises(Failed, match=r"^no DHCP server answers on eth1\.70: podman: exit 126"):
        podman.start(container, {"leased": {**LEASED, "parent": "eth1.70"}})
