"""Shell scripts that make networks: which commands are found, and what their options say."""

from __future__ import annotations

from pathlib import Path

import pytest

from archive import unpack
from underlay.fleet import read_hosts
from underlay.fleet.carried import carry
from underlay.fleet.document import Document
from underlay.fleet.folder import read_host
from underlay.fleet.formats.script import makes_something, other_lines
from underlay.fleet.host import Host, Link
from underlay.lint.hosts import lint_hosts

CREATE = "docker network create -d macvlan --subnet 10.1.0.0/24 -o parent=eth1 lan"


def host(folder: Path, *lines: str, name: str = "up.sh") -> Host:
    (folder / name).write_text("\n".join(("#!/bin/sh", *lines, "")))
    return read_host("a", folder)


@pytest.mark.parametrize(
    "line",
    [
        CREATE,
        f"sudo {CREATE}",
        f"/usr/bin/{CREATE}",
        f"true && {CREATE} || exit 1",
        f"if ! docker network inspect lan; then {CREATE}; fi",
        "docker network create --driver=macvlan --subnet=10.1.0.0/24 --opt parent=eth1 lan",
        "docker network create lan -d macvlan --subnet 10.1.0.0/24 \\\n  -o parent=eth1",
        "podman network create -d macvlan --subnet 10.1.0.0/24 -o parent=eth1 lan",
        "podman network create -d macvlan --subnet 10.1.0.0/24 --interface-name eth1 lan",
        f"NIC=eth1\n{CREATE.replace('eth1', '$NIC')}",
        f"export NIC='eth1'\n{CREATE.replace('eth1', '${NIC}')}",
    ],
)
def test_one_network(line: str, tmp_path: Path) -> None:
    (network,) = host(tmp_path, line).networks
    assert (network.name, network.driver, network.parent) == ("lan", "macvlan", "eth1")
    assert [str(pool.subnet) for pool in network.pools] == ["10.1.0.0/24"]
    assert network.runtime == ("podman" if "podman" in line else "docker")


@pytest.mark.parametrize(
    "text",
    [
        "docker network ls", "echo network create", "docker network rm lan", "docker-compose up",
        "#docker network",
    ],
)  # fmt: skip
def test_nothing_is_made(text: str) -> None:
    assert not makes_something(text)


def test_a_comment_and_a_quote_that_stays_open(tmp_path: Path) -> None:
    found = host(tmp_path, f"# {CREATE}", CREATE, f'{CREATE} "', name="x.sh")
    assert len(found.networks) == 1
    assert found.networks[0].spot().line == 3


def test_containers_with_their_networks(tmp_path: Path) -> None:
    found = host(
        tmp_path,
        "docker run -d --name web --network lan --ip 10.1.0.5 -p 80:80 nginx",
        "podman run --net=lan:ip=10.1.0.6,mac=02:00:00:00:00:01 --name=db postgres",
        "docker run --rm alpine true",
    )
    web, db, plain = found.containers
    assert [name for name, _, _ in web.networks] == ["lan"]
    assert [str(a) for a in web.networks[0][1]] == ["10.1.0.5"]
    assert (db.name, db.runtime, str(db.networks[0][1][0])) == ("db", "podman", "10.1.0.6")
    assert (plain.name, plain.networks) == ("line-4", (("bridge", (), ""),))


def test_lint_judges_a_script_s_network(tmp_path: Path) -> None:
    found = lint_hosts((host(tmp_path, CREATE.replace("parent=eth1", "parnt=eth1")),))
    assert {finding.id for finding in found} == {"docker-option-unknown", "docker-parent-missing"}
    assert {finding.line for finding in found} == {2}


def test_nothing_is_run(tmp_path: Path) -> None:
    host(tmp_path, f"touch {tmp_path}/ran", f"{CREATE} $(touch {tmp_path}/ran)")
    assert not (tmp_path / "ran").exists()


SHIM = """\
#!/bin/sh
NIC=eno1
SHIM=mynet-shim
docker network create -d macvlan -o parent=$NIC --subnet 192.168.1.0/24 \\
  --gateway 192.168.1.1 --ip-range 192.168.1.192/27 --aux-address host=192.168.1.223 mynet
sudo ip link add $SHIM link $NIC type macvlan mode bridge
ip addr add 192.168.1.223 dev $SHIM && ip link set dev $SHIM up mtu 1400
ip -4 route add 192.168.1.192/27 dev $SHIM
ip link add link eth1 name foo type vlan id 40
ip r a default via 192.168.1.1 dev eno1
# ip link add nothing link eno1 type macvlan
echo ip link delete $SHIM
"""


def _links(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Link]:
    monkeypatch.chdir(tmp_path)
    (host,) = read_hosts(unpack({"one/net.sh": text}, tmp_path))
    return {link.name: link for link in host.links}


def test_interfaces_that_ip_makes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links = _links(SHIM, tmp_path, monkeypatch)
    assert list(links) == ["mynet-shim", "foo", "eno1", "eth1"]
    shim, vlan, nic = links["mynet-shim"], links["foo"], links["eno1"]
    assert (shim.kind, shim.lower, shim.mode, shim.mtu) == ("macvlan", "eno1", "bridge", 1400)
    assert [str(interface) for interface, _ in shim.addresses] == ["192.168.1.223/32"]
    assert [str(to) for to in shim.routes] == ["192.168.1.192/27"]
    assert (vlan.kind, vlan.lower, vlan.vlan) == ("vlan", "eth1", 40)
    assert [str(one.gateway) for one in nic.defaults] == ["192.168.1.1"]
    assert shim.spot.line == 6


def test_a_script_that_makes_a_shim_alone_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    links = _links("ip link add s link lan0 type macvlan\n", tmp_path, monkeypatch)
    # Without a word the kernel takes vepa, in which it hears no sibling.
    assert links["s"].mode == "vepa"


def test_other_lines_of_ip_are_no_interface(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "docker network create -d macvlan --subnet 10.1.0.0/24 -o parent=eth1 n\n"
    text += "ip link show\nip addr flush dev eth1\nip route del default\nip\nip link add\n"
    assert _links(text, tmp_path, monkeypatch) == {}


def test_a_shim_of_a_script_is_a_labs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    hosts = read_hosts(unpack({"one/net.sh": SHIM}, tmp_path))
    lab = carry(hosts, {}, "lab").lab
    assert lab["networks"]["mynet"]["shim"] == {
        "name": "mynet-shim",
        "addresses": {"one": "192.168.1.223/32"},
        "routes": ["192.168.1.192/27"],
    }
    unheard = read_hosts(unpack({"one/net.sh": SHIM.replace(" mode bridge", "")}, tmp_path))
    carried = carry(unheard, {}, "lab")
    assert "shim" not in carried.lab["networks"]["mynet"]
    assert any("in mode vepa" in one.what for one in carried.left_out)
    assert [finding.id for finding in lint_hosts(unheard)] == ["shim-mode"]


def test_each_host_has_the_routes_that_its_script_gives_its_shim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    one = SHIM.replace("--ip-range 192.168.1.192/27", "--ip-range 192.168.1.192/28")
    other = SHIM.replace(".1.223", ".1.222").replace(".1.192/27", ".1.208/28")
    hosts = read_hosts(unpack({"one/net.sh": one, "two/net.sh": other}, tmp_path))
    shims = [network.get("shim") for network in carry(hosts, {}, "x").lab["networks"].values()]
    assert shims == [
        {
            "name": "mynet-shim",
            "addresses": {"one": "192.168.1.223/32", "two": "192.168.1.222/32"},
            "routes": {"one": ["192.168.1.192/27"], "two": ["192.168.1.208/28"]},
        }
    ]


def test_lines_that_may_do_more_are_told_each() -> None:
    text = (
        "#!/bin/sh\nset -eu\n# a comment\nA=1 B=2\nexport C=3\necho hello && exit 0\n"
        "sudo docker network create -d macvlan -o parent=eth1 --subnet 10.1.0.0/24 lan || true\n"
        "ip link add s link eth1 type macvlan mode bridge && ip addr add 10.1.0.9/32 dev s\n"
        "docker network rm lan; docker pull nginx\n/usr/bin/podman rm -f web\n"
        "ip rule add from 10.1.0.0/24 table 7\nip link set eth1 promisc on\n"
        "docker exec web ip route\nsudo iptables -P FORWARD ACCEPT && docker run nginx\n"
    )
    document = Document("x.sh", text)
    assert list(other_lines(document)) == [
        (11, "ip rule add from 10.1.0.0/24 table 7"),
        (12, "ip link set eth1 promisc on"),
        (13, "docker exec web ip route"),
        (14, "sudo iptables -P FORWARD ACCEPT && docke…"),
    ]


def test_options_that_may_change_packets_are_told(tmp_path: Path) -> None:
    run = "docker run --net lan --privileged --sysctl net.ipv4.ip_forward=1 --dns 9.9.9.9 nginx"
    carried = carry([host(tmp_path, CREATE, run)], {}, "x")
    assert [(one.what, one.spot.line) for one in carried.left_out] == [
        ("--privileged", 3),
        ("--sysctl", 3),
    ]


@pytest.mark.parametrize(
    ("option", "address", "mac"),
    [
        ("--network lan --ip 10.1.0.9 --mac-address 02:00:00:00:00:01", "10.1.0.9",
         "02:00:00:00:00:01"),
        ("--network name=lan,ip=10.1.0.9,mac-address=02:00:00:00:00:01", "10.1.0.9",
         "02:00:00:00:00:01"),
        ("--network=lan:ip=10.1.0.9,mac=02:00:00:00:00:01", "10.1.0.9", "02:00:00:00:00:01"),
        ("--net lan", "", ""),
    ],
)  # fmt: skip
def test_addresses_of_a_container_s_networks(
    option: str, address: str, mac: str, tmp_path: Path
) -> None:
    (container,) = host(tmp_path, CREATE, f"docker run -d {option} nginx").containers
    ((network, addresses, found),) = container.networks
    assert (network, "".join(map(str, addresses)), found) == ("lan", address, mac)


def test_a_network_that_is_connected_later_counts_as_well(tmp_path: Path) -> None:
    other = CREATE.replace("10.1.", "10.2.").replace("eth1 lan", "eth2 far")
    one = host(
        tmp_path, CREATE, other, "docker run -d --name web --net lan nginx",
        "docker network connect --alias www --ip 10.2.0.9 far web",
        "docker network connect --ip=10.2.0.9 far gone",
    )  # fmt: skip
    (web,) = one.containers
    assert [network for network, _, _ in web.networks] == ["lan", "far"]
    (container,) = carry([one], {}, "x").lab["containers"]
    assert (container["networks"], container["addresses"]) == (["lan", "far"], {"far": "10.2.0.9"})


def test_two_containers_of_scripts_with_one_address_are_named(tmp_path: Path) -> None:
    run = "docker run -d --net lan --ip 10.1.0.9 --name"
    findings = lint_hosts((host(tmp_path, CREATE, f"{run} a nginx", f"{run} b nginx"),))
    assert ("address-twice", 4) in [(one.id, one.line) for one in findings]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("--ip 10.1.0.3$i", "--ip 10.1.0.3$i of web"),
        ('--ip "${WEB_IP}"', "--ip ${WEB_IP} of web"),
        ("--ip 10.1.0.300", "--ip 10.1.0.300 of web"),
        ("--ip 10.1.0.30", ""),
        ("--ip6 fd00::9", ""),
        ("", ""),
    ],
)
def test_an_address_that_is_none_as_it_stands_is_said(
    given: str, told: str, tmp_path: Path
) -> None:
    read = host(tmp_path, CREATE, f"docker run --network lan {given} --name web nginx")
    carried = carry((read,), {}, "lab", real=True)
    assert [one.what for one in carried.left_out if "--ip" in one.what] == ([told] if told else [])
    found = [one.line for one in lint_hosts((read,)) if one.id == "script-address-unread"]
    assert found == ([3] if told else [])


def test_commands_of_user_data_are_read_as_a_script(tmp_path: Path) -> None:
    text = (
        "#cloud-config\nruncmd:\n  - [sysctl, -w, a=1]\n"
        f"  - {CREATE}\n"
        "  - |\n    for i in a b; do\n      docker run -d --name $i --network lan x\n    done\n"
        "  - [docker, run, -d, --name, c d, --network, lan, x]\n"
    )
    (tmp_path / "user-data").write_text(text)
    found = read_host("a", tmp_path)
    assert [(one.name, one.spot().line) for one in found.networks] == [("lan", 4)]
    assert [(one.name, one.spot.line) for one in found.containers] == [
        ("a", 7), ("b", 7), ("c d", 9)
    ]  # fmt: skip


def test_commands_of_user_data_that_make_nothing_are_none(tmp_path: Path) -> None:
    (tmp_path / "user-data").write_text("#cloud-config\nruncmd: [[sysctl, -w, a=1], echo x, 3]\n")
    assert [one.kind for one in read_host("a", tmp_path).documents] == ["cloud_config"]
