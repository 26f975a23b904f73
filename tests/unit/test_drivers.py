"""Drivers are values that are collected from their folder, and nobody else lists them."""

from __future__ import annotations

import ast

import pytest

from underlay.drivers import DRIVERS, NONE, driver
from underlay.drivers.driver import Driver
from underlay.lab import Lab, Network
from underlay.storage.paths import root

FOLDER = root() / "src" / "underlay" / "drivers"


def test_a_file_with_a_value_is_a_driver() -> None:
    found = {
        file.stem: file
        for file in FOLDER.glob("*.py")
        if "\nDRIVER = " in file.read_text(encoding="utf-8")
    }
    assert set(found) == set(DRIVERS)
    assert [one.position for one in DRIVERS.values()] == sorted(
        {one.position for one in DRIVERS.values()}
    )


def test_the_lab_file_takes_the_drivers_that_there_are() -> None:
    keys = Lab.model_json_schema()["$defs"]["Network"]["properties"]
    assert keys["driver"]["enum"] == list(DRIVERS)
    for kind, values in (("mode", "modes"), ("flag", "flags")):
        known = keys[kind]["anyOf"][0]["enum"]
        assert set(known) == {word for one in DRIVERS.values() for word in getattr(one, values)}


@pytest.mark.parametrize("one", DRIVERS.values(), ids=lambda one: one.name)
def test_a_value_speaks_of_what_there_is(one: Driver) -> None:
    keys = set(Network.model_fields)
    assert {*one.keys, *one.needed, *(one.overlay.overhead_of if one.overlay else ())} <= keys
    assert set(one.runtimes_of) <= {*one.modes, *one.flags}
    assert set(one.l3_modes) <= set(one.modes)
    assert not set(one.refused) & set(one.modes)
    assert set(one.refused) <= {mode for other in DRIVERS.values() for mode in other.modes}
    assert one.receiver in DRIVERS
    assert not set(one.modes) & set(one.flags)


def test_a_machines_own_interface_is_nobodys_child() -> None:
    assert driver("") is NONE
    assert not any((NONE.has_children, NONE.by_mac, NONE.by_address, NONE.bridges_uplink))
    assert not NONE.routes("")


def test_every_field_is_explained() -> None:
    text = Driver.__doc__ or ""
    for name in Driver.__dataclass_fields__:
        assert f"``{name}``\n" in text, name


def test_no_module_but_a_drivers_own_lists_drivers() -> None:
    """Several drivers' names in one tuple, list or set are a second place to add a driver to."""
    allowed = {
        # networkd's, NetworkManager's and the kernel's kinds and the CNI plugins' types are others'
        # words.
        "fleet/formats/cni.py",
        "fleet/formats/networkmanager.py",
        "fleet/formats/networkd.py",
        "lint/hosts/rules_keyfile.py",
        "lint/hosts/rules_networkd.py",
        "observe/survey/drift.py",
        "observe/survey/wiring.py",
    }
    source = FOLDER.parent
    # A mode may be called as a driver is.
    names = set(DRIVERS) - {mode for one in DRIVERS.values() for mode in one.modes}
    found = set()
    for file in sorted(source.rglob("*.py")):
        name = str(file.relative_to(source))
        if name.startswith("drivers/") or name in allowed:
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Tuple | ast.List | ast.Set):
                words = {one.value for one in node.elts if isinstance(one, ast.Constant)}
                if len(words & names) > 1:
                    found.add(f"{name}:{node.lineno}")
    assert not found
