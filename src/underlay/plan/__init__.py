"""The plan: every name, MAC address, IP address, VLAN and file name that a lab leads to."""

from underlay.plan.addresses import Cidr, Slice, child_address, family_of
from underlay.plan.hosts import host_address
from underlay.plan.make import (
    NET_D,
    asking_address,
    make_plan,
    own_addresses,
    parent_address,
)
from underlay.plan.networks import MANAGEMENT, MANAGEMENT_SEGMENT
from underlay.plan.nodes import MANAGEMENT_RANGE
from underlay.plan.pools import Pool
from underlay.plan.switch import SWITCH
from underlay.plan.values import (
    Attachment,
    ContainerRoute,
    HostPort,
    Nic,
    NodeLink,
    OwnFile,
    Plan,
    PlannedContainer,
    PlannedFilter,
    PlannedHost,
    PlannedImage,
    PlannedNetwork,
    PlannedNode,
    PlannedOrigin,
    PlannedSegment,
    PlannedStatement,
    PortVlans,
    Route,
    VlanLink,
    plan_from_json,
)

__all__ = [
    "MANAGEMENT",
    "MANAGEMENT_RANGE",
    "MANAGEMENT_SEGMENT",
    "NET_D",
    "SWITCH",
    "Attachment",
    "Cidr",
    "ContainerRoute",
    "HostPort",
    "Nic",
    "NodeLink",
    "OwnFile",
    "Plan",
    "PlannedContainer",
    "PlannedFilter",
    "PlannedHost",
    "PlannedImage",
    "PlannedNetwork",
    "PlannedNode",
    "PlannedOrigin",
    "PlannedSegment",
    "PlannedStatement",
    "Pool",
    "PortVlans",
    "Route",
    "Slice",
    "VlanLink",
    "asking_address",
    "child_address",
    "family_of",
    "host_address",
    "make_plan",
    "own_addresses",
    "parent_address",
    "plan_from_json",
]
