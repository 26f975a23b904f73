"""The lab: what a lab file says, its words checked key by key, with the place of each."""

from underlay.lab.model import (
    Containers,
    Host,
    HostPort,
    Image,
    Lab,
    Nodes,
    Segment,
    SwitchPort,
)
from underlay.lab.network import (
    DriverName,
    ExtraRoute,
    Flag,
    Mode,
    Network,
    Runtime,
)
from underlay.lab.words import Strict

__all__ = [
    "Containers",
    "DriverName",
    "ExtraRoute",
    "Flag",
    "Host",
    "HostPort",
    "Image",
    "Lab",
    "Mode",
    "Network",
    "Nodes",
    "Runtime",
    "Segment",
    "Strict",
    "SwitchPort",
]
