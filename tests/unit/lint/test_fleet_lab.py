"""A lab with a fleet: taken from hosts' files each time it is read, with its own keys over them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

import documents
from underlay import cli
from underlay.cli.carried_over import tell_remarks
from underlay.errors import BadInput
from underlay.lab.text import Problem
from underlay.lint import load, refuse_errors
from underlay.lint.read import LabError, read_lab
from underlay.plan import make_plan
from unit.lint.test_formats import checked

NETWORK = "[Match]\nName=ens3\n\n[Network]\nAddress=192.168.70.{own}/24\n"
CONF = """\
{{
  "cniVersion": "1.0.0",
  "name": "lannet",
  "type": "macvlan",
  "master": "ens3",
  "ipam": {{
    "type": "host-local",
    "subnet": "10.1.1.0/24",
    "rangeStart": "10.1.1.{first}",
    "rangeEnd": "10.1.1.{last}"
  }}
}}
"""
COMPOSE = """\
services:
  web:
    image: nginx
    networks: {front: {ipv4_address: 10.2.0.10}}
networks:
  front:
    driver: macvlan
    driver_opts: {parent: ens3}
    ipam: {config: [{subnet: 10.2.0.0/24}]}
"""
LAB = "name: shop\nfleet: {alpha: hosts/alpha, beta: hosts/beta}\n"
NET_D = "etc/cni/net.d/20-lannet.conf"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that is worked in, with two hosts' folders and no lab file."""
    monkeypatch.chdir(tmp_path)
    for name, own, first, last in (("alpha", 11, 64, 95), ("beta", 12, 96, 127)):
        folder = tmp_path / "hosts" / name
        (folder / "etc/cni/net.d").mkdir(parents=True)
        (folder / "etc/systemd/network").mkdir(parents=True)
        (folder / "etc/systemd/network/10-ens3.network").write_text(NETWORK.format(own=own))
        (folder / NET_D).write_text(CONF.format(first=first, last=last))
    return tmp_path


def lab_of(text: str) -> Path:
    file = Path("lab.yml")
    file.write_text(text)
    return file


def problems(text: str) -> tuple[Problem, ...]:
    with pytest.raises(LabError) as raised:
        read_lab(lab_of(text))
    return raised.value.problems


def test_all_of_a_lab_is_taken_from_hosts_files() -> None:
    loaded = load(lab_of(LAB))
    plan = loaded.plan
    assert [node.name for node in plan.nodes] == ["alpha", "beta"]
    network = plan.network("lannet")
    assert (network.driver, network.parent, network.subnet) == ("macvlan", "ens3", "10.1.1.0/24")
    assert [one.attachments[0].address for one in plan.containers] == [
        "10.1.1.64/24",
        "10.1.1.96/24",
    ]
    spot = loaded.text.spot(("networks", "lannet", "driver"))
    assert str(spot) == f"hosts/alpha/{NET_D}:4:3"
    assert loaded.text.spot(("name",)).file == "lab.yml"


def test_a_change_in_a_hosts_file_is_seen_at_the_next_reading() -> None:
    file = lab_of(LAB)
    assert make_plan(read_lab(file)).network("lannet").mode == "bridge"
    for name in ("alpha", "beta"):
        path = Path("hosts", name, NET_D)
        path.write_text(path.read_text().replace('"macvlan"', '"macvlan", "mode": "vepa"'))
    assert make_plan(read_lab(file)).network("lannet").mode == "vepa"


def test_keys_of_the_lab_file_win() -> None:
    loaded = load(
        lab_of(
            LAB + "nodes: {memory: 768}\nsegments:\n  lan: {subnet: 192.168.70.0/24, mtu: 1400}\n"
            "networks:\n  lannet: {mode: private}\n"
            "containers:\n  - {on: alpha, count: 2, networks: [lannet]}\n"
        )
    )
    plan = loaded.plan
    assert (plan.nodes[0].name, plan.nodes[0].memory) == ("alpha", 768)
    # The lab file names the segment, and the hosts' addresses say who is in it.
    (segment,) = plan.segments
    assert (segment.name, segment.mtu) == ("lan", 1400)
    assert (plan.network("lannet").mode, plan.network("lannet").segment) == ("private", "lan")
    assert [container.node for container in plan.containers] == ["alpha", "alpha"]
    assert loaded.text.spot(("networks", "lannet", "mode")).file == "lab.yml"
    assert loaded.text.spot(("networks", "lannet", "driver")).file == f"hosts/alpha/{NET_D}"


def test_a_group_of_containers_is_laid_over_the_one_of_its_name() -> None:
    Path("hosts/alpha/compose.yml").write_text(COMPOSE)
    text = LAB + 'protocols: [icmp, "tcp:80"]\ncontainers: [{name: web, listens: ["tcp:80"]}]\n'
    plan = load(lab_of(text)).plan
    assert plan.container("web").attachments[0].address == "10.2.0.10/24"
    assert plan.listens == {"web": ("tcp:80",)}
    # That of CNI, which no file names, is still there.
    assert [container.node for container in plan.containers if container.name != "web"] == [
        "alpha",
        "beta",
    ]


def test_nodes_have_the_files_and_networks_and_containers_know_theirs() -> None:
    Path("hosts/alpha/compose.yml").write_text(COMPOSE)
    plan = load(lab_of(LAB)).plan
    alpha, beta = plan.nodes
    assert [(own.path, own.program, own.source) for own in alpha.own] == [
        ("/srv/compose.yml", "compose", "hosts/alpha/compose.yml"),
        (f"/{NET_D}", "cni", f"hosts/alpha/{NET_D}"),
        (
            "/etc/systemd/network/10-ens3.network",
            "networkd",
            "hosts/alpha/etc/systemd/network/10-ens3.network",
        ),
    ]
    assert alpha.own[1].text == Path("hosts/alpha", NET_D).read_text()
    assert [own.path for own in beta.own] == [f"/{NET_D}", "/etc/systemd/network/10-ens3.network"]
    assert plan.network("lannet").made_by == (("alpha", f"/{NET_D}"), ("beta", f"/{NET_D}"))
    assert plan.network("front").made_by == (("alpha", "/srv/compose.yml"),)
    assert plan.container("web").started_by == "/srv/compose.yml"
    assert {one.started_by for one in plan.containers if one.name != "web"} == {""}


@pytest.mark.parametrize(
    ("path", "where", "found", "hint"),
    [
        ("hosts/alpho", "fleet.alpha", "which isn't there", "did you mean hosts/alpha?"),
        ("../elsewhere", "fleet.alpha", "which lies elsewhere", ""),
        ("/etc", "fleet.alpha", "which lies elsewhere", ""),
    ],
)
def test_a_host_that_cannot_be_read_is_named(path: str, where: str, found: str, hint: str) -> None:
    (problem,) = problems(LAB.replace("hosts/alpha", path))
    assert (problem.where, problem.hint, problem.line) == (where, hint, 2)
    assert found in problem.found


def test_a_link_that_leads_out_of_the_lab_is_not_followed(tmp_path: Path) -> None:
    Path("lab").mkdir()
    Path("lab/hosts").symlink_to(tmp_path / "hosts")
    Path("lab/lab.yml").write_text(LAB)
    with pytest.raises(LabError) as raised:
        read_lab(Path("lab/lab.yml"))
    assert ["which lies elsewhere" in one.found for one in raised.value.problems] == [True, True]


def test_a_host_without_anything_to_read_is_named() -> None:
    Path("hosts/gamma").mkdir()
    (problem,) = problems(LAB.replace("hosts/beta", "hosts/gamma"))
    assert problem.where == "fleet.beta"
    assert "no configuration of container networks" in problem.found


def test_what_hosts_contradict_each_other_about_has_a_hosts_line() -> None:
    path = Path("hosts/beta", NET_D)
    path.write_text(path.read_text().replace("10.1.1.96", "10.1.1.90"))
    (problem,) = problems(LAB)
    assert (problem.file, problem.line) == (str(path), 9)
    assert "hands out 10.1.1.90" in problem.fact


def test_a_file_that_its_own_program_refuses_is_named() -> None:
    path = Path("hosts/beta", NET_D)
    path.write_text(path.read_text().replace('"macvlan",', '"macvlan"'))
    assert [(one.file, one.id) for one in problems(LAB)] == [(str(path), "json-syntax")]


def test_the_wiring_names_hosts_and_nics_that_are_there() -> None:
    text = LAB + "segments: {lan: {nics: {alpha: ens4, bet: ens3}}}\n"
    first, second = problems(text)
    assert (first.where, first.expected) == ("segments.lan.nics.alpha", "a NIC of alpha: ens3")
    assert second.hint == "did you mean beta?"


def test_what_is_wrong_in_a_derived_key_is_said_of_the_hosts_file() -> None:
    text = LAB + "segments: {lan: {subnet: 192.168.70.0/24}, wan: {subnet: 10.1.0.0/16}}\n"
    found = problems(text)
    assert f"hosts/alpha/{NET_D}" in {problem.file for problem in found}


def test_lint_says_what_it_finds_in_hosts_files(capsys: pytest.CaptureFixture[str]) -> None:
    for host in ("alpha", "beta"):
        path = Path("hosts", host, NET_D)
        path.write_text(path.read_text().replace("10.1.1.", "9.1.1."))
    assert cli.main(["lint", str(lab_of(LAB)), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["findings"]
    # The rule about labs that says the same is silent.
    assert [(one["id"], one["file"], one["line"]) for one in found] == [
        ("range-public", f"hosts/alpha/{NET_D}", 9)
    ]


def unit_of(host: str) -> Path:
    return Path("hosts", host, "etc/systemd/network/10-ens3.network")


def test_nodes_have_the_addresses_and_routes_of_the_files() -> None:
    text = unit_of("alpha").read_text().replace("70.11/24", "70.77/24\nGateway=192.168.70.1")
    unit_of("alpha").write_text(text + "[Route]\nDestination=10.9.0.0/16\nGateway=192.168.70.9\n")
    loaded = load(lab_of(LAB))
    alpha, beta = loaded.plan.nodes
    assert (alpha.nics[0].address, beta.nics[0].address) == (
        "192.168.70.77/24",
        "192.168.70.12/24",
    )
    assert [(route.to, route.via) for route in alpha.routes] == [
        ("10.9.0.0/16", "192.168.70.9"),
        ("0.0.0.0/0", "192.168.70.1"),
    ]
    # No file says how beta gets to its containers' subnet.
    assert beta.routes == ()
    place = ("nodes", "interfaces", "alpha", "ens3")
    assert loaded.text.spot(place).file == str(unit_of("alpha"))


def test_a_sub_interface_without_an_address_has_none() -> None:
    for host in ("alpha", "beta"):
        path = Path("hosts", host, NET_D)
        path.write_text(path.read_text().replace('"ens3"', '"ens3.70"'))
        unit_of(host).write_text(unit_of(host).read_text() + "VLAN=ens3.70\n")
        unit_of(host).with_name("20-vlan.netdev").write_text(
            "[NetDev]\nName=ens3.70\nKind=vlan\n[VLAN]\nId=70\n"
        )
    plan = load(lab_of(LAB)).plan
    assert [(link.interface, link.address) for node in plan.nodes for link in node.vlans] == [
        ("ens3.70", ""),
        ("ens3.70", ""),
    ]


def test_an_address_that_two_hosts_have_is_an_error_of_their_files() -> None:
    unit_of("beta").write_text(unit_of("beta").read_text().replace("70.12", "70.11"))
    errors = load(lab_of(LAB)).errors
    assert [(one.id, one.file) for one in errors] == [("host-address-twice", str(unit_of("beta")))]


def git(*words: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", *identity, *words], check=True, capture_output=True, timeout=30)


def test_diff_reads_hosts_files_of_a_revision(capsys: pytest.CaptureFixture[str]) -> None:
    file = lab_of(LAB)
    git("init", "-q", ".")
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    for name in ("alpha", "beta"):
        path = Path("hosts", name, NET_D)
        path.write_text(path.read_text().replace('"macvlan"', '"macvlan",\n  "mode": "private"'))
    assert cli.main(["diff", "HEAD:", str(file), "--json"]) == 0
    (lab,) = json.loads(capsys.readouterr().out)["labs"]
    assert lab["keys"] == [
        {
            "path": "networks.lannet.mode",
            "old": None,
            "new": "private",
            "old_line": None,
            "new_line": 5,
            "old_file": None,
            "new_file": f"hosts/alpha/{NET_D}",
        }
    ]


def test_diff_names_a_host_that_a_revision_lacks(capsys: pytest.CaptureFixture[str]) -> None:
    file = lab_of(LAB.replace("hosts/beta", "hosts/gamma"))
    git("init", "-q", ".")
    git("add", "-A")
    git("commit", "-q", "-m", "first")
    lab_of(LAB)
    assert cli.main(["diff", "HEAD:", str(file)]) == 2
    message = capsys.readouterr().err
    assert "HEAD:lab.yml:2:35: fleet.beta: found 'hosts/gamma', which HEAD hasn't" in message


def test_hosts_of_several_kinds_may_share_a_subnet_by_ranges_of_their_own() -> None:
    """Each host makes one of the two networks, and hands out what the other doesn't."""
    shop = COMPOSE.replace("10.2.0.10", "10.1.1.130").replace("10.2.0.0/24", "10.1.1.0/24")
    shop = shop.replace("{subnet: 10.1.1.0/24}", "{subnet: 10.1.1.0/24, ip_range: RANGE}")
    Path("hosts/beta", NET_D).unlink()

    def found(ip_range: str) -> set[str]:
        Path("hosts/beta/compose.yml").write_text(shop.replace("RANGE", ip_range))
        return {finding.id for finding in load(lab_of(LAB)).findings}

    assert "overlapping-networks" not in found("10.1.1.128/26")
    assert "overlapping-networks" in found("10.1.1.64/26")


def test_images_are_archives_beside_the_lab_file() -> None:
    text = f"{LAB}images: [web.tar, gone.tar]\n"
    Path("web.tar").write_bytes(b"")
    [problem] = problems(text)
    assert (problem.id, problem.line, problem.found) == ("no-image", 3, "'gone.tar'")
    assert problem.hint == "docker save IMAGE -o gone.tar"
    Path("gone.tar").write_bytes(b"")
    plan = load(lab_of(text)).plan
    assert plan.images == tuple(str(Path.cwd() / name) for name in ("web.tar", "gone.tar"))
    assert "images" not in json.loads(load(lab_of(LAB)).plan.to_json())


def test_what_a_fleet_s_lab_has_beyond_its_files_is_said(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "hosts/a/manifests"
    folder.mkdir(parents=True)
    (folder / "lan.yaml").write_text(
        "kind: NetworkAttachmentDefinition\nmetadata: {name: lan}\nspec:\n  config: '"
        '{"cniVersion": "0.3.1", "type": "macvlan", "master": "eth1", "ipam": {"type":'
        ' "whereabouts", "range": "10.30.0.0/24"}}' + "'\n"
    )
    (folder.parent / "nftables.conf").write_text("flush ruleset\n")
    file = tmp_path / "lab.yml"
    file.write_text("name: shop\nfleet: {a: hosts/a}\n")
    assert cli.main(["lint", str(file)]) == 0
    said = capfd.readouterr().out
    assert "assumed: networks.lan.ipam: whereabouts itself doesn't run" in said
    assert "a has 198.18.0.11/24 on eth1, which no file of its gives it" in said
    assert "nftables.conf: the file: no reader for this file" in said
    assert cli.main(["lint", str(file), "--json"]) == 0
    assert len(json.loads(capfd.readouterr().out)["remarks"]) == 3
    assert cli.main(["predict", str(file)]) == 0
    line = f"left out of the fleet and may matter: 1, assumed: 2; underlay lint {file} says what"
    assert line in capfd.readouterr().err
    assert cli.main(["predict", str(file), "--json"]) == 0
    assert len(json.loads(capfd.readouterr().out)["remarks"]) == 3


def test_a_prediction_of_a_lab_that_leaves_nothing_out_says_nothing_of_that(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["predict", str(lab_of(LAB))]) == 0
    assert "left out" not in capfd.readouterr().err


def test_what_a_node_s_program_acts_on_is_said_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "hosts/a/etc/systemd/network"
    folder.mkdir(parents=True)
    (folder / "10-ens3.network").write_text(NETWORK.format(own=11) + "IPForward=yes\nDNS=9.9.9.9\n")
    conf = tmp_path / "hosts/a/etc/cni/net.d/20-lannet.conf"
    conf.parent.mkdir(parents=True)
    conf.write_text(CONF.format(first=20, last=29))
    file = tmp_path / "lab.yml"
    file.write_text("name: shop\nfleet: {a: hosts/a}\n")
    assert cli.main(["lint", str(file)]) == 0
    said = capfd.readouterr().out
    assert "Network.IPForward: on a node its program acts on it, and no prediction knows" in said
    assert "DNS" not in said


def test_whom_a_statement_names_and_no_lab_has_is_told_with_the_host_s_line() -> None:
    folder = Path("hosts/alpha/srv")
    folder.mkdir()
    lost = "  db:\n    image: a\n    networks: [outside]\nnetworks:\n  outside: {external: true}\n"
    (folder / "compose.yml").write_text(
        COMPOSE.replace("networks:\n  front:\n", lost + "  front:\n")
    )
    [problem] = problems(f"{LAB}expect: ['web -> db']\n")
    assert problem.id == "expect-nobody"
    assert problem.hint.endswith(
        "hosts/alpha/srv/compose.yml:5:3: db in outside: the lab has no such network"
    )
    [problem] = problems(f"{LAB}containers: [{{on: alpha, name: db}}]\n")
    assert "db in outside: the lab has no such network" in problem.hint
    assert "network-unmade" in {one.id for one in load(lab_of(LAB)).errors}


def test_an_internal_network_s_parent_makes_no_segment_and_that_is_said() -> None:
    for name in ("alpha", "beta"):
        Path(f"hosts/{name}/{NET_D}").unlink()
        Path(f"hosts/{name}/srv").mkdir()
        shut = COMPOSE.replace("driver: macvlan", "driver: macvlan\n    internal: true")
        Path(f"hosts/{name}/srv/compose.yml").write_text(shut)
    [problem] = problems(f"{LAB}hosts: {{gw: {{on: {{ens3: {{addresses: [10.2.0.1/24]}}}}}}}}\n")
    assert problem.found == "'ens3'"
    assert problem.hint.startswith("front is internal: Docker takes no notice of its parent (hosts")
    found = [one.id for one in load(lab_of(LAB)).findings]
    assert found.count("docker-internal-parent") == 2


def _compose_on(name: str, text: str, env: str = "") -> None:
    folder = Path(f"hosts/{name}/srv")
    folder.mkdir()
    (folder / "compose.yml").write_text(text)
    (folder / ".env").write_text(env)


def test_who_reserves_an_address_is_said_by_file_and_line() -> None:
    aside = "{subnet: 10.2.0.0/24, ip_range: 10.2.0.64/27, aux_addresses: {nas: 10.2.0.10}}"
    _compose_on("alpha", COMPOSE.replace("{subnet: 10.2.0.0/24}", aside))
    [problem] = problems(LAB)
    assert problem.expected == "one that is not reserved"
    assert problem.hint.startswith("front keeps 10.2.0.10 back: hosts/alpha/srv/compose.yml:")


def test_a_variable_that_nothing_sets_is_said_where_a_fleet_leads_to_no_lab() -> None:
    part = "{subnet: 10.2.0.0/24, ip_range: '${RANGE}'}"
    for name, env in (("alpha", "RANGE=10.2.0.64/27\n"), ("beta", "OTHER=1\n")):
        text = COMPOSE.replace("{subnet: 10.2.0.0/24}", part).replace("10.2.0.10", "10.2.0.65")
        _compose_on(name, text, env)
    [problem] = problems(LAB)
    said = "hosts/beta/srv/compose.yml:9:1: nothing sets ${RANGE}: Compose takes it for nothing"
    assert (problem.id, problem.hint.splitlines()[0]) == ("fleet-lab", said)
    Path("hosts/beta/srv/.env").write_text("RANGE=10.2.0.96/27\n")
    assert not any("nothing sets" in one.hint for one in problems(LAB))


def test_what_hosts_contradict_each_other_about_may_be_meant_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = Path("hosts/beta", NET_D)
    private = path.read_text().replace('"macvlan",', '"macvlan", "mode": "private",')
    path.write_text(private)
    (problem,) = problems(LAB)
    assert problem.id == "fleet-lab"
    assert "`# underlay: ignore network-mode-differs: REASON`" in problem.hint
    other = "underlay: ignore network-vlan-differs: another rule"
    path.write_text(private.replace("{", f'{{"_comment": "{other}",', 1))
    assert [one.id for one in problems(LAB)] == ["fleet-lab"]
    wanted = "underlay: ignore network-mode-differs: beta's are apart"
    path.write_text(private.replace("{", f'{{"_comment": "{wanted}",', 1))
    loaded = load(lab_of(LAB))
    assert [(one.name, one.mode) for one in loaded.plan.networks] == [
        ("lannet", "bridge"),
        ("lannet-2", "private"),
    ]
    (said,) = [one for one in loaded.carried.assumptions if "silenced" in one.text]
    assert said.text.endswith("silenced (beta's are apart): a network of its own, lannet-2")
    assert loaded.errors == []
    assert [(one.finding.id, one.reason) for one in loaded.silenced] == [
        ("network-mode-differs", "beta's are apart")
    ]
    tell_remarks(loaded, "lab.yml")
    assert "silenced: hosts/beta/etc/cni/net.d/20-lannet.conf" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ('"rangeStart": "10.1.1.96"', '"rangeStart": "10.1.1.90"', "range-overlap"),
        ('"macvlan",', '"macvlan", "mode": "vepa",', "fleet-lab"),
    ],
)
def test_a_comment_at_either_place_makes_two_networks(old: str, new: str, rule: str) -> None:
    path, other = Path("hosts/beta", NET_D), Path("hosts/alpha", NET_D)
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    problems(LAB)
    comment = f'{{"_comment": "underlay: ignore {rule}: as it was delivered",'
    other.write_text(other.read_text().replace("{", comment, 1))
    assert [one.name for one in load(lab_of(LAB)).plan.networks] == ["lannet", "lannet-2"]


def test_an_error_that_a_comment_silences_stops_nobody() -> None:
    path = Path("hosts/beta/etc/systemd/network/10-ens3.network")
    text = path.read_text().replace("192.168.70.12", "192.168.70.11")
    path.write_text(text)
    loaded = load(lab_of(LAB))
    assert "host-address-twice" in {one.id for one in loaded.errors}
    with pytest.raises(BadInput, match="host-address-twice"):
        refuse_errors(loaded)
    comment = "# underlay: ignore-file host-address-twice: one of them is off\n"
    for name in ("alpha", "beta"):
        one = Path("hosts", name, "etc/systemd/network/10-ens3.network")
        one.write_text(comment + one.read_text())
    loaded = load(lab_of(LAB))
    assert "host-address-twice" not in {one.id for one in loaded.errors}
    assert {one.finding.id for one in loaded.silenced} == {"host-address-twice"}
    refuse_errors(loaded)


@pytest.mark.parametrize("shape", ["sarif", "github", "json"])
def test_formats_for_programs_name_the_hosts_files(
    shape: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A rule about hosts' files that a lab's finding comes from is among the run's rules."""
    (here / "lab.yml").write_text(LAB)
    for name in ("alpha", "beta"):
        lines = CONF.format(first=64, last=95).replace('.0/24",', '.0/24"').splitlines()
        (here / "hosts" / name / NET_D).write_text("\n".join(lines[:8] + lines[-2:]))
    assert cli.main(["lint", "lab.yml", "--format", shape]) == 1
    out = capfd.readouterr().out
    where = "hosts/beta/etc/cni/net.d/20-lannet.conf"
    if shape == "github":
        assert f"::error file={where},title=range-twice,line=8,col=" in out
        return
    found = json.loads(out)
    if shape == "json":
        assert documents.problems("lint", found) == []
        assert ("range-twice", where, 8) in {
            (one["id"], one["file"], one["line"]) for one in found["findings"]
        }
        return
    run = checked(found)
    twice = next(one for one in run.results if one.rule == "range-twice")
    assert twice.locations[0].physical.artifact.uri == where
    assert twice.locations[0].physical.region.start_line == 8
    assert twice.related[0].physical.artifact.uri == where.replace("beta", "alpha")


def test_a_file_that_its_own_program_refuses_is_a_result(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "lab.yml").write_text(LAB)
    (here / "hosts/beta" / NET_D).write_text("{")
    assert cli.main(["lint", "lab.yml", "--format", "sarif"]) == 2
    (result,) = checked(json.loads(capfd.readouterr().out)).results
    assert result.locations[0].physical.artifact.uri == f"hosts/beta/{NET_D}"
    (here / "hosts/beta" / NET_D).write_text(CONF.format(first=96, last=127))
    (here / "lab.yml").write_text(f"{LAB}images: [shop.tar]\n")
    assert cli.main(["lint", "lab.yml", "--format", "sarif"]) == 2
    (result,) = checked(json.loads(capfd.readouterr().out)).results
    assert result.rule == "no-image"


def test_a_lab_above_the_working_folder_is_read(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "lab.yml").write_text(LAB)
    monkeypatch.chdir(here / "hosts")
    assert cli.main(["lint", "../lab.yml"]) == 0


def test_a_group_is_in_the_network_that_each_host_calls_so() -> None:
    """What is silenced makes two networks, and the lab file names them as the hosts do."""
    path = Path("hosts/beta", NET_D)
    comment = '{"_comment": "underlay: ignore fleet-lab: wanted",'
    path.write_text(
        path.read_text()
        .replace("{", comment, 1)
        .replace('"macvlan",', '"macvlan", "mode": "private",')
    )
    loaded = load(lab_of(LAB + "containers: [{on: all, networks: [lannet], count: 2}]\n"))
    found = {one.name: one.attachments[0].network for one in loaded.plan.containers}
    assert found == {
        "lannet-1a": "lannet",
        "lannet-1b": "lannet",
        "lannet-2a": "lannet-2",
        "lannet-2b": "lannet-2",
    }
    assert {one.node for one in loaded.plan.containers if one.name[-2] == "2"} == {"beta"}
