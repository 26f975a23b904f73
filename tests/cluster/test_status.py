"""`status` says of a running lab what its plan says, under the names that cells use."""

from __future__ import annotations

import pytest

from cluster.running import Lab
from underlay.expect import ends


@pytest.mark.parametrize("lab", ["coreos", "docker-vlan"], indirect=True)
def test_the_document(lab: Lab) -> None:
    plan, status = lab.plan, lab.status()
    assert status == {
        "lab": lab.name,
        "provider": "uml",
        "state": "running",
        "nodes": [
            {
                "name": node.name,
                "state": "running",
                "address": node.management.address.partition("/")[0],
                "parents": {nic.segment: nic.interface for nic in node.nics},
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
                "mac": next(
                    attachment.mac
                    for attachment in plan.container(end.space).attachments
                    if attachment.network == end.network
                ),
            }
            for end in ends(plan)
            if end.kind == "container"
        ],
        "switch": {
            "machine": None,
            "segments": [
                {"name": s.name, "bridge": s.bridge, "ports": s.ports, "vlans": None}
                for s in plan.segments
            ],
        },
    }


@pytest.mark.parametrize("lab", ["coreos"], indirect=True)
def test_the_text_names_everybody(lab: Lab) -> None:
    done = lab.verb("status")
    assert done.code == 0, str(done)
    for end in ends(lab.plan):
        assert end.name in done.out, str(done)
