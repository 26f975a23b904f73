"""Names and values from a lab don't get into shell, YAML, Ruby, Jinja or paths.

Either a text is refused, or whoever reads the files that follow from it reads that text.
Every command that the texts hold would make a file, the canary; it must never be there.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import hostile
from rendered import read_back, strings
from underlay import cli
from underlay.cli.verbs.completion import SCRIPTS
from underlay.cluster import boot_files as boot
from underlay.cluster import ssh
from underlay.cluster.providers.libvirt.wiring import networks, pool
from underlay.cluster.providers.uml import lean, wiring
from underlay.cluster.providers.uml.wiring import setup
from underlay.cluster.state.lab import LabState
from underlay.errors import BadInput
from underlay.lab import Lab
from underlay.lint import load
from underlay.lint.read import LabError, read_lab
from underlay.plan import Plan, make_plan
from underlay.render import render_all, rendered_files
from underlay.storage import paths

# Fields that take any text. Of each, the tests below say where it ends up.
FREE = {
    ("description",),
    ("image", "path"),
    ("image", "kernel"),
    ("image", "initrd"),
    # A folder that is read here; a node has it only in JSON, as where its own files are from.
    ("fleet", "extra"),
    # An archive that is read here; on a node it is called by its number.
    ("images", 0),
    ("containers", 0, "image"),
    # A word that a container's program is told, by execve(2): no shell reads it on its way.
    ("containers", 0, "command", 0),
}
# What means nothing to any reader, whatever stands around it.
PLAIN = re.compile(r"(?!.*\.\.)[A-Za-z0-9:][A-Za-z0-9:./-]*")
LINE = re.compile(r"[A-Za-z0-9 :./,=_#+-]*")
PLACES = hostile.places()
FIXED = [*hostile.CARRIED_OUT, *hostile.SIGNS, "fd00::1%", "fd00::%x\n/64", "a\n", "eth1\n", "-a"]
KEY = f"ssh-ed25519 AAAA {hostile.CARRIED_OUT[4]}"
FOLDER = "a '\"`%d $(touch $UNDERLAY_CANARY) #{7*7} {{ 7*7 }} %}"
DAILY, ALL = 60, 1_000
BATCH, MANY = 3, 20
# A place gets one text of so many each day.
EVERY = 4

STAND_IN = """#!/bin/sh
printf '%s\\n' "$NAMES"
"""
BASH = """
compopt() { :; }
. "$0"
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_underlay
eval "printf '%s\\n' ${COMPREPLY[*]}"
"""


def rounds(count: int) -> settings:
    slow = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much]
    return settings(max_examples=count, deadline=None, derandomize=True, suppress_health_check=slow)


@pytest.fixture(autouse=True)
def canary(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """Name a file that mustn't appear, and fail the test where it has."""
    file = tmp_path_factory.mktemp("cage") / "canary"
    monkeypatch.setenv(hostile.CANARY, str(file))
    # Sockets of folders with long names go to the one for temporary files.
    monkeypatch.setenv("TMPDIR", str(file.parent))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield file
    assert not file.exists(), "a text of a lab was carried out"


def test_models_refuse_what_is_not_plain() -> None:
    """No check across the lab hides what a field itself lets in: the models alone are asked.

    Every text and every place each day, and in the full proof each in each.
    """
    for number, place in enumerate(PLACES):
        for text in (*FIXED[number % EVERY :: EVERY], *hostile.near(place)):
            model(place, text)


@pytest.mark.all
def test_models_refuse_each_in_each_place() -> None:
    for place in PLACES:
        for text in FIXED:
            model(place, text)


@rounds(DAILY // 3)
@given(text=hostile.texts())
def test_models_refuse_anything_else_that_is_not_plain(text: str) -> None:
    for place in PLACES:
        model(place, text)


@pytest.mark.all
@rounds(ALL)
@given(text=hostile.texts())
def test_models_refuse_thousands(text: str) -> None:
    for place in PLACES:
        model(place, text)


def model(place: hostile.Place, text: str) -> None:
    try:
        Lab.model_validate(hostile.lab_with(place, text))
    except ValidationError:
        return
    assert place in FREE or PLAIN.fullmatch(text), (
        f"{place} takes {text!r}: narrow it in lab/model.py, or say in FREE where it ends up"
    )


def test_places_are_those_of_the_models() -> None:
    """Every field of every model is among them, and the lab that they are of is a good one."""
    read = {step for place in PLACES for step in place}
    schema = Lab.model_json_schema()
    for each in (schema, *schema["$defs"].values()):
        assert set(each.get("properties", {})) <= read
    assert set(PLACES) >= FREE
    Lab.model_validate(hostile.LAB)


@rounds(DAILY)
@given(data=st.data())
def test_files_are_refused_in_words_or_lead_to_plain_plans(
    tmp_path: Path, data: st.DataObject
) -> None:
    """The same of real files, in folders that are called as badly, quoted and unquoted."""
    try_file(tmp_path, data)


@pytest.mark.all
@rounds(ALL)
@given(data=st.data())
def test_thousands_of_files(tmp_path: Path, data: st.DataObject) -> None:
    try_file(tmp_path, data)


def try_file(folder: Path, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from([*PLACES, *sorted(FREE)]))
    text = data.draw(hostile.texts())
    content = json.dumps(hostile.lab_with(place, text), ensure_ascii=False)
    if data.draw(st.booleans()):
        content = content.replace(json.dumps(text, ensure_ascii=False), text)
    file = folder / data.draw(hostile.folders()) / "lab.yml"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content.encode("utf-8", "surrogatepass"))
    try:
        loaded = load(file)
    except LabError as error:
        refused(file, error)
        return
    assert loaded.findings is not None
    plain(loaded.plan)


def refused(file: Path, error: LabError) -> None:
    """What is said of a bad file moves no cursor, and its command is one for any shell."""
    assert all(line.isprintable() for line in error.message.split("\n")), error.message
    assert shlex.split(error.hint.partition("`")[2].rpartition("`")[0])[2:] == [str(file)]


def plain(plan: Plan) -> None:
    """Nothing but paths of the image, and words for programs, gets further without being plain."""
    silent = [dataclasses.replace(host, services="") for host in plan.hosts]
    still = [dataclasses.replace(one, command=()) for one in plan.containers]
    told = dataclasses.replace(plan, image=None, hosts=tuple(silent), containers=tuple(still))
    served = [line for host in plan.hosts for line in host.services.splitlines()]
    for text in (*strings(dataclasses.asdict(told)), *served):
        assert LINE.fullmatch(text), text
        assert ".." not in text
    commands = setup(plan) + (wiring.machine_changes(plan) if plan.switch else [])
    for arguments, said in commands:
        own = [word for word in arguments if not word.startswith(("\n", "for ", "exec "))]
        assert all(LINE.fullmatch(word) for word in own)
        assert all(LINE.fullmatch(line) for line in said.split("\n"))
    for node in plan.nodes:
        assert all(LINE.fullmatch(line) for line in lean.links(node))


@st.composite
def good_labs(draw: st.DrawFn) -> dict[str, Any]:
    """Return a lab whose names are drawn, of YAML's own words some, and whose free text is bad."""
    count = len(hostile.NAMES)
    new = draw(st.lists(hostile.words(), min_size=count, max_size=count, unique=True))
    lab: dict[str, Any] = hostile.renamed(hostile.LAB, dict(zip(hostile.NAMES, new, strict=True)))
    image = {key: draw(hostile.folders()) for key in ("path", "kernel", "initrd")}
    user = draw(st.sampled_from(hostile.NO_TEXT))
    return {**lab, "user": user, "description": draw(hostile.texts()), "image": image}


def plans(folder: Path, count: int) -> list[Plan]:
    """Return the plans of ``count`` labs; those that a check refuses are passed over."""
    found: list[Plan] = []

    @rounds(4 * count)
    @given(lab=good_labs())
    def collect(lab: dict[str, Any]) -> None:
        if len(found) == count:
            return
        file = folder / f"{len(found)}.yml"
        lab["name"] = f"null-{len(found)}"
        file.write_text(json.dumps(lab), "utf-8")
        try:
            found.append(make_plan(read_lab(file)))
        except BadInput:
            return
        image = found[-1].image
        assert image
        for key, text in lab["image"].items():
            assert getattr(image, key) == str(folder / Path(text).expanduser())

    collect()
    assert len(found) == count
    return [*found, sexagesimal(folder)]


def sexagesimal(folder: Path) -> Plan:
    """Return the plan of a lab whose addresses YAML 1.1 takes for numbers to the base of 60."""
    file = folder / "sixty.yml"
    lan = {"subnet": "192.168.70.0/24", "subnet6": "2001:10:20:30:40:50:10:0/112"}
    network = {"driver": "ipvlan", "mode": "l3", "segment": "lan", "routed": True}
    lab = {
        "name": "sixty",
        "nodes": {"count": 6, "profile": "lean"},
        "segments": {"lan": lan},
        "networks": {"net": {**network, "subnet": "20.1.0.0/16", "subnet6": "fd00:20::/64"}},
        "containers": [{"on": "core-01", "networks": ["net"]}],
    }
    file.write_text(json.dumps(lab), "utf-8")
    plan = make_plan(read_lab(file))
    assert any(route.via == "2001:10:20:30:40:50:10:10" for route in plan.nodes[0].routes)
    return plan


def test_rendered_files_say_what_the_plan_says(tmp_path: Path) -> None:
    render_and_read(tmp_path, BATCH)


@pytest.mark.all
def test_many_rendered_files_say_what_the_plans_say(tmp_path: Path) -> None:
    render_and_read(tmp_path, MANY)


def render_and_read(tmp_path: Path, count: int) -> None:
    folder = tmp_path / hostile.CARRIED_OUT[4] / FOLDER
    folder.mkdir(parents=True)
    found = plans(folder, count)
    for plan, entry in zip(found, render_all(found, KEY, folder / "cache"), strict=True):
        assert entry.is_relative_to(folder / "cache")
        files = {node.name: read_back(plan, node, entry / node.name, KEY) for node in plan.nodes}
        expected = {f"{name}/{file}" for name, inner in files.items() for file in inner}
        assert set(map(str, rendered_files(entry))) == expected
    assert [path.name for path in tmp_path.iterdir()] == [hostile.CARRIED_OUT[4]]


@rounds(DAILY // 3)
@given(names=st.lists(hostile.folders(), min_size=1, max_size=2))
def test_ssh_reads_the_same_paths(tmp_path: Path, names: list[str]) -> None:
    plan = make_plan(read_lab(paths.root() / "labs" / "flat.yml"))
    state = tmp_path.joinpath(*names)
    state.mkdir(parents=True, exist_ok=True)
    proxy = ["/bin/echo", str(state), "-x", "%h"]
    try:
        config = ssh.write_config(plan, state, {"core-01": proxy})
    except BadInput:
        assert "${" in str(state)
        assert list(state.iterdir()) == [], "a folder of sockets is left"
        return
    command = ["ssh", "-G", "-F", str(config), "core-01"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    read = dict(line.split(" ", 1) for line in done.stdout.splitlines() if " " in line)
    assert read["user"] == plan.user
    # ssh shows this one as it was written, with its percent signs doubled.
    assert read["identityfile"] == str(state / "key").replace("%", "%%")
    assert read["controlpath"] == f"{ssh.socket_folder(state)}/core-01"
    assert shlex.split(read["proxycommand"].replace("%%", "%")) == proxy
    said = subprocess.run(
        ["sh", "-c", f"exec {read['proxycommand'].replace('%%', '%')}"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said == f"{' '.join(proxy[1:])}\n"
    # Its sockets aren't in the state folder.
    ssh.close(state)


def test_libvirt_reads_the_same_names(tmp_path: Path) -> None:
    state = tmp_path / f"<x>&amp;{FOLDER}"
    for plan in plans(tmp_path, BATCH):
        read = ElementTree.fromstring(pool(plan, state))
        assert read.findtext("target/path") == str(state / "libvirt" / "disks")
        for name, text in networks(plan, state).items():
            assert ElementTree.fromstring(text).findtext("name") == name


@pytest.mark.parametrize("sign", sorted(boot.XML_SIGNS))
def test_kernels_that_vagrant_libvirt_would_misread_are_refused(tmp_path: Path, sign: str) -> None:
    names = {"path": f"a{sign}", "kernel": f"b{sign}", "initrd": "c"}
    for name in names.values():
        (tmp_path / name).touch()
    (tmp_path / "lab.yml").write_text(json.dumps({**hostile.LAB, "image": names}))
    with pytest.raises(BadInput, match=r"image\.kernel: found .* expected a path without"):
        boot.ensure_boot_files(make_plan(read_lab(tmp_path / "lab.yml")), print)


@pytest.fixture
def odd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Plan]:
    """Return a lab file in a hostile folder, with a hostile image, and its plan."""
    folder = tmp_path / FOLDER
    folder.mkdir()
    monkeypatch.setenv(paths.HOME, str(folder / "home"))
    image = {"path": f":{FOLDER} <%= 7*7 %>.box"}
    lab = {**hostile.LAB, "image": image, "user": "null", "hosts": {}}
    lab["segments"] = {name: {**each, "ports": {}} for name, each in lab["segments"].items()}
    file = folder / "$(touch $UNDERLAY_CANARY).yml"
    file.write_text(json.dumps(lab))
    return file, make_plan(read_lab(file))


def test_vagrant_reads_the_same(odd: tuple[Path, Plan]) -> None:
    """The real Vagrantfile in the real Vagrant, which asks the real engine about the lab file."""
    file, plan = odd
    stubs = Path(__file__).parents[1] / "cluster" / "stubs"
    environment = {
        **os.environ,
        "PATH": f"{stubs}:{os.environ['PATH']}",
        "UNDERLAY_LAB": str(file),
        "UNDERLAY_PROVIDER": "virtualbox",
        "UNDERLAY_PYTHON": sys.executable,
        "VAGRANT_DOTFILE_PATH": str(file.parent / "dotfile"),
    }
    done = subprocess.run(
        ["ruby", str(stubs / "machines.rb"), str(paths.root()), "virtualbox"],
        env=environment, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout)
    assert plan.image
    assert list(read) == [node.name for node in plan.nodes]
    for node in plan.nodes:
        machine = read[node.name]
        assert machine["box"] == plan.image.path
        assert machine["host"] == node.management.address.partition("/")[0]
        seed = [words[-1] for words in machine["customize"] if words[0] == "storageattach"]
        assert seed == [str(paths.state(plan.lab) / "nodes" / node.name / "seed.iso")]


def test_a_shell_reads_the_same_from_env(
    odd: tuple[Path, Plan], capsys: pytest.CaptureFixture[str]
) -> None:
    file, _ = odd
    assert cli.main(["env", "--lab", str(file)]) == 0
    text = f'{capsys.readouterr().out}\nprintf %s "$UNDERLAY_LAB"'
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True)
    assert done.stdout == str(file)


def test_ansible_reads_the_same_from_the_inventory(odd: tuple[Path, Plan]) -> None:
    file, plan = odd
    LabState(plan.lab, str(file), "uml").write(plan)
    program = Path(sys.executable).with_name("ansible")
    task = ["--module-name", "debug", "--args", "var=ansible_ssh_common_args"]
    done = subprocess.run(
        [program, "-i", paths.root() / "inventory", plan.nodes[0].name, "-c", "local", *task],
        capture_output=True, text=True, timeout=120, env={**os.environ, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    read = json.loads(done.stdout.partition("=>")[2])["ansible_ssh_common_args"]
    assert shlex.split(read) == ["-F", str(paths.state(plan.lab) / "ssh_config")]


@rounds(DAILY // 3)
@given(names=st.lists(hostile.folders(), min_size=1, max_size=5))
def test_bash_completes_names_without_carrying_them_out(tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "bash").write_text(SCRIPTS["bash"])
    stand_in = tmp_path / "underlay"
    stand_in.write_text(STAND_IN)
    stand_in.chmod(0o755)
    done = subprocess.run(
        ["bash", "-c", BASH, str(tmp_path / "bash"), str(stand_in), "up", ""],
        capture_output=True, text=True, env={**os.environ, "NAMES": "\n".join(names)}, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    offered = done.stdout.splitlines()
    assert [name for name in names if name not in offered] == []
