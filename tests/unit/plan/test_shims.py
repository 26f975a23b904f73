"""A node's own child: with addresses of the user's choice, by DHCP, with routes and a name."""

from __future__ import annotations

from pathlib import Path

import pytest
from underlay_node import leases, links
from underlay_node.commands import Failed

from underlay.expect import predict
from underlay.lint.read import read_lab
from underlay.plan import NodeLink, Plan, Route, make_plan, parent_address

LABS = Path(__file__).resolve().parents[3] / "labs"


def plan_of(name: str) -> Plan:
    return make_plan(read_lab(LABS / f"{name}.yml"))


def shim(plan: Plan, node: str, name: str) -> NodeLink:
    return next(link for link in plan.node(node).links if link.interface == name)


def reaches(plan: Plan, source: str, destination: str) -> set[bool]:
    return {
        cell.reachable
        for cell in predict(plan)
        if (cell.source, cell.destination, cell.kind) == (source, destination, "reach")
    }


def test_the_recipe_is_said_word_for_word() -> None:
    plan = plan_of("shim-nas")
    made = shim(plan, "core-01", "mac0")
    line = links.creation({**vars(made), "options": made.options})
    assert line.startswith("link add link eth1 name mac0 ")
    assert line.endswith(" type macvlan mode bridge")
    assert made.addresses == ("192.168.1.223/32",)
    routes = plan.node("core-01").routes
    assert Route("192.168.1.192/27", "mac0") in routes
    assert not any(route.interface == "mac1" for route in routes)


def test_a_node_that_is_not_named_has_no_shim() -> None:
    plan = plan_of("shim-nas")
    network = plan.network("pihole")
    assert not any(link.interface == "mac0" for link in plan.node("core-02").links)
    assert parent_address(plan, plan.node("core-01"), network) == "192.168.1.223"
    assert parent_address(plan, plan.node("core-02"), network) == "192.168.1.12"


def test_the_shim_joins_a_node_with_its_own_containers_and_its_absence_does_not() -> None:
    plan = plan_of("shim-nas")
    assert reaches(plan, "core-01", "pihole-1a") == {True}
    assert reaches(plan, "pihole-1a", "core-01") == {True}
    assert reaches(plan, "core-02", "pihole-2a") == {False}
    assert reaches(plan, "pihole-2a", "core-02") == {False}


def test_an_address_without_a_route_cures_nothing() -> None:
    plan = plan_of("shim-nas")
    assert reaches(plan, "core-01", "routeless-1a") == {False}
    assert reaches(plan, "routeless-1a", "core-01") == {False}


def test_each_node_may_have_routes_of_its_own() -> None:
    """One that lacks the route to its own containers hears them by its shim, and can't answer."""
    lab = read_lab(LABS / "shim-nas.yml")
    network = lab.networks["routeless"]
    both = network.shim.model_copy(update={"routes": {"core-01": ["192.168.2.192/27"]}})
    networks = lab.networks | {"routeless": network.model_copy(update={"shim": both})}
    plan = make_plan(lab.model_copy(update={"networks": networks}))
    assert Route("192.168.2.192/27", "mac1") in plan.node("core-01").routes
    assert not any(route.interface == "mac1" for route in plan.node("core-02").routes)
    assert reaches(plan, "core-01", "routeless-1a") == {True}
    assert reaches(plan, "routeless-1a", "core-01") == {True}
    assert reaches(plan, "core-02", "routeless-2a") == {False}
    asked = [c for c in predict(plan) if (c.source, c.destination) == ("routeless-2a", "core-02")]
    assert {(cell.stop, cell.arrives) for cell in asked if cell.kind == "reach"} == {
        ("no_answer", True)
    }


def test_the_server_leases_the_shims_their_addresses() -> None:
    plan = plan_of("shim-lease")
    lines = plan.host("server").services.splitlines()
    own = shim(plan, "core-01", "sh-leased")
    assert own.addresses == ("192.168.1.21/24",)
    assert own.options["dhcp"] is True
    assert f"dhcp-host={own.mac},192.168.1.21" in lines
    # In a VLAN, with the address that is planned for it.
    tagged = shim(plan, "core-02", "sh-tagged")
    assert f"dhcp-host={tagged.mac},10.3.1.12" in lines
    assert tagged.addresses == ("10.3.1.12/24",)
    assert "dhcp" not in links.creation({**vars(tagged), "options": tagged.options})


def test_a_lease_that_is_not_the_planned_one_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran: list[list[str]] = []
    rows = [{"addr_info": [{"local": "10.1.1.9", "prefixlen": 24}]}]
    monkeypatch.setattr(leases, "SCRIPT", str(tmp_path / "udhcpc"))
    monkeypatch.setattr(leases, "run", ran.append)
    monkeypatch.setattr(leases, "show", lambda *_: rows)
    leases.ask("mac0", "10.1.1.9/24")
    assert ran[-1][:4] == ["busybox", "udhcpc", "-i", "mac0"]
    with pytest.raises(Failed, match="is the planned one"):
        leases.ask("mac0", "10.1.1.8/24")
