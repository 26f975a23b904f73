"""Files of a user's own on a node: what is laid over them, what is run, what is put aside."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from underlay_node import carried, cni, compose, networkd, own, quadlet, script, stand_in, user_data
from underlay_node.commands import Failed

from underlay.lint.read import read_lab
from underlay.plan import OwnFile, make_plan
from underlay.render import render_all, rendered_files

ROOT = Path(__file__).resolve().parents[3]
FLEET = ROOT / "tests" / "fleets" / "mixed" / "lab.yml"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGdvbGRlbmdvbGRlbmdvbGRlbmdvbGRlbmdvbGRl golden"
NETWORK = {
    "name": "lan", "driver": "macvlan", "mode": "bridge", "runtime": "docker",
    "parent": "eth1", "own_mac": True, "pools": [{"subnet": "10.9.1.0/24"}],
}  # fmt: skip
SAID: dict[str, Any] = {
    "name": "shop",
    "services": {
        "web": {
            "image": "nginx:1.27",
            "command": ["nginx"],
            "volumes": [{"type": "bind", "source": "/", "target": "/host"}],
            "privileged": True,
            "ports": [{"target": 80}],
            "depends_on": {"db": {"condition": "service_healthy"}},
            "networks": {"lan": {"ipv4_address": "10.9.1.70"}},
        },
        "db": {"image": "db@sha256:" + 64 * "0", "networks": {"lan": None}},
    },
    "networks": {
        "lan": {
            "name": "shop_lan",
            "driver": "macvlan",
            "driver_opts": {"parent": "eth1"},
            "ipam": {"config": [{"subnet": "10.9.1.0/24"}]},
        }
    },
}


def specified(name: str, address: str, **more: Any) -> dict[str, Any]:
    attachment = {"network": "lan", "interface": "eth0", "address": address, "address6": ""}
    attachment |= {"mac": "02:75:10:01:00:01", "more": ()}
    container = {"name": name, "runtime": "docker", "attachments": [attachment], **more}
    return {"container": container, "networks": {"lan": NETWORK}}


def file(path: str, text: str, program: str = "compose") -> dict[str, Any]:
    return asdict(OwnFile(path, program, text, 0o644, f"hosts/one{path}"))


def node(*files: dict[str, Any]) -> dict[str, Any]:
    return {"node": {"name": "one", "own": list(files)}, "networks": [], "containers": []}


def overlaid() -> str:
    images = {name: body["image"] for name, body in SAID["services"].items()}
    both = {
        "web": specified("web", "10.9.1.70/24"),
        "db-1a": specified("db-1a", "10.9.1.65/24"),
    }
    given = compose.pairs(SAID, both)
    assert given == {"web": ["web"], "db": ["db-1a"]}
    return compose.override(SAID, both, given, images, [*images.values()])


def test_a_compose_service_keeps_its_network_and_loses_what_reaches_beyond() -> None:
    text = overlaid()
    web, db = text.split('  "db":')
    for key in ("volumes", "ports", "privileged", "command"):
        assert f"    {key}: !reset null" in web
    assert 'depends_on: !override {"db": {"condition": "service_started"}}' in web
    assert "ipv4_address" not in web
    assert 'networks: {"lan": {"ipv4_address": "10.9.1.65", "mac_address": "02:75:' in db
    assert 'image: "db:latest"' in db


def test_compose_files_are_put_together_as_their_folder_says(tmp_path: Path) -> None:
    there = ("compose.yml", "compose.override.yaml", "compose.override.yml", "prod.yml", ".env")
    base, _, over, prod, env = (str(tmp_path / name) for name in there)
    for name in there:
        (tmp_path / name).write_text("")
    assert compose.composed_of(base) == [base, over]
    assert compose.composed_of(prod) == [prod]
    Path(env).write_text("# COMPOSE_FILE=else.yml\nCOMPOSE_FILE='compose.yml:prod.yml'\n")
    assert compose.composed_of(base) == [base, prod]
    Path(env).write_text("COMPOSE_PATH_SEPARATOR=,\nCOMPOSE_FILE=prod.yml,compose.yml\n")
    assert compose.composed_of(prod) == [prod, base]
    assert compose.composed_of(over) == [over]


def test_what_the_compose_file_says_of_networks_is_laid_over_by_nothing() -> None:
    lines = overlaid().splitlines()
    assert not [line for line in lines if line and not line.startswith(" ")][1:]


def test_it_is_said_what_of_services_was_put_aside() -> None:
    images = {"web": "nginx:1.27", "db": "mine"}
    assert compose.put_aside(SAID, images, ["nginx:1.27"]) == [
        "a stand-in runs as web, for its image nginx:1.27",
        "of web put aside: ports, privileged, volumes, command",
    ]


@pytest.mark.parametrize(
    ("image", "repository", "tag", "usable"),
    [
        ("nginx", "nginx", "latest", "nginx"),
        ("nginx:1.27", "nginx", "1.27", "nginx:1.27"),
        ("reg.example:5000/a/b", "reg.example:5000/a/b", "latest", "reg.example:5000/a/b"),
        ("reg.example:5000/a:2", "reg.example:5000/a", "2", "reg.example:5000/a:2"),
        ("a:2@sha256:00", "a", "2", "a:2"),
        ("a@sha256:00", "a", "latest", "a:latest"),
    ],
)
def test_a_stand_in_is_called_as_the_image(
    image: str, repository: str, tag: str, usable: str
) -> None:
    assert stand_in.split(image) == (repository, tag)
    assert stand_in.usable(image) == usable


CONTAINER = """\
[Unit]
Description=web
[Container]
Image=docker.io/library/nginx
Network=lan.network
Volume=/:/host
Exec=nginx -g \\
  "daemon off;"
PublishPort=80:80
[Service]
Restart=always
"""


def test_a_quadlet_keeps_its_network_and_loses_what_reaches_beyond() -> None:
    held = file("/etc/containers/systemd/web.container", CONTAINER, "quadlet")
    mine = specified("web", "10.9.1.65/24")
    assert quadlet.drop_in(held, mine, ["docker.io/library/nginx"]).splitlines() == [
        "[Container]",
        "Pull=never",
        "Image=docker.io/library/nginx",
        "PublishPort=",
        "Volume=",
        "Exec=",
        "Network=",
        "Network=lan.network:ip=10.9.1.65,mac=02:75:10:01:00:01",
        "PodmanArgs=--pidfile=/run/underlay/web.pid",
        "[Service]",
        "ExecStartPre=/usr/bin/mkdir -p /run/underlay",
        "Restart=no",
    ]
    more = "PodmanArgs=--volume /:/host --sysctl net.ipv4.ip_forward=1\n[Service]\nExecStartPre=x\n"
    held = file(held["path"], f"[Container]\nImage=a\n{more}", "quadlet")
    assert quadlet.drop_in(held, None, []).splitlines()[2:] == [
        "Image=a",
        "PodmanArgs=",
        "PodmanArgs=--sysctl net.ipv4.ip_forward=1",
        "[Service]",
        "ExecStartPre=",
        "Restart=no",
    ]
    held = file("/etc/containers/systemd/web.container", CONTAINER, "quadlet")
    its_own = quadlet.drop_in(held, mine, [])
    assert "Exec=" not in its_own
    given = file(held["path"], CONTAINER.replace("Volume=/:/host", "IP=10.9.1.70"), "quadlet")
    assert "Network=lan.network:mac=02:75:10:01:00:01" in quadlet.drop_in(given, mine, [])


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("web.container", "web.service"),
        ("lan.network", "lan-network.service"),
        ("shop.pod", "shop-pod.service"),
    ],
)
def test_a_quadlets_unit_is_called_as_podman_does(name: str, unit: str) -> None:
    assert quadlet.unit(f"/etc/containers/systemd/{name}") == unit


@pytest.mark.parametrize(
    ("line", "kept", "image", "away"),
    [
        (
            "-d --name web --network lan --ip 10.9.1.70 -v /:/host -p80:80 nginx nginx -g x",
            {"--name": ["web"], "--network": ["lan"], "--ip": ["10.9.1.70"]},
            "nginx",
            ["-v", "-p"],
        ),
        ("-itd --net=lan --privileged a:1", {"--network": ["lan"]}, "a:1", ["--privileged"]),
        ("--rm --env-file x --network lan", {"--network": ["lan"]}, "", ["--rm", "--env-file"]),
    ],
)
def test_a_scripts_run_keeps_what_is_about_its_network(
    line: str, kept: dict[str, list[str]], image: str, away: list[str]
) -> None:
    assert script.taken_apart(line.split()) == (kept, image, away)


def test_a_scripts_container_gets_what_the_script_leaves_open() -> None:
    mine = specified("web", "10.9.1.65/24")
    mac = ["--mac-address", "02:75:10:01:00:01"]
    both = ["--ip", "10.9.1.65", *mac]
    assert script.endpoint("docker", mine, {"--network": ["lan"]}) == both
    assert script.endpoint("docker", mine, {"--network": ["lan"], "--ip": ["10.9.1.7"]}) == mac
    assert script.endpoint("podman", mine, {"--network": ["lan:ip=10.9.1.7"]}) == mac
    assert script.endpoint("docker", mine, {"--network": ["lan", "other"]}) == []


def test_of_user_data_what_reaches_outside_is_taken_out() -> None:
    said = {
        "hostname": "one",
        "packages": ["nginx"],
        "runcmd": ["curl -s x | sh", ["apt-get", "update"], "sysctl -w a=1", "docker ps"],
        "write_files": [
            {"path": "/etc/a", "content": "a", "owner": "web:web"},
            {"path": "/etc/b", "source": {"uri": "http://b"}},
            {"path": "/etc/underlay/node.json", "content": "{}"},
        ],
    }
    kept, away = user_data.without_outside(said)
    assert kept["runcmd"] == ["sysctl -w a=1"]
    assert kept["write_files"] == [{"path": "/etc/a", "content": "a"}]
    assert away == [
        "packages",
        "runcmd: curl -s x | sh",
        "runcmd: apt-get update",
        "runcmd: docker ps",
        "write_files: /etc/b",
        "write_files: /etc/underlay/node.json",
    ]


def test_commands_of_user_data_that_make_something_wait_for_networkd() -> None:
    """Programs that fetch are stood in for in such a script, and what starts later isn't asked."""
    quadlet_file = {"path": "/etc/containers/systemd/shop.container", "content": "[Container]"}
    commands = [
        "curl -s x | sh", "docker network create lan", ["systemctl", "start", "shop.service"],
        "systemctl enable --now shop", "systemctl start shop-db", "ip link add a type dummy",
    ]  # fmt: skip
    kept, away = user_data.without_outside({"runcmd": commands, "write_files": [quadlet_file]})
    assert kept["runcmd"] == [commands[0], commands[1], commands[4], commands[5]]
    assert away == ["runcmd: systemctl start shop.service", "runcmd: systemctl enable --now shop"]
    assert user_data.makes(kept["runcmd"])
    assert not user_data.makes(["sysctl -w a=1", ["echo", "x"]])


def test_users_and_the_clock_of_user_data_are_let_through() -> None:
    said = {
        "timezone": "Europe/Berlin",
        "users": ["default", {"name": "me", "ssh_import_id": ["gh:me"], "shell": "/bin/bash"}],
        "groups": ["web"],
        "locale": "de_DE.UTF-8",
    }
    kept, away = user_data.without_outside(said)
    assert kept["timezone"] == "Europe/Berlin"
    assert kept["users"] == [{"name": "me", "shell": "/bin/bash"}]
    assert kept["groups"] == ["web"]
    assert away == ["locale", "users: me: ssh_import_id"]


def test_no_file_of_a_users_own_takes_the_place_of_underlays() -> None:
    for path in ("/etc/underlay/node.json", "/run/underlay/x", "/etc/../etc/x", "etc/x"):
        with pytest.raises(Failed, match="belongs there"):
            own.differing(node(file(path, "")), {})


def test_own_files_that_go_are_removed(tmp_path: Path) -> None:
    held = file(str(tmp_path / "compose.yml"), "services: {}\n")
    changed, gone = own.differing(node(held), {})
    assert (changed, gone) == ([held], [])
    own.install(changed, gone)
    assert own.missing(node(held)) == []
    assert own.differing(node(held), {}) == ([], [])
    assert own.differing(node(), node(held)) == ([], [held["path"]])
    Path(held["path"]).write_text("else")
    assert own.missing(node(held)) == [f"{held['path']} is not {held['source']} word for word"]


def test_a_failure_names_the_line_that_it_is_about() -> None:
    held = file("/srv/compose.yml", "services:\n  web:\n    image: nginx\n    parent: eth9\n")
    assert own.where(held, "invalid subinterface eth9") == "hosts/one/srv/compose.yml:4"
    assert own.where(held, "no such thing") == "hosts/one/srv/compose.yml"


def test_all_containers_of_a_file_are_started_together() -> None:
    known = {
        name: specified(name, "10.9.1.65/24", started_by=by)
        for name, by in (("web", "/srv/a"), ("db", "/srv/a"), ("else", "/srv/b"), ("own", ""))
    }
    assert carried.with_whole_files(["web"], known, known) == ["web", "db"]
    assert carried.with_whole_files([], known, known) == []
    more = known | {"new": specified("new", "10.9.1.66/24", started_by="/srv/b")}
    assert carried.with_whole_files([], known, more) == ["else"]


def test_a_change_of_an_own_file_is_one_of_what_is_made_of_it() -> None:
    network = {**NETWORK, "made_by": [["one", "/srv/compose.yml"]]}
    first, second = (
        own.network(network, node(file("/srv/compose.yml", text))) for text in ("a: 1", "a: 2")
    )
    assert first["own_file"] == second["own_file"] == "/srv/compose.yml"
    assert first["own_digest"] != second["own_digest"]
    assert own.network(NETWORK, node()) == NETWORK
    beside = node(file("/srv/compose.yml", "a: 1"), file("/srv/.env", "A=1", "env"))
    assert own.network(network, beside)["own_digest"] != first["own_digest"]


def test_a_netdev_unit_names_the_link_that_it_makes() -> None:
    unit = {"path": "/etc/systemd/network/20-a.netdev", "text": "[NetDev]\nName = eth1.7\n"}
    assert networkd.made_by(unit) == "eth1.7"
    assert networkd.made_by({**unit, "path": "/etc/systemd/network/20-a.network"}) == ""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the folders of the fleet's files, and of those with an archive of images.

    One run of Ansible has rendered both.
    """
    plan = make_plan(read_lab(FLEET))
    archived = replace(plan, lab="archived", images=("/somewhere/web.tar",))
    cache = tmp_path_factory.mktemp("made")
    without, with_images = render_all([plan, archived], KEY, cache)
    return without, with_images


def test_nothing_is_rendered_for_what_own_files_make(made: tuple[Path, Path]) -> None:
    plan, folder = make_plan(read_lab(FLEET)), made[0]
    names = {str(path) for path in rendered_files(folder)}
    seed = ("meta-data", "network-config", "node.json", "user-data")
    assert names == {f"{one.name}/{name}" for one in plan.nodes for name in seed}
    config = (folder / "core-01" / "network-config").read_text()
    assert "set-name: ens3" in config
    assert "192.168.50.11" not in config
    assert "vlans:" not in config
    held = json.loads((folder / "core-01" / "node.json").read_text())
    assert (
        own.by_path(held)["/srv/shop/compose.yml"]["text"]
        == (FLEET.parent / "hosts/core-01/srv/shop/compose.yml").read_text()
    )


def test_archives_of_images_come_by_the_seed(made: tuple[Path, Path]) -> None:
    copied = "[cp, -r, /run/underlay/seed/images, /var/lib/underlay/images]"
    said = [copied in (folder / "core-01" / "user-data").read_text() for folder in made]
    assert said == [False, True]


def test_a_plugin_of_one_range_for_all_nodes_is_stood_in_for_by_static(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """whereabouts is on no node; its file stays, and libcni reads a copy."""
    monkeypatch.setattr(cni, "COPIES", str(tmp_path / "copies"))
    ours = {"type": "whereabouts", "range": "10.9.1.0/24", "routes": [{"dst": "0.0.0.0/0"}]}
    held = tmp_path / "10-lan.conflist"
    held.write_text(json.dumps({"name": "lan", "plugins": [{"type": "macvlan", "ipam": ours}]}))
    network = {"name": "lan-2", "own_file": str(held), "ipam": "cluster"}
    assert cni._folder(network) == [f"NETCONFPATH={tmp_path}/copies"]
    [plugin] = json.loads((tmp_path / "copies" / held.name).read_text())["plugins"]
    assert plugin["ipam"] == {"type": "static", "routes": ours["routes"]}
    assert plugin["capabilities"] == {"ips": True}
    assert cni.called(network) == "lan"
    assert cni._folder({**network, "ipam": ""}) == []
    held.write_text("{")
    with pytest.raises(Failed, match="names no network"):
        cni.called(network)


@pytest.mark.parametrize(
    ("text", "limit", "words"),
    [
        ("sleep 30 & sleep 30\n", 1, "has not ended after 1 s"),
        ("echo no such network ens9\nexit 3 # ens9\n", 9, ":1: exit 3: no such network ens9"),
    ],
)
def test_a_script_that_fails_or_hangs_is_said_to(
    text: str, limit: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FOLDER", "PLANNED", "STARTED", "ASIDE"):
        monkeypatch.setattr(script, name, str(tmp_path / name.lower()))
    monkeypatch.setattr(script, "LIMIT", limit)
    # No namespace, and no engine's name in it: this is no node.
    monkeypatch.setattr(script, "SHELL", 'cd "$1" && shift && exec "$@"')
    monkeypatch.setattr(script.podman, "settle", lambda: None)
    monkeypatch.setattr(script, "UNSHARE", [])
    path = tmp_path / "setup.sh"
    path.write_text(text)
    with pytest.raises(Failed, match=words):
        script.run_script(file(str(path), text, "docker-script"), {}, [])


def test_an_image_that_another_quadlet_fetches_is_stood_in_for() -> None:
    held = file("/etc/containers/systemd/web.container", "[Container]\nImage=shop.build\n")
    assert "Image=localhost/shop:latest" in quadlet.drop_in(held, None, []).splitlines()


def test_what_a_script_makes_by_ip_is_left_to_it() -> None:
    """ip refuses to make what is there: the script comes first, and the rest is seen to later."""
    text = "ip link add lan-shim link ens3 \\\n  type macvlan mode bridge\n"
    held = node(file("/srv/setup.sh", text, "script"))
    held["node"]["links"] = [{"interface": name} for name in ("lan-shim", "lan-shim2", "other")]
    assert own.made_by_scripts(held) == {"/srv/setup.sh": ["lan-shim"]}
    assert own.to_run(held, held) == {"/srv/setup.sh": ["lan-shim"]}
    assert own.to_run(node(), held) == {}


def test_a_pod_keeps_its_network_and_loses_what_reaches_beyond() -> None:
    text = "[Pod]\nPodName=apps\nNetwork=lan.network\nPublishPort=80:80\nVolume=/a:/b\n"
    held = file("/etc/containers/systemd/apps.pod", text)
    network = {**NETWORK, "runtime": "podman", "ipam": ""}
    attachment = {
        "network": "lan",
        "address": "10.9.1.7/24",
        "address6": "",
        "mac": "02:00:00:00:00:07",
    }
    specified = {
        "container": {"name": "apps", "attachments": [attachment]}, "networks": {"lan": network},
    }  # fmt: skip
    lines = quadlet.pod_drop_in(held, specified).splitlines()
    assert lines[:3] == ["[Pod]", "PublishPort=", "Volume="]
    assert "PodmanArgs=--infra-image=localhost/underlay/stand-in:latest" in lines
    assert any(line.startswith("Network=lan.network:ip=10.9.1.7,mac=02:") for line in lines)
    assert quadlet.unit(held["path"]) == "apps-pod.service"
