"""By which name systemd knows a machine, from the control groups of its processes."""

from __future__ import annotations

import pytest

from underlay.observe.on_node.finding import machine_of


@pytest.mark.parametrize(
    ("groups", "name"),
    [
        ("0::/machine.slice/machine-web.scope\n", "web"),
        ("0::/machine.slice/machine-web.scope/payload/init.scope\n", "web"),
        (r"0::/machine.slice/machine-a\x2d1.scope", "a-1"),
        (r"0::/machine.slice/systemd-nspawn@lan\x2db\x2d2.service/payload", "lan-b-2"),
        ("1:name=systemd:/machine.slice/machine-web.scope\n0::/\n", "web"),
        ("0::/machine.slice/machine-qemu.scope-of-another\n", ""),
        ("0::/system.slice/machines.service\n", ""),
        ("", ""),
    ],
)
def test_a_machine_is_known_by_the_unit_of_its_processes(groups: str, name: str) -> None:
    assert machine_of(groups) == name
