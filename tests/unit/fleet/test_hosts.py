"""Hosts' configuration: what is read from where, and what can't be."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path

import pytest

from underlay.cli import main
from underlay.errors import BadInput
from underlay.fleet import read_hosts
from underlay.fleet.document import inflated
from underlay.lint.finding import Finding
from underlay.lint.hosts import host_rules, lint_hosts

GOOD = {
    "cniVersion": "1.0.0",
    "name": "lannet",
    "type": "macvlan",
    "master": "eth1",
    "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"},
}


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def put(name: str, content: object) -> None:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content, indent=2))


def found(*pairs: str) -> list[Finding]:
    return lint_hosts(read_hosts(list(pairs)))


def ids(findings: list[Finding]) -> list[str]:
    return [finding.id for finding in findings]


def test_a_single_host_is_clean() -> None:
    put("a/20-lannet.conf", GOOD)
    assert found("a=a") == []
    assert found("a=a/20-lannet.conf") == []


def test_rules_are_many_and_each_has_its_words() -> None:
    rules = host_rules()
    assert len({rule.id for rule in rules}) == len(rules) >= 100
    assert all(rule.reason.endswith(".") and rule.source for rule in rules)


@pytest.mark.parametrize(
    ("pair", "words"),
    [
        ("core-01", "no NAME=DIR"),
        ("=etc", "no NAME=DIR"),
        ("core-01=", "no NAME=DIR"),
        ("core-01=nowhere", "not there"),
        ("core-01=empty", "holds no configuration"),
    ],
)
def test_user_mistakes(pair: str, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    assert main(["lint", "--host", pair]) == 2
    assert words in capfd.readouterr().err


def test_a_host_named_twice() -> None:
    put("a/20-lannet.conf", GOOD)
    with pytest.raises(BadInput, match="named twice"):
        read_hosts(["a=a", "a=a"])


def test_lab_and_hosts_are_two_questions(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", "coreos", "--host", "a=a"]) == 2
    assert "both a lab and --host" in capfd.readouterr().err


def test_too_many_files() -> None:
    for number in range(4001):
        put(f"a/{number}.txt", "")
    with pytest.raises(BadInput, match="more than 4000 files"):
        read_hosts(["a=a"])


def test_files_that_cannot_be_read() -> None:
    put("a/net.d/10-net.conf", b'{"name": "\xff"}')
    put("a/net.d/20-net.conf", b"{}\n\0")
    put("a/net.d/30-net.conf", " " * (1 << 18) + "{}")
    os.mkfifo("a/net.d/40-net.conf")
    Path("a/net.d/50-net.conf").symlink_to("nowhere")
    # Elsewhere such files are somebody else's: /etc/resolv.conf is often a link to nowhere.
    Path("a/resolv.conf").symlink_to("nowhere")
    put("a/sysctl.d/99-local.conf", b"# caf\xe9\n")
    findings = found("a=a")
    assert ids(findings) == ["file-not-text"] * 2 + ["file-too-large"] + ["file-unreadable"] * 2
    assert [finding.line for finding in findings] == [1, 2, 0, 0, 0]
    (host,) = read_hosts(["a=a"])
    assert host.ignored == ("a/resolv.conf", "a/sysctl.d/99-local.conf")


def test_a_stranger_s_files_are_left_alone_and_named() -> None:
    put("a/20-lannet.conf", GOOD)
    put("a/resolv.conf", "nameserver 10.1.0.1\n")
    put("a/disk.img", b"\xff\0")
    put("a/package.json", {"name": "x"})
    (host,) = read_hosts(["a=a"])
    assert list(host.ignored) == ["a/disk.img", "a/package.json", "a/resolv.conf"]
    assert lint_hosts((host,)) == []


@pytest.mark.parametrize("depth", [2_000, 100_000])
def test_json_without_end(depth: int) -> None:
    put("a/20-lannet.conf", '{"cniVersion": ' + "[" * depth + "]" * depth + "}")
    assert ids(found("a=a"))[0] in ("json-too-deep", "cni-name-missing")


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1" * 5000, "{,}", "", "\ufeff{}", "[" * 9999])
def test_what_is_no_json(text: str) -> None:
    put("a/net.d/20-lannet.conf", text)
    assert ids(found("a=a"))[0] in ("json-syntax", "json-too-deep")


@pytest.mark.parametrize("indent", [5, 6, 10])
def test_lines_inside_of_user_data(indent: int) -> None:
    body = json.dumps({**GOOD, "mode": "brigde"}, indent=2)
    inside = "".join(f"{' ' * indent}{line}\n" for line in body.splitlines())
    head = "#cloud-config\nwrite_files:\n  - path: /etc/cni/net.d/20-lannet.conf\n"
    put("a/user-data", f"{head}    content: |\n{inside}")
    (finding,) = found("a=a")
    line = Path("a/user-data").read_text().splitlines()[finding.line - 1]
    assert line[finding.column - 1 :].startswith('"mode": "brigde"')


def test_encoded_files_are_read_too() -> None:
    import base64
    import gzip

    raw = json.dumps({**GOOD, "mode": "brigde"}).encode()
    packed = base64.b64encode(gzip.compress(raw)).decode()
    head = "#cloud-config\nwrite_files:\n  - path: /etc/cni/net.d/20-lannet.conf\n"
    put("a/user-data", f"{head}    encoding: gz+b64\n    content: {packed}\n")
    (finding,) = found("a=a")
    assert (finding.id, finding.line) == ("cni-mode-unknown", 5)
    bomb = base64.b64encode(gzip.compress(bytes(1 << 24))).decode()
    put("a/user-data", f"{head}    encoding: gz+b64\n    content: {bomb}\n")
    assert ids(found("a=a")) == ["write-files-encoding"]


def test_a_rendered_copy_counts_once() -> None:
    put("a/net.d/20-lannet.conf", {**GOOD, "mode": "brigde"})
    body = Path("a/net.d/20-lannet.conf").read_text()
    inside = "".join(f"      {line}\n" for line in body.splitlines())
    head = "#cloud-config\nwrite_files:\n  - path: /etc/cni/net.d/20-lannet.conf\n"
    put("a/user-data", f"{head}    content: |\n{inside}")
    assert ids(found("a=a")) == ["cni-mode-unknown"]


def test_podman_and_docker_json_meet_cni() -> None:
    put("a/net.d/20-lannet.conf", GOOD)
    put(
        "b/lannet.json",
        {
            "name": "lannet",
            "id": "1",
            "driver": "macvlan",
            "network_interface": "eth1",
            "subnets": [{"subnet": "10.1.0.0/24"}],
            "options": {"mode": "private"},
        },
    )
    config = [{"Subnet": "10.1.0.0/24", "IPRange": "10.1.0.64/26"}]
    put("c/lannet.json", [{"Name": "lannet", "Driver": "macvlan", "Options": {"parent": "eth1"},
                          "IPAM": {"Config": config}}])  # fmt: skip
    said = set(ids(found("a=a", "b=b", "c=c")))
    assert said == {"network-mode-differs", "range-twice", "slice-missing"}


def test_verb_names_hosts_files_and_what_it_left(capfd: pytest.CaptureFixture[str]) -> None:
    put("a/net.d/20-lannet.conf", GOOD)
    put("a/notes.txt", "x")
    put("b/net.d/20-lannet.conf", GOOD)
    arguments = ["lint", "--host", "core-01=a", "--host", "core-02=b"]
    assert main([*arguments, "--json"]) == 1
    document = json.loads(capfd.readouterr().out)
    assert document["hosts"] == {"core-01": ["a/net.d/20-lannet.conf"],
                                 "core-02": ["b/net.d/20-lannet.conf"]}  # fmt: skip
    assert document["ignored"] == {"core-01": ["a/notes.txt"], "core-02": []}
    (finding,) = document["findings"]
    assert (finding["id"], finding["file"]) == ("range-twice", "b/net.d/20-lannet.conf")
    assert finding["related"][0]["file"] == "a/net.d/20-lannet.conf"
    assert main(arguments) == 1
    text = capfd.readouterr().out
    assert "core-01: not looked into: a/notes.txt\n" in text
    assert text.endswith("\n2 hosts, 2 files: 1 error, 0 warnings\n")
    # Nothing is known of the hosts' interfaces, and so of the parents.
    assert "core-01, core-02: no interface is configured there; not judged: " in text
    assert {"parent-missing", "mtu-over-parent"} <= set(document["unjudged"]["core-01"])
    assert main([*arguments, "--format", "sarif"]) == 1
    (run,) = json.loads(capfd.readouterr().out)["runs"]
    assert run["results"][0]["ruleId"] == "range-twice"
    assert "a/notes.txt" in str(run["invocations"])
    assert main([*arguments, "--format", "github"]) == 1
    assert "::notice title=not-looked-into::core-01: not looked into: a/notes.txt" in (
        capfd.readouterr().out
    )


def test_a_host_with_interfaces_is_judged(capfd: pytest.CaptureFixture[str]) -> None:
    put("a/net.d/20-lannet.conf", GOOD)
    put("a/10-eth1.network", "[Match]\nName=eth1\n")
    assert main(["lint", "--host", "a=a", "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["unjudged"] == {}


def test_a_folder_is_a_host_or_holds_hosts(capfd: pytest.CaptureFixture[str]) -> None:
    put("fleet/core-01/etc/cni/net.d/20-lannet.conf", GOOD)
    assert main(["lint", "fleet/core-01", "--json"]) == 0
    assert list(json.loads(capfd.readouterr().out)["hosts"]) == ["core-01"]
    put("fleet/core-02/etc/cni/net.d/20-lannet.conf", GOOD)
    assert main(["lint", "fleet", "--json"]) == 1
    document = json.loads(capfd.readouterr().out)
    assert list(document["hosts"]) == ["core-01", "core-02"]
    assert ids([Finding(**row) for row in document["findings"]]) == ["range-twice"]


def test_many_files_that_are_none_are_counted(capfd: pytest.CaptureFixture[str]) -> None:
    put("a/net.d/20-lannet.conf", GOOD)
    for number in range(40):
        put(f"a/other-{number:02}.txt", "x")
    assert main(["lint", "a"]) == 0
    assert "a/other-11.txt and 28 more (--json names them)" in capfd.readouterr().out


@pytest.mark.parametrize(
    "raw", [b"plain", gzip.compress(b"whole", mtime=0)[:-9], b"\x1f\x8b\x08\x00"]
)
def test_what_gzip_has_not_made_is_said_without_python_s_bytes(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"^gzip has not made it$"):
        inflated(raw)
    assert inflated(gzip.compress(b"whole")) == b"whole"


COMPOSE = """
x-lan: &lan
  driver: macvlan
  driver_opts: {parent: "${PARENT:-eth1}"}
services:
  web: {image: nginx, networks: {lan: {ipv4_address: "$WEB"}}}
networks:
  lan:
    <<: *lan
    ipam: {config: [{subnet: "${NET-10.1.0.0/24}", gateway: "${GATEWAY:?no gateway}"}]}
"""


def test_compose_s_variables_and_merge_keys() -> None:
    put("a/compose.yml", COMPOSE)
    put("a/.env", "# who\nexport WEB='10.1.0.9'\nGATEWAY=10.1.0.1 # router\nUNUSED=$$\n")
    (host,) = read_hosts(["a=a"])
    (network,) = host.networks
    assert (network.driver, network.parent, network.runtime) == ("macvlan", "eth1", "docker")
    assert [str(pool.subnet) for pool in network.pools] == ["10.1.0.0/24"]
    assert str(network.pools[0].gateway) == "10.1.0.1"
    assert [str(fixed.address) for fixed in host.fixed] == ["10.1.0.9"]
    assert lint_hosts((host,)) == []
    put("a/.env", "WEB=10.2.0.9\nGATEWAY=10.3.0.1\nPARENT=eth9\n")
    assert ids(found("a=a")) == ["compose-address-outside", "pool-gateway-outside"]
    # Without a .env the shell may set them: what isn't known isn't judged.
    Path("a/.env").unlink()
    assert found("a=a") == []


@pytest.mark.parametrize(
    ("name", "text", "kind"),
    [
        ("etc/rsyslog.d/20-ufw.conf", ':msg,contains,"[UFW " /var/log/ufw.log\n', ""),
        ("etc/app/10-app.conf", '{"log": "info"}', ""),
        ("etc/app/10-net.conf", '{"cniVersion": "1.0.0", "name": "n", "type": "bridge"}', "cni"),
        ("etc/cni/net.d/10-net.conf", "mistaken", "cni"),
        ("etc/rkt/net.d/10-net.conf", "mistaken", "cni"),
        ("etc/systemd/network/lan.network", "[Network]\nDriver=macvlan\n", "networkd"),
        ("etc/containers/systemd/lan.network", "[Match]\nName=eth1\n", "quadlet"),
        ("lan.network", "[Network]\nSubnet=10.1.0.0/24\n", "quadlet"),
        ("lan.network", "[Match]\nName=eth1\n[Network]\nDHCP=yes\n", "networkd"),
        ("lan.network", "[Network]\nDHCP=yes\n", "networkd"),
        ("lan.nmconnection", "[connection]\nid=lan\n", "keyfile"),
        ("config.ign", '{"ignition": {"version": "3.4.0"}}', "ignition"),
        ("user-data", '{"ignition": {"version": "3.4.0"}}', "ignition"),
        ("etc/network/interfaces", "auto lo\niface lo inet loopback\n", "ifupdown"),
        ("etc/other/interfaces", "nothing\n", ""),
        ("tsconfig.json", '{"plugins": [{"name": "x"}], // so\n}', ""),
    ],
)
def test_what_reads_a_file(name: str, text: str, kind: str) -> None:
    put(f"a/{name}", text)
    put("a/known/10-eth0.network", "[Match]\nName=eth0\n")
    (host,) = read_hosts(["a=a"])
    assert {d.file: d.kind for d in host.documents}.get(f"a/{name}", "") == kind


def test_a_keyfile_s_mode_counts_where_modes_were_kept() -> None:
    text = "[connection]\nid={0}\ntype=ethernet\ninterface-name={0}\n"
    for name in ("eth1", "eth2"):
        put(f"a/{name}.nmconnection", text.format(name))
        Path(f"a/{name}.nmconnection").chmod(0o644)
    # A checkout of git has lost them all.
    assert found("a=a") == []
    Path("a/eth1.nmconnection").chmod(0o600)
    assert ids(found("a=a")) == ["keyfile-mode"]
