"""`import` writes a lab file that names the hosts' files, and says only what had to be assumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay import cli
from underlay.lint import load

NIC = "[Match]\nName={nic}\n\n[Network]\nAddress=192.168.70.{own}/24\n"
CONF = """\
{{
  "cniVersion": "1.0.0",
  "name": "lannet",
  "type": "macvlan",
  "master": "{nic}",
  "ipam": {{
    "type": "host-local",
    "subnet": "10.1.1.0/24",
    "rangeStart": "10.1.1.{own}0",
    "rangeEnd": "10.1.1.{own}9"
  }}
}}
"""


def put(name: str, own: int, nic: str = "ens3", *, addressed: bool = True) -> None:
    folder = Path("hosts", name, "etc")
    (folder / "cni/net.d").mkdir(parents=True)
    (folder / "cni/net.d/20-lannet.conf").write_text(CONF.format(nic=nic, own=own))
    if addressed:
        (folder / "systemd/network").mkdir(parents=True)
        unit = folder / "systemd/network/10-nic.network"
        unit.write_text(NIC.format(nic=nic, own=own))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def imported(*words: str) -> str:
    assert cli.main(["import", *words, "-o", "lab.yml"]) == 0
    return Path("lab.yml").read_text()


def test_nothing_is_said_that_the_files_say() -> None:
    put("alpha", 11)
    put("beta", 12)
    text = imported("hosts/alpha", "hosts/beta")
    assert load(Path("lab.yml")).text.data["networks"]["lannet"]["subnet"] == "10.1.1.0/24"
    own = text.partition("# Who must reach")[0]
    assert own.splitlines()[2:] == [
        "name: lab",
        "fleet:",
        "  alpha: hosts/alpha",
        "  beta: hosts/beta",
        "",
        "containers:",
        "  # Assumed: no file names a container of lannet: one on each of its hosts"
        " (hosts/alpha/etc/cni/net.d/20-lannet.conf:1)",
        "  - {on: all, networks: [lannet]}",
        "",
    ]


def test_it_leads_to_the_lab_without_what_was_assumed_as_well() -> None:
    put("alpha", 11)
    put("beta", 12)
    imported("hosts/alpha", "hosts/beta")
    loaded = load(Path("lab.yml"))
    Path("bare.yml").write_text("name: lab\nfleet: {alpha: hosts/alpha, beta: hosts/beta}\n")
    assert load(Path("bare.yml")).plan == loaded.plan


def test_the_wiring_of_the_command_line_stands_there() -> None:
    put("alpha", 11, addressed=False)
    put("beta", 12, addressed=False)
    text = imported("hosts/alpha", "hosts/beta", "--segment", "lan=alpha:ens3,beta:ens3")
    assert "  lan:\n    nics: {alpha: ens3, beta: ens3}\n" in text
    assert [segment.name for segment in load(Path("lab.yml")).plan.segments] == ["lan"]


def test_a_host_is_called_as_a_node_may_be() -> None:
    put("Alpha_1", 11)
    text = imported("hosts/Alpha_1")
    assert "  alpha-1: hosts/Alpha_1\n" in text
    assert "# Assumed: nodes: Alpha_1 is called alpha-1 here" in text
    assert [node.name for node in load(Path("lab.yml")).plan.nodes] == ["alpha-1"]


def test_a_lab_file_elsewhere_has_no_fleet(capsys: pytest.CaptureFixture[str]) -> None:
    put("alpha", 11)
    Path("labs").mkdir()
    assert cli.main(["import", "hosts/alpha", "-o", "labs/lab.yml"]) == 2
    assert "or say all of it with --whole" in capsys.readouterr().err
    assert cli.main(["import", "hosts/alpha", "--whole", "-o", "labs/lab.yml"]) == 0
    assert not load(Path("labs/lab.yml")).plan.nodes[0].own


def test_what_is_laid_over_is_kept_apart_from_what_was_read() -> None:
    put("alpha", 11)
    imported("hosts/alpha")
    loaded = load(Path("lab.yml"))
    assert loaded.text.written["containers", 0] == ("containers", 0)
    assert loaded.text.elsewhere["networks", "lannet"].startswith("hosts/alpha/")


def test_what_it_proposes_to_expect_holds() -> None:
    put("alpha", 11)
    put("beta", 12)
    text = imported("hosts/alpha", "hosts/beta")
    assert "# expect:\n#   - lannet -> lannet\n" in text
    proposed = text.replace("# expect:\n#   - ", "expect:\n  - ")
    Path("lab.yml").write_text(proposed)
    assert cli.main(["lint", "lab.yml"]) == 0


def test_nothing_is_proposed_where_nobody_could_be_asked() -> None:
    put("alpha", 11)
    text = imported("hosts/alpha")
    assert "# expect:" not in text
    assert "said below a key `expect`" in text


DOCKER = (
    "docker network create -d macvlan -o parent=eth1.10 --subnet 10.10.0.0/24"
    " --gateway 10.10.0.1 --ip-range 10.10.0.64/26 vlan10\n"
)
QUADLET = (
    "[Network]\nNetworkName=vlan10\nDriver=macvlan\nOptions=parent=eth1.{vlan}\n"
    "Subnet=10.10.0.0/24\nGateway=10.10.0.1\nIPRange=10.10.0.128/26\n"
)


@pytest.mark.parametrize("vlan", [10, 20])
def test_a_network_of_two_runtimes_is_two_and_it_is_said_why(vlan: int) -> None:
    """In another VLAN it is another network, of which nothing has to be said but its name."""
    files = {"one/networks.sh": DOCKER, "two/vlan10.network": QUADLET.format(vlan=vlan)}
    for name, text in files.items():
        Path("hosts", name).parent.mkdir(parents=True)
        Path("hosts", name).write_text(text)
    told = imported("hosts/one", "hosts/two", "--segment", "lan=one:eth1,two:eth1")
    assert (
        "# Assumed: networks.vlan10-2: vlan10 of one is Docker's, and vlan10 of two is podman's: a"
        " lab's network has one runtime, so there are two, vlan10 and vlan10-2, on one wire"
        " (segment lan, VLAN 10) and of one subnet, as these files have it" in told
    ) is (vlan == 10)
    assert ("Assumed: two has it by podman, as vlan10-2; but a lab's network" in told) is (
        vlan == 10
    )
    assert ("Assumed: one has it by Docker, as vlan10; but" in told) is (vlan == 10)
    assert ("called vlan10-2 here" in told) is (vlan == 20)
    assert ("has no such network" in told) is (vlan == 20)
