"""Compose files as people write them: what each is made of, and what of it is a network's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archive import files_of, unpack
from underlay.errors import BadInput
from underlay.fleet import read_hosts
from underlay.fleet.carried import Carried, carry
from underlay.fleet.document import Document
from underlay.fleet.formats.compose import environment, filled_in
from underlay.fleet.own import program_of
from underlay.lint.hosts import lint_hosts, refuse

LAN = """\
networks:
  lan:
    driver: macvlan
    driver_opts: {parent: eth1, macvlan_mode: private}
    ipam: {config: [{subnet: 192.168.1.0/24, ip_range: 192.168.1.192/27, gateway: 192.168.1.1}]}
"""
WEB = "services:\n  web:\n    image: x\n"


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def made(**files: str) -> Carried:
    """Return what the files of host ``a`` lead to: each by its path, with __ for /, and _ for ."""
    text = "".join(f"-- a/{name} --\n{body}" for name, body in files.items())
    hosts = read_hosts(unpack(files_of(text), Path.cwd()), inside=True)
    refuse(hosts)
    return carry(hosts, {}, "compose")


def of(carried: Carried) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in carried.lab["containers"]}


def left(carried: Carried, *, matters: bool) -> str:
    return "\n".join(str(one) for one in carried.left_out if one.matters is matters)


def test_addresses_macs_modes_and_parents() -> None:
    web = (
        f"{WEB}    networks:\n      lan:\n        ipv4_address: 192.168.1.200\n"
        "        mac_address: 02:42:C0-A8-01-C8\n        aliases: [www]\n"
    )
    carried = made(**{"compose.yml": f"{web}{LAN}".replace("C0-A8-01", "C0:A8:01")})
    assert carried.lab["networks"]["lan"]["mode"] == "private"
    assert of(carried)["web"]["addresses"] == {"lan": "192.168.1.200"}
    assert of(carried)["web"]["macs"] == {"lan": "02:42:c0:a8:01:c8"}
    assert "services.web.networks.lan.aliases" in left(carried, matters=False)
    assert not left(carried, matters=True)


@pytest.mark.parametrize("named", ["name: srv_lan", "name: ours", "name: lan"])
def test_a_network_of_another_project_is_found_by_its_name(named: str) -> None:
    own = named.removeprefix("name: ")
    first = LAN if own == "srv_lan" else LAN.replace("driver: mac", f"{named}\n    driver: mac")
    other = f"{WEB}    networks: [out]\nnetworks:\n  out: {{external: true, {named}}}\n"
    carried = made(**{"srv/compose.yml": f"services: {{}}\n{first}", "other/compose.yml": other})
    assert list(of(carried)) == ["web"]
    # One that nobody makes is named.
    carried = made(
        **{"srv/compose.yml": first, "other/compose.yml": other.replace(named, "name: x")}
    )
    assert "web in x: the lab has no such network" in left(carried, matters=True)


def test_two_projects_may_call_their_networks_alike() -> None:
    other = LAN.replace("192.168.1.", "192.168.2.").replace("eth1", "eth2")
    named = other.replace("driver: mac", "name: second\n    driver: mac")
    db = WEB.replace("web", "db")
    carried = made(
        **{
            "one/compose.yml": f"{WEB}    networks: [lan]\n{LAN}",
            "two/compose.yml": f"{db}    networks: [lan]\n{named}",
        }
    )
    assert of(carried)["db"]["networks"] == ["second"]


@pytest.mark.parametrize("file", ["", "file: common.yml, "])
def test_extends_takes_networks_and_addresses_over(file: str) -> None:
    base = (
        "  base:\n    image: y\n    scale: 2\n    depends_on: [x]\n    networks: [lan]\n"
        "    profiles: [none]\n"
    )
    own = (
        f"{WEB}    extends: {{{file}service: base}}\n    scale: 1\n"
        "    networks: {lan: {ipv4_address: 192.168.1.200}}\n    profiles: !reset null\n"
    ).replace("    profiles: !reset null\n", "")
    files = {"srv/compose.yml": f"{own}{'' if file else base}{LAN}"}
    if file:
        files["srv/common.yml"] = f"services:\n{base}"
    carried = made(**{**files, "srv/.env": "COMPOSE_PROFILES=none\n"})
    found = of(carried)
    assert found["web"]["addresses"] == {"lan": "192.168.1.200"}
    assert "count" not in found["web"]
    # A file that is extended starts nothing itself; a service of the same file does.
    assert ("base" in found) is not bool(file)


def test_extends_of_extends() -> None:
    text = (
        "services:\n  web: {extends: b}\n  b: {extends: {service: a}, image: x}\n"
        "  a: {image: x, networks: {lan: {ipv4_address: 192.168.1.200}}}\n"
    )
    with pytest.raises(BadInput, match="\\[compose-reference\\]"):
        made(**{"compose.yml": f"services:\n  a: {{extends: b}}\n  b: {{extends: a}}\n{LAN}"})
    hosts = read_hosts(unpack(files_of(f"-- a/compose.yml --\n{text}{LAN}"), Path.cwd()))
    (web, *_) = hosts[0].containers
    assert str(web.networks[0][1][0]) == "192.168.1.200"


def test_include_brings_networks_and_services_of_another_file() -> None:
    main = f"include:\n  - nets/lan.yml\n  - path: more.yml\n{WEB}    networks: [lan]\n"
    carried = made(
        **{
            "srv/compose.yml": main,
            "srv/nets/lan.yml": LAN,
            "srv/more.yml": WEB.replace("web", "db") + "    networks: [lan]\n",
        }
    )
    assert sorted(of(carried)) == ["db", "web"]
    # The line is that of the file where it stands.
    assert carried.origins["networks", "lan", "subnet"].file == "a/srv/nets/lan.yml"
    # Who starts it is the file that includes it.
    assert {one.file for one in carried.starters.values()} == {"a/srv/compose.yml"}
    assert {one.file for one in carried.makers["lan"].values()} == {"a/srv/compose.yml"}


def test_an_override_is_laid_over_and_starts_nothing_itself() -> None:
    over = "services:\n  web:\n    networks: {lan: {ipv4_address: 192.168.1.201}}\n"
    files = {
        "srv/compose.yml": f"{WEB}    networks: [lan]\n{LAN}",
        "srv/compose.override.yml": over,
    }
    carried = made(**files)
    assert len(carried.lab["containers"]) == 1
    assert of(carried)["web"]["addresses"] == {"lan": "192.168.1.201"}
    (host,) = read_hosts(["a=a"])
    assert {d.name: program_of(d) for d in host.documents} == {
        "compose.yml": "compose",
        "compose.override.yml": "compose-part",
    }
    # Of two that could be laid over, docker compose takes the first by its own order.
    more = {**files, "srv/compose.override.yaml": over.replace("201", "202")}
    assert of(made(**more))["web"]["addresses"] == {"lan": "192.168.1.201"}


def test_a_variant_is_named_and_taken_where_env_says_so() -> None:
    files = {
        "srv/docker-compose.yml": f"{WEB}    networks: [lan]\n{LAN}",
        "srv/docker-compose.prod.yml": WEB.replace("web", "prod") + "    networks: [lan]\n",
    }
    carried = made(**files)
    assert list(of(carried)) == ["web"]
    assert "docker compose takes docker-compose.yml of this folder" in left(carried, matters=True)
    chosen = "COMPOSE_FILE=docker-compose.yml:docker-compose.prod.yml\n"
    assert sorted(of(made(**files, **{"srv/.env": chosen}))) == ["prod", "web"]
    # Without a file that counts by itself, whatever there is counts.
    only = {"srv/docker-compose.prod.yml": f"{WEB}    networks: [lan]\n{LAN}"}
    hosts = read_hosts(unpack(files_of(f"-- b/x.prod.yml --\n{only.popitem()[1]}"), Path.cwd()))
    assert hosts[0].containers[0].name == "web"


@pytest.mark.parametrize(("env", "there"), [("", False), ("COMPOSE_PROFILES=a,debug\n", True),
                                            ("COMPOSE_PROFILES=*\n", True)])  # fmt: skip
def test_profiles(env: str, there: bool) -> None:
    text = f"{WEB}    networks: [lan]\n  tap:\n    image: x\n    profiles: [debug]\n"
    carried = made(**{"compose.yml": f"{text}    networks: [lan]\n{LAN}", ".env": env})
    assert ("tap" in of(carried)) is there
    assert ("tap: its profile debug isn't on" in left(carried, matters=True)) is not there


@pytest.mark.parametrize(
    ("mode", "words", "matters"),
    [
        ("service:web", "vpn in service:web: it has that one's networks", False),
        ("container:x", "vpn in container:x: it has that one's networks", False),
        ("none", "vpn in none", False),
        ("host", "vpn in host: it has its host's own network", False),
    ],
)
def test_network_mode(mode: str, words: str, matters: bool) -> None:
    text = f"{WEB}    networks: [lan]\n  vpn: {{image: x, network_mode: '{mode}'}}\n{LAN}"
    carried = made(**{"compose.yml": text})
    assert list(of(carried)) == ["web"]
    assert words in left(carried, matters=matters)


def test_anchors_and_merge_keys() -> None:
    text = (
        "x-base: &base\n  image: x\n  networks: &nets\n    lan: &lan {priority: 1}\n"
        "services:\n  web:\n    <<: *base\n  db:\n    <<: [*base]\n    networks:\n      <<: *nets\n"
        "      lan: {<<: *lan, ipv4_address: 192.168.1.202}\n"
    )
    carried = made(**{"compose.yml": f"{text}{LAN}"})
    assert of(carried)["web"]["networks"] == ["lan"]
    assert of(carried)["db"]["addresses"] == {"lan": "192.168.1.202"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("${A}", "1"), ("$A-x", "1-x"), ("$$A", "$A"), ("${B:-2}", "2"), ("${E:-2}", "2"),
        ("${E-2}", ""), ("${B-2}", "2"), ("${A:+y}${B:+n}", "y"), ("${B:-${C:-3}}.0", "3.0"),
        ("${B:-${A}}", "1"), ("${B}", "${B}"), ("${B:?no}", "${B:?no}"), ("${A", "${A"),
        ("${", "${"), ("$", "$"), ("${}", "${}"), ("${B:-}", ""), ("192.168.${A}.0/24",
        "192.168.1.0/24"), ("$1", "$1"),
    ],
)  # fmt: skip
def test_variables(text: str, value: str) -> None:
    assert filled_in(text, {"A": "1", "E": ""}) == value


def test_an_env_file_may_name_what_is_above() -> None:
    text = "export A=1\nB=${A}.2 # said\nC='${A}'\nD=\"${B}\"\nnonsense\nE=${E}\n"
    assert environment(Document(".env", text)) == {
        "A": "1", "B": "1.2", "C": "${A}", "D": "1.2", "E": "${E}",
    }  # fmt: skip


def test_values_of_env_and_defaults() -> None:
    text = (
        "networks:\n  lan:\n    driver: macvlan\n    driver_opts: {parent: '${PARENT:-eth9}'}\n"
        "    ipam:\n      config:\n        - subnet: ${NET:-10.2}.0.0/24\n"
        "          ip_range: ${NET:-${OLD:-10.2}}.0.32/27\n"
    )
    carried = made(**{"compose.yml": f"{WEB}    networks: [lan]\n{text}", ".env": "PARENT=eth1\n"})
    assert carried.lab["networks"]["lan"]["ranges"] == {"a": "10.2.0.32/27"}
    assert list(carried.lab["segments"]) == ["eth1"]


@pytest.mark.parametrize("file", ["/etc/passwd", "../../../../etc/passwd", "~/x.yml", "http://x/y"])
def test_no_file_outside_of_the_host_s_folder_is_looked_at(file: str) -> None:
    Path("etc").mkdir()
    text = f"include: ['{file}']\n{WEB}    networks: [lan]\n"
    text += f"    extends: {{file: '{file}', service: x}}\n"
    hosts = read_hosts(unpack(files_of(f"-- a/compose.yml --\n{text}{LAN}"), Path.cwd()))
    assert [one.id for one in lint_hosts(hosts)] == ["compose-reference"] * 2
    assert [one.line for one in lint_hosts(hosts)] == [1, 6]


def test_a_service_of_an_included_file_may_be_extended_and_an_override_comes_last() -> None:
    """Source: compose-go, loader.loadYamlFile: include, then extends, then the next file."""
    main = f"include: [b.yml]\n{WEB}    extends: base\n  db: {{extends: web}}\n"
    main += "  run: {image: x, networks: [lan]}\n"
    carried = made(
        **{
            "srv/compose.yml": main,
            "srv/compose.override.yml": "services:\n  web: {mac_address: '02:00:00:00:00:01'}\n",
            "srv/b.yml": "services:\n  base: {image: x, scale: 0, networks: [lan]}\n" + LAN,
        }
    )
    assert left(carried, matters=True).count("no replica of it is started") == 3
    (host,) = read_hosts(["a=a"])
    macs = {one.name: one.networks[0][2] for one in host.containers}
    assert macs == {"base": "", "web": "02:00:00:00:00:01", "db": "", "run": ""}


def test_networks_that_hosts_call_differently_on_one_wire_are_one() -> None:
    """Docker takes one macvlan network on a parent, and nodes of a lab have all networks."""
    nic = "[Match]\nName=eth1\n[Network]\nAddress=192.168.1.{}/24\n"
    text = f"{WEB}    networks: [lan]\n{LAN}"
    other = text.replace("lan", "media").replace("macvmedia", "macvlan").replace("web", "db")
    other = other.replace("192.168.1.192", "192.168.1.160")
    files = {
        "a/10-eth1.network": nic.format(11),
        "b/10-eth1.network": nic.format(12),
        "a/compose.yml": text,
        "b/compose.yml": other,
    }
    archive = "".join(f"-- {name} --\n{body}" for name, body in files.items())
    hosts = read_hosts(unpack(files_of(archive), Path.cwd()), inside=True)
    carried = carry(hosts, {}, "compose", real=True)
    ((name, network),) = carried.lab["networks"].items()
    assert name == "lan"
    assert network["ranges"] == {"a": "192.168.1.192/27", "b": "192.168.1.160/27"}
    assert {name: one["networks"] for name, one in of(carried).items()} == {
        "web": ["lan"],
        "db": ["lan"],
    }
    assert "media of b and lan of a are one network" in str(
        [one.text for one in carried.assumptions]
    )
    assert sorted(carried.makers["lan"]) == ["a", "b"]
    # Of another wire, subnet or gateway it is another network.
    Path("b/compose.yml").write_text(other.replace("gateway: 192.168.1.1", "gateway: 192.168.1.9"))
    hosts = read_hosts(["a=a", "b=b"], inside=True)
    assert list(carry(hosts, {}, "compose").lab["networks"]) == ["lan", "media"]


@pytest.mark.parametrize(("mode", "matters"), [("host", False), ("none", False), ("other", True)])
def test_a_service_in_its_host_s_network_bears_on_nobody(mode: str, matters: bool) -> None:
    carried = made(**{"srv/compose.yml": f"{WEB}    network_mode: {mode}\n{LAN}"})
    [found] = [one for one in carried.left_out if one.what == f"web in {mode}"]
    assert found.matters is matters
    assert ("its host's own" in found.why) is (mode == "host")
