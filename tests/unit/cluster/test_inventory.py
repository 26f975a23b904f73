"""What is read of an inventory: the machines, how ssh reaches them, and what can't be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.cluster.inventory import Machine, machines_of
from underlay.errors import BadInput

TEXT = """\
[rack]
web ansible_host=192.0.2.1 ansible_port=2222 ansible_user=ops
db  ansible_ssh_common_args='-o ProxyCommand="nc %h %p" -J "a b"'
[rack:vars]
ansible_ssh_private_key_file=~/keys/rack
[more]
log ansible_become=yes ansible_become_method=doas colour=green ansible_python_interpreter=/opt/py
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "hosts.ini"
    file.write_text(text)
    return file


def test_machines_come_in_order_with_all_that_ssh_needs(tmp_path: Path) -> None:
    key = str(Path("~/keys/rack").expanduser())
    assert machines_of(written(tmp_path, TEXT)) == [
        Machine("web", "192.0.2.1", port=2222, user="ops", key=key),
        Machine("db", "db", key=key, ssh_arguments=("-o", "ProxyCommand=nc %h %p", "-J", "a b")),
        Machine("log", "log", become="doas", python="/opt/py"),
    ]


def test_variables_are_kept(tmp_path: Path) -> None:
    assert machines_of(written(tmp_path, TEXT), "more")[0].variables["colour"] == "green"


def test_a_pattern_limits_them_as_it_does_for_ansible(tmp_path: Path) -> None:
    found = machines_of(written(tmp_path, TEXT), "rack:!web")
    assert [machine.name for machine in found] == ["db"]


def test_a_pattern_that_leaves_none_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="names no machine that --limit webb leaves") as refused:
        machines_of(written(tmp_path, TEXT), "webb")
    assert refused.value.hint == "it names web, db, log"


# What is said of each machine; Ansible is asked once of all.
REFUSED = {
    "a ansible_connection=local": "ansible_connection is 'local', expected ssh",
    "b ansible_host=-oProxyCommand=reboot": "ansible_host is '-oProxyCommand=reboot'",
    "c ansible_user=-v": "ansible_user is '-v'",
    "d ansible_port=http": "ansible_port is 'http', expected a number",
    "e ansible_port=70000": "ansible_port is '70000', expected a number",
    "f ansible_host='{{ x }}'": "is the template '{{ x }}', expected plain text",
    'g ansible_ssh_extra_args="-o \'x"': "ansible_ssh_extra_args can't be split",
}


def test_what_ssh_can_t_use_is_refused_by_name_and_all_of_it_at_once(tmp_path: Path) -> None:
    lines = "\n".join(REFUSED)
    file = written(tmp_path, f"[all]\nok\n{lines}\n")
    with pytest.raises(BadInput) as refused:
        machines_of(file)
    told = [refused.value.message, *refused.value.detail.splitlines()]
    for line, (machine, said) in zip(told, REFUSED.items(), strict=True):
        assert line.startswith(f"{file}: {machine[0]}: ")
        assert said in line
    assert refused.value.hint.endswith("--host a")


def test_what_ansible_said_is_shown_where_it_can_t_read(tmp_path: Path) -> None:
    file = tmp_path / "hosts.yml"
    file.write_text("all: [\n")
    with pytest.raises(BadInput, match=r"Ansible can't read .*hosts\.yml") as refused:
        machines_of(file)
    assert f"Origin: {file}:2:1" in refused.value.detail
