"""The verb `import`: what it writes, what it refuses, and what it leaves alone."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from underlay.cli import main
from underlay.fleet import read_hosts
from underlay.fleet.carried import carry
from underlay.lint import load

NIC = "[Match]\nName={nic}\n\n[Network]\nAddress={address}\n"


COMPOSE = """\
services:
  web:
    image: x
    ports: ["80:80"]
    environment: {A: b}
    networks: [lan]
networks:
  lan:
    driver: macvlan
    driver_opts: {parent: eth1}
    labels: {a: b}
    ipam: {config: [{subnet: 10.2.0.0/24, ip_range: 10.2.0.32/27, gateway: 10.2.0.1}]}
"""


def net(**said: object) -> dict[str, object]:
    ipam = {"type": "host-local", "subnet": "10.1.1.0/24", **said.pop("ipam", {})}  # type: ignore[dict-item]
    return {"cniVersion": "1.0.0", "name": "lannet", "type": "macvlan", "master": "eth1",
            "ipam": ipam, **said}  # fmt: skip


def ranged(first: int, **said: object) -> dict[str, object]:
    return net(ipam={"rangeStart": f"10.1.1.{first}", "rangeEnd": f"10.1.1.{first + 9}"}, **said)


def put(host: str, content: object, address: str = "", nic: str = "eth1") -> None:
    folder = Path(host)
    (folder / "net.d").mkdir(parents=True, exist_ok=True)
    if content is not None:
        (folder / "net.d/20-lannet.conf").write_text(json.dumps(content, indent=1))
    if address:
        (folder / f"{nic}.network").write_text(NIC.format(nic=nic, address=address))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def refused(capfd: pytest.CaptureFixture[str], *arguments: str, code: int = 2) -> str:
    assert main(["import", *arguments, "-o", "lab.yml"]) == code
    assert not Path("lab.yml").exists()
    return capfd.readouterr().err


def test_hosts_that_agree_are_a_lab(capfd: pytest.CaptureFixture[str]) -> None:
    put("a", ranged(20), "192.168.70.11/24")
    put("b", ranged(40), "192.168.70.12/24")
    assert main(["import", "a", "b", "-o", "lab.yml", "--strict"]) == 0
    lab = load(Path("lab.yml"))
    assert not lab.findings
    assert [node.name for node in lab.plan.nodes] == ["a", "b"]
    assert "underlay lint lab.yml" in capfd.readouterr().err


def test_what_is_there_is_written_over_by_force_alone(capfd: pytest.CaptureFixture[str]) -> None:
    put("a", ranged(20), "192.168.70.11/24")
    Path("lab.yml").write_text("mine")
    assert main(["import", "a", "-o", "lab.yml"]) == 2
    assert "--force" in capfd.readouterr().err
    assert Path("lab.yml").read_text() == "mine"
    assert main(["import", "a", "-o", "lab.yml", "--force"]) == 0
    assert load(Path("lab.yml")).plan.lab == "lab"


def test_nothing_is_written_into_a_host_s_folder(capfd: pytest.CaptureFixture[str]) -> None:
    put("a", ranged(20), "192.168.70.11/24")
    before = sorted(Path("a").rglob("*"))
    assert main(["import", "a", "-o", "a/lab.yml"]) == 2
    assert "nothing is changed" in capfd.readouterr().err
    assert sorted(Path("a").rglob("*")) == before


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"mode": "private"}, "mode of the network lannet of b: found private, expected bridge"),
        ({"mtu": 1400}, "MTU of the network lannet of b: found 1400, expected no MTU"),
        ({"type": "ipvlan", "mode": "l2"}, "driver of the network lannet of b: found ipvlan"),
        ({"ipam": {"subnet": "10.1.0.0/16", "rangeStart": "10.1.1.90"}}, "subnets of the network"),
        ({"ipam": {"rangeStart": "10.1.1.90", "routes": [{"dst": "0.0.0.0/0"}]}}, "default route"),
        (
            {"ipam": {"rangeStart": "10.1.1.90", "routes": [{"dst": "10.9.0.0/16"}]}},
            "routes of the network lannet of b: found 10.9.0.0/16 via the gateway, expected none",
        ),
        (
            {"ipam": {"type": "static", "addresses": [{"address": "10.1.1.90/24"}]}},
            "IPAM plugin of the network lannet of b: found static, expected host-local",
        ),
    ],
)
def test_contradicting_hosts(
    change: dict[str, object], words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    put("a", ranged(20), "192.168.70.11/24")
    put("b", net(**{**ranged(40), **change}) if "ipam" not in change else net(**change),
        "192.168.70.12/24")  # fmt: skip
    said = refused(capfd, "a", "b")
    assert words in said
    assert "a/net.d/20-lannet.conf" in said
    assert "b/net.d/20-lannet.conf" in said


def test_gateways_that_differ_and_ranges_that_meet(capfd: pytest.CaptureFixture[str]) -> None:
    put("a", ranged(20), "192.168.70.11/24")
    put("b", ranged(25), "192.168.70.12/24")
    assert "hands out 10.1.1.25: expected a range apart" in refused(capfd, "a", "b")
    one, two = ranged(20), ranged(40)
    one["ipam"] |= {"gateway": "10.1.1.1"}  # type: ignore[operator]
    two["ipam"] |= {"gateway": "10.1.1.2"}  # type: ignore[operator]
    put("a", one)
    put("b", two)
    assert "gateway of lannet: found 10.1.1.2, expected 10.1.1.1" in refused(capfd, "a", "b")


def test_an_unknown_parent_is_named_with_the_nearest(capfd: pytest.CaptureFixture[str]) -> None:
    put("a", ranged(20, master="lan1"), "192.168.70.11/24", nic="lan0")
    said = refused(capfd, "a")
    assert "a/net.d/20-lannet.conf:5" in said
    assert "lannet sits on 'lan1', expected an interface of a: lan0" in said


def test_a_wire_that_no_file_tells_is_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    put("a", ranged(20), "192.168.70.11/24", nic="eth1")
    put("b", ranged(40), "192.168.71.12/24", nic="eth1")
    said = refused(capfd, "a", "b")
    assert (
        "segment of the network lannet of b: found eth1-2 (192.168.71.0/24), expected eth1 (192"
        in said
    )
    assert "--segment NAME=HOST:NIC" in said
    assert main(["import", "a", "b", "--segment", "lan=a:eth1,b:eth1", "-o", "lab.yml"]) == 0
    assert list(load(Path("lab.yml")).lab.segments) == ["lan"]


def test_a_nic_without_an_address_is_where_its_network_is() -> None:
    put("a", ranged(20))
    put("b", ranged(40))
    assert main(["import", "a", "b", "-o", "lab.yml"]) == 0
    text = Path("lab.yml").read_text()
    assert "b is in it by its eth1, where it has lannet as others do" in text
    assert "no file gives eth1 an IPv4 address" in text
    assert not load(Path("lab.yml")).errors


@pytest.mark.parametrize(
    ("segment", "words"),
    [
        ("lan", "expected NAME=HOST:NIC"),
        ("lan=a", "expected NAME=HOST:NIC"),
        ("lan=c:eth1", "found the host 'c', expected one of a"),
        ("lan=a:eth1,a:eth1", "a:eth1 is in lan already"),
    ],
)
def test_a_segment_that_is_none(
    segment: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    put("a", ranged(20), "192.168.70.11/24")
    assert words in refused(capfd, "a", "--segment", segment)


def test_what_is_not_read_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    put("a", {**ranged(20), "linkInContainer": True}, "192.168.70.11/24")
    Path("a/hosts").write_text("127.0.0.1 localhost\n")
    Path("a/networks.sh").write_text("\n")
    said = refused(capfd, "a", "--strict", code=1)
    assert "a/hosts: the file: no reader for this file" in said
    assert "a/networks.sh: the file: it is empty" in said
    assert "linkInContainer: on a node its program acts on it, and no prediction knows" in said
    assert main(["import", "a", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert {entry["file"] for entry in document["left_out"]} == {
        "a/hosts",
        "a/networks.sh",
        "a/net.d/20-lannet.conf",
    }
    assert document["lab"]["networks"]["lannet"]["ranges"] == {"a": "10.1.1.20-10.1.1.29"}


def test_a_link_out_of_the_folder_is_not_followed(capfd: pytest.CaptureFixture[str]) -> None:
    put("a", ranged(20), "192.168.70.11/24")
    Path("other.conf").write_text(json.dumps(ranged(40, name="other")))
    Path("a/net.d/30-other.conf").symlink_to(Path("other.conf").resolve())
    assert main(["import", "a", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert list(document["lab"]["networks"]) == ["lannet"]
    assert "symbolic link" in str(document["left_out"])


def test_hosts_that_hand_out_all_of_a_subnet_do_so_in_the_lab() -> None:
    put("a", net(), "192.168.70.11/24")
    put("b", net(), "192.168.70.12/24")
    assert main(["import", "a", "b", "-o", "lab.yml", "--whole"]) == 0
    lab = load(Path("lab.yml"))
    assert {finding.id for finding in lab.errors} == {"duplicate-range"}


def test_what_no_lab_can_be_names_the_host_s_line(capfd: pytest.CaptureFixture[str]) -> None:
    put("a", ranged(20, mode="brigde"), "192.168.70.11/24")
    said = refused(capfd, "a")
    assert "a/net.d/20-lannet.conf:" in said
    assert "'brigde' is no mode of macvlan [cni-mode-unknown]\n  hint: did you mean bridge?" in said


def test_no_network_at_all(capfd: pytest.CaptureFixture[str]) -> None:
    put("a", None, "192.168.70.11/24")
    assert "no container network in these files" in refused(capfd, "a")


def test_names_that_a_lab_does_not_take(capfd: pytest.CaptureFixture[str]) -> None:
    put("Web_1", {**ranged(20), "name": "LAN_net"}, "192.168.70.11/24", nic="eth1")
    assert main(["import", "Web_1", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["lab"]["nodes"]["names"] == ["web-1"]
    assert list(document["lab"]["networks"]) == ["lan-net"]
    assert len(document["assumptions"]) == 3


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("eth1.network", "[Match]\nName=eth1\nbroken\n", "eth1.network:3:1: 'broken' is neither"),
        ("eth1.network", NIC.format(nic="eth1", address="192.168.70.11"),
         "eth1.network:5:1: '192.168.70.11' is no address with a prefix length [networkd-address]"),
        ("net.d/30-more.conf", "{,}", "net.d/30-more.conf:1:2: expecting property name"),
        ("net.d/30-more.conf", json.dumps(ranged(60, type="macvaln", name="x")),
         "there is no plugin 'macvaln' [cni-type-misspelt]\n  hint: did you mean macvlan?"),
        ("net.d/30-more.conf", json.dumps(ranged(60, name="x")).replace("rangeSt", "range_st"),
         "nobody reads the key 'range_start' [cni-key-unknown]\n  hint: did you mean rangeStart?"),
        ("net.d/30-more.conf", json.dumps({**net(), "name": "x", "ipam": {
            "type": "whereabouts", "range": "10.9.0.0/24", "rangeEnd": "10.9.0.9"}}),
         "hint: did you mean range_end?"),
        ("net.d/30-more.conf", json.dumps({**ranged(60), "type": "bridge", "isGatway": True}),
         "hint: did you mean isGateway?"),
        ("eth1.network", "[Match]\nName=eth1\n[Network]\nAdress=10.1.1.1/24\n",
         "[networkd-key-unknown]\n  hint: did you mean Address?"),
        ("compose.yml", COMPOSE.replace("parent:", "paretn:"), "hint: did you mean parent?"),
        ("compose.yml", "networks:\n  lan: {drvier: macvlan}\n", "hint: did you mean driver?"),
        ("lan.container", "[Container]\nImage=x\nNetwork=lan.network\nIP=10.1.1\n",
         "lan.container:4:1: "),
        ("user-data", "#cloud-config\nwrite_files: [{path: /etc/cni/net.d/1.conf}\n",
         "a/user-data:2:"),
    ],
)  # fmt: skip
def test_what_a_file_s_reader_would_refuse_is_bad_input(
    file: str, text: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    put("a", ranged(20), "192.168.70.11/24")
    Path("a", file).write_text(text)
    said = refused(capfd, "a")
    assert words in said
    assert "`underlay lint --host a=…` says why each matters" in said


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("compose.yml", "services:\n  web: {image: x}\n"),
        ("web.container", "[Container]\nImage=x\nImagee=y\nNetwork=host\n"),
        ("user-data", "# comment\n#cloud-config\nusers: [{name: me}]\n"),
        ("eth1.network", NIC.format(nic="eth1", address="192.168.70.11/24") +
         "[Link]\n# underlay: ignore networkd-mtu: the driver's own\nMTUBytes=big\n"),
    ],
)  # fmt: skip
def test_what_has_nothing_to_do_with_networks_or_is_silenced_is_no_bad_input(
    file: str, text: str
) -> None:
    put("a", ranged(20), "192.168.70.11/24")
    Path("a", file).write_text(text)
    assert main(["import", "a", "-o", "lab.yml"]) == 0


def test_errors_between_files_are_carried_over_and_named(capfd: pytest.CaptureFixture[str]) -> None:
    put("a", ranged(20), "192.168.70.25/24")
    put("b", ranged(40), "192.168.70.25/24")
    said = refused(capfd, "a", "b", "--strict", code=1)
    assert "error in the files: b/eth1.network:5:1: host-address-twice" in said
    assert "there are errors in the files" in said
    assert main(["import", "a", "b", "--json"]) == 0
    (error,) = json.loads(capfd.readouterr().out)["errors"]
    assert (error["id"], error["line"]) == ("host-address-twice", 5)


@pytest.mark.parametrize("sliced", [True, False])
def test_routes_to_what_others_hand_out_need_a_range_of_each(
    sliced: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    said = {"type": "ipvlan", "mode": "l3"}
    for host, own, other in (("a", 1, 2), ("b", 2, 1)):
        put(
            host,
            ranged(20 * own, **said) if sliced else net(**said),
            f"192.168.70.1{own}/24\n[Route]\nDestination=10.1.1.0/24\nGateway=192.168.70.1{other}",
        )
    assert main(["import", "a", "b", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    network = document["lab"]["networks"]["lannet"]
    assert (network.get("routed"), network.get("sliced")) == (
        (True, None) if sliced else (None, False)
    )
    left = {one["what"] for one in document["left_out"]}
    assert ("routes to what other hosts hand out of lannet" in left) is not sliced


def test_a_next_hop_that_is_no_gateway_is_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    routed = {"gateway": "10.1.1.1", "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.1.2"}]}
    put("a", net(ipam={"rangeStart": "10.1.1.20", **routed}), "192.168.70.11/24")
    assert main(["import", "a", "--json"]) == 0
    left = json.loads(capfd.readouterr().out)["left_out"]
    assert "the next hop 10.1.1.2 of the default route of lannet" in {one["what"] for one in left}


@pytest.mark.parametrize("on", [True, False])
def test_docker_s_ipv6_is_there_where_it_is_on(on: bool, capfd: pytest.CaptureFixture[str]) -> None:
    put("a", None, "192.168.70.11/24")
    config = [{"Subnet": "10.1.1.0/24"}, {"Subnet": "fd00:1::/64"}]
    network = {"Name": "lan", "Driver": "macvlan", "EnableIPv6": on, "IPAM": {"Config": config},
               "Options": {"parent": "eth1"}}  # fmt: skip
    Path("a/lan.json").write_text(json.dumps(network))
    assert main(["import", "a", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert ("subnet6" in document["lab"]["networks"]["lan"]) is on
    assert any("IPv6 is off" in one["why"] for one in document["left_out"]) is not on


def test_an_address_in_another_host_s_range_is_named_where_it_stands(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for host, number in (("a", 64), ("b", 96)):
        put(host, None, f"192.168.1.{number // 32 + 9}/24")
        Path(host, "compose.yml").write_text(
            "services:\n"
            f"  {host}:\n"
            "    image: x\n"
            "    networks:\n"
            "      lan: {ipv4_address: 192.168.1.100}\n"
            "  none: {image: x, deploy: {replicas: 0}, networks: [lan]}\n"
            "networks:\n"
            "  lan:\n"
            "    driver: macvlan\n"
            "    driver_opts: {parent: eth1}\n"
            f"    ipam: {{config: [{{subnet: 192.168.1.0/24, ip_range: 192.168.1.{number}/27}}]}}\n"
        )
    said = refused(capfd, "a", "b")
    assert "a/compose.yml:5:13: containers[0].addresses.lan: found 192.168.1.100, expected" in said
    assert main(["import", "b", "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert [one["name"] for one in document["lab"]["containers"]] == ["b-container"]
    assert "no replica of it is started" in str(document["left_out"])


@pytest.mark.parametrize("words", [["hosts"], ["hosts/"], ["hosts/a", "hosts/b"], ["."]])
def test_a_folder_of_hosts_folders_is_each_of_them(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    put("hosts/a", ranged(20), "192.168.70.11/24")
    put("hosts/b", ranged(40), "192.168.70.12/24")
    Path("hosts/README.md").write_text("Ours.\n")
    if words == ["."]:
        monkeypatch.chdir("hosts")
    assert main(["import", *words, "--json"]) == 0
    said = capfd.readouterr()
    assert json.loads(said.out)["lab"]["nodes"]["names"] == ["a", "b"]
    assert ("a folder for each host: a, b" in said.err) == (len(words) == 1)
    assert main(["lint", *words]) == 0
    assert "2 hosts, 4 files" in capfd.readouterr().out


def test_a_host_s_own_folder_is_one_host(capfd: pytest.CaptureFixture[str]) -> None:
    put("a", ranged(20), "192.168.70.11/24")
    put("b/etc/cni", ranged(20))
    put("srv/one", ranged(20))
    for host in ("a", "b", "srv"):
        assert main(["lint", host]) == 0
        assert capfd.readouterr().out.splitlines()[-1].startswith("1 host,")
    put("c/one", ranged(20))
    assert main(["import", "c=c", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["lab"]["nodes"]["names"] == ["c"]


def test_several_labs_are_linted_one_after_the_other(capfd: pytest.CaptureFixture[str]) -> None:
    put("a", ranged(20), "192.168.70.11/24")
    assert main(["lint", "a", "coreos"]) == 2
    said = capfd.readouterr().err
    assert "one lab at a time, and here are a, coreos" in said
    assert "underlay lint coreos; of hosts several folders" in said


def test_strict_lets_pass_what_cannot_change_packets(capfd: pytest.CaptureFixture[str]) -> None:
    put("a", {**ranged(20), "dns": {"nameservers": ["10.1.1.1"]}}, "192.168.70.11/24")
    with Path("a/eth1.network").open("a") as file:
        file.write("Gateway=192.168.70.1\nDNS=192.168.70.1\nDomains=example.org\n")
    Path("a/eth0.network").write_text("[Match]\nName=eth0\n[Network]\nDHCP=yes\n")
    Path("a/hostname").write_text("a\n")
    Path("a/compose.yml").write_text(COMPOSE)
    assert main(["import", "a", "-o", "lab.yml", "--strict", "--whole"]) == 0
    said = capfd.readouterr().err
    assert "0 left out, 8 without bearing" in said
    assert "without bearing on who reaches whom, 8 times, the first: a/hostname" in said
    assert "hint: -v says each" in said
    assert main(["import", "a", "-o", "lab.yml", "--whole", "--force", "-v"]) == 0
    said = capfd.readouterr().err
    assert "a/eth1.network:7:1: Network.DNS: a lab's nodes have their own" in said
    assert said.count("without bearing on who reaches whom:") == 8


@pytest.mark.parametrize(
    ("file", "old", "new", "words"),
    [
        ("eth1.network", "Address=", "IPForward=yes\nAddress=", "Network.IPForward"),
        ("compose.yml", "image: x", "image: x\n    sysctls: {a: 1}", "services.web.sysctls"),
        ("compose.yml", "networks: [lan]", "networks: [lan, default]", "services.web.ports"),
        ("net.d/20-lannet.conf", '"type": "mac', '"promiscMode": true, "type": "mac', "promisc"),
        ("nftables.conf", "", "flush ruleset\n", "nftables.conf: the file"),
        ("eth0.network", "", NIC.format(nic="eth0", address="10.1.1.5/24"), "interface eth0"),
    ],
)
def test_strict_refuses_what_may_change_packets(
    file: str, old: str, new: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    put("a", ranged(20), "192.168.70.11/24")
    Path("a/compose.yml").write_text(COMPOSE)
    path = Path("a", file)
    before = path.read_text() if path.exists() else ""
    path.write_text(before.replace(old, new, 1) if old else new)
    said = refused(capfd, "a", "--strict", "--whole", code=1)
    assert any(words in line for line in said.splitlines() if line.startswith("left out"))


def test_what_is_alike_is_one_line(capfd: pytest.CaptureFixture[str]) -> None:
    put("a", ranged(20), "192.168.70.11/24")
    for name in ("one", "two", "three"):
        Path(f"a/{name}.rules").write_text("x")
    assert main(["import", "a", "-o", "lab.yml"]) == 0
    said = capfd.readouterr().err
    assert "left out, 3 times, the first: a/one.rules: the file: no reader for this file" in said
    assert "two.rules" not in said


def test_spare_ranges_are_apart_from_all_that_files_say() -> None:
    put("a", ranged(20), "10.1.1.250/24")
    put("b", None, "10.1.1.12/24")
    other = net(name="other", master="eth1.7", ipam={"subnet": "10.7.0.0/24"})
    Path("b/net.d/20-lannet.conf").write_text(json.dumps(other))
    Path("b/web.container").write_text("[Container]\nImage=x\nNetwork=x\nIP=10.1.1.241\n")
    assert main(["import", "a", "b", "-o", "lab.yml"]) == 0
    lab = load(Path("lab.yml"))
    assert lab.lab.networks["lannet"].ranges["b"] == "10.1.1.232-10.1.1.239"
    text = Path("lab.yml").read_text()
    assert "it gets no container: 10.1.1.232-10.1.1.239, of which no file says anything" in text


def test_a_small_subnet_has_small_spare_ranges() -> None:
    small = {"subnet": "10.1.1.0/28", "rangeStart": "10.1.1.2", "rangeEnd": "10.1.1.9"}
    put("a", net(ipam=small), "192.168.70.11/24")
    put("b", net(ipam={"subnet": "10.9.0.0/24"}, name="other"), "192.168.70.12/24")
    assert main(["import", "a", "b", "-o", "lab.yml"]) == 0
    lab = load(Path("lab.yml"))
    assert lab.lab.networks["lannet"].ranges["b"] == "10.1.1.12-10.1.1.15"


def test_a_segment_s_own_subnet_is_nobody_s(capfd: pytest.CaptureFixture[str]) -> None:
    put("a", ranged(20), "fd00:70::11/64")
    Path("a/eth0.network").write_text(NIC.format(nic="eth0", address="198.18.0.7/24"))
    assert main(["import", "a", "--json"]) == 0
    lab = json.loads(capfd.readouterr().out)["lab"]
    assert lab["segments"]["eth1"]["subnet"] == "198.18.1.0/24"


def test_an_address_that_no_file_says_is_told_for_each_host(
    capfd: pytest.CaptureFixture[str],
) -> None:
    put("a", ranged(20), "192.168.70.11/24")
    put("b", ranged(40))
    put("c", ranged(60))
    Path("c/50-lan.yaml").write_text("network: {version: 2, ethernets: {eth1: {mtu: 1500}}}\n")
    assert main(["import", "a", "b", "c", "-o", "lab.yml", "--whole"]) == 0
    said = capfd.readouterr().err
    assert "b has 192.168.70.12/24 on eth1, which no file of its gives it" in said
    assert "[Network] of a file etc/systemd/network/10-eth1.network" in said
    assert "a has " not in said
    text = Path("lab.yml").read_text()
    assert "a has " not in text
    assert "# Assumed: b has 192.168.70.12/24" in text
    # What its file configures without an address has none, as it has none on the host.
    assert "c has " not in text
    assert load(Path("lab.yml")).plan.node("c").nics[0].address == ""
    # What is advised is what silences it.
    put("b", None, "192.168.70.12/24")
    assert main(["import", "a", "b", "-o", "lab.yml", "--force"]) == 0
    assert "which no file" not in capfd.readouterr().err


def test_one_name_with_two_subnets_is_two_networks_and_said(
    capfd: pytest.CaptureFixture[str],
) -> None:
    put("a", ranged(20), "192.168.70.11/24")
    put("b", net(ipam={"subnet": "10.1.2.0/24"}), "192.168.70.12/24")
    assert main(["import", "a", "b", "-o", "lab.yml"]) == 0
    text = (
        "lannet is 10.1.2.0/24 on b (b/net.d/20-lannet.conf:8:3) and 10.1.1.0/24 on a"
        " (a/net.d/20-lannet.conf:9:3): the lab has two networks, lannet and lannet-2"
    )
    assert text in capfd.readouterr().err
    assert text in Path("lab.yml").read_text()
    put("b", ranged(40), "192.168.70.12/24")
    assert main(["import", "a", "b", "-o", "lab.yml", "--force"]) == 0
    assert "two networks" not in capfd.readouterr().err


def test_a_fleet_s_node_has_what_its_files_say_and_what_it_has_beyond_is_told() -> None:
    put("a", ranged(20), "192.168.70.11/24")
    put("b", ranged(40))
    put("c", ranged(60))
    Path("c/eth1.network").write_text("[Match]\nName=eth1\n[Network]\nLinkLocalAddressing=no\n")
    hosts = read_hosts([f"{name}={name}" for name in "abc"], inside=True)
    carried = carry(hosts, {}, "lab", real=True)
    said = [one.text for one in carried.assumptions if one.weighty]
    assert [text.partition(",")[0] for text in said] == ["b has 192.168.70.12/24 on eth1"]
    assert carried.lab["nodes"]["interfaces"]["c"] == {"eth1": {"addresses": []}}


def test_the_whole_lab_has_the_hosts_addresses_and_is_predicted_as_the_fleet(
    capfd: pytest.CaptureFixture[str],
) -> None:
    put("hosts/a", ranged(20), "192.168.70.77/24")
    put("hosts/b", ranged(40), "192.168.70.9/24")
    with Path("hosts/b/eth1.network").open("a") as file:
        file.write("Gateway=192.168.70.1\n")
    assert main(["import", "hosts/a", "hosts/b", "-o", "fleet.yml"]) == 0
    assert main(["import", "hosts/a", "hosts/b", "-o", "whole.yml", "--whole"]) == 0
    fleet, whole = (load(Path(f"{name}.yml")).plan for name in ("fleet", "whole"))
    found = {node.name: str(node.nics[0].address) for node in whole.nodes}
    assert found == {"a": "192.168.70.77/24", "b": "192.168.70.9/24"}
    for one, two in zip(fleet.nodes, whole.nodes, strict=True):
        assert (one.nics, one.vlans, one.routes) == (two.nics, two.vlans, two.routes)
        assert two.own == ()
