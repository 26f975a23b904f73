"""`status` says of a running lab what its plan says, and what of that nodes and switch show."""

from __future__ import annotations

from typing import Any

import pytest

import doc_pages
from cluster.running import Lab
from underlay.expect import ends

AS_PLANNED = {"seen": "as_planned", "found": None}
# By whom it is done: what is no longer as the plan says, how that is undone, and what status says.
CHANGES = {
    "lannet-1a": (
        "core-01",
        # Routes go with the address that they need.
        "ip -n lannet-1a route show >/run/routes; ip -n lannet-1a address flush dev eth0;"
        " ip -n lannet-1a address add 20.1.1.9/24 broadcast + dev eth0",
        "ip -n lannet-1a address flush dev eth0;"
        " ip -n lannet-1a address add 20.1.1.65/24 broadcast + dev eth0;"
        " while read -r route; do ip -n lannet-1a route replace $route; done </run/routes",
        ("differs", "has no 20.1.1.65/24, but 20.1.1.9/24"),
    ),
    "core-02": (
        "core-02",
        "ip link set eth1 down",
        "ip link set eth1 up",
        ("differs", "eth1 is down"),
    ),
    "wan": (
        "switch",
        "ip link set wan-3 nomaster",
        "ip link set wan-3 master br-wan",
        ("differs", "wan-3 is in no bridge"),
    ),
}


@pytest.mark.parametrize("lab", ["coreos", "docker-vlan"], indirect=True)
def test_the_document(lab: Lab) -> None:
    plan, status = lab.plan, lab.status()
    # The lab has no external host; tests/unit/cli/test_status.py compares what one looks like.
    assert not doc_pages.wrong_fields(doc_pages.DOCS / "verbs" / "status.md", status, ("hosts",))
    assert status == {
        "document": "underlay status",
        "version": 1,
        "lab": lab.name,
        "provider": "uml",
        "state": "running",
        "asked": [*(node.name for node in plan.nodes), "switch"],
        "not_asked": {},
        "nodes": [
            {
                "name": node.name,
                "state": "running",
                "address": node.management.address.partition("/")[0],
                "parents": {nic.segment: nic.interface for nic in node.nics},
                **AS_PLANNED,
            }
            for node in plan.nodes
        ],
        "containers": [
            {
                "name": end.name,
                "node": end.node,
                "network": end.network,
                "runtime": plan.container(end.space).runtime,
                "address": end.address,
                "addresses": [address.ip for address in made.addresses if address],
                "mac": made.mac,
                **AS_PLANNED,
            }
            for end in ends(plan)
            if end.kind == "container"
            for made in plan.container(end.space).attachments
            if made.network == end.network
        ],
        "hosts": [],
        "switch": {
            "machine": None,
            "segments": [
                {
                    "name": s.name,
                    "bridge": s.bridge,
                    "ports": s.ports,
                    "vlans": None,
                    **AS_PLANNED,
                }
                for s in plan.segments
            ],
        },
        "strangers": [],
        "put_aside": {},
    }


@pytest.mark.parametrize("lab", ["coreos"], indirect=True)
def test_what_is_no_longer_as_planned_is_seen(lab: Lab) -> None:
    """And nothing else is: a plan shown as if it were there would name none of it.

    As text it names everybody, whether as planned or not.
    """
    try:
        for target, change, _, _ in CHANGES.values():
            lab.shell(target, change)
        status = lab.status()
        rows = [*status["nodes"], *status["containers"], *status["switch"]["segments"]]
        seen = {
            row["name"]: (row["seen"], row["found"]) for row in rows if row["seen"] != "as_planned"
        }
        assert seen == {name: words for name, (*_, words) in CHANGES.items()}
        text = lab.verb("status").out
        for name, (*_, (word, found)) in CHANGES.items():
            assert f"{name} {word}: {found}" in text, text
        assert [end.name for end in ends(lab.plan) if end.name not in text] == []
    finally:
        for target, _, cure, _ in CHANGES.values():
            lab.shell(target, cure)
    lab.check().prove_green()


@pytest.mark.parametrize("lab", ["coreos"], indirect=True)
def test_who_cannot_answer_was_not_asked(lab: Lab) -> None:
    """A node whose ssh is gone runs all the same: its part of the plan is said to be unseen."""
    status = silent(lab, "core-03")
    assert status["asked"] == ["core-01", "core-02", "switch"]
    assert set(status["not_asked"]) == {"core-03"}
    assert status["not_asked"]["core-03"]
    words = {row["node"]: row["seen"] for row in status["containers"]}
    assert words == {"core-01": "as_planned", "core-02": "as_planned", "core-03": "not_asked"}
    assert [row["seen"] for row in status["nodes"]] == ["as_planned", "as_planned", "not_asked"]
    assert {node["state"] for node in status["nodes"]} == {"running"}
    assert {node["seen"] for node in lab.status()["nodes"]} == {"as_planned"}


def silent(lab: Lab, node: str) -> dict[str, Any]:
    """Return the status while a node's Python, which looks around there, is out of the way."""
    python = "/usr/bin/python3"
    lab.shell(node, f"mv {python} {python}.away")
    try:
        return lab.status()
    finally:
        lab.shell(node, f"mv {python}.away {python}")
