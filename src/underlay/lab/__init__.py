"""The lab: what a lab file says, its words checked key by key, with the place of each."""

from underlay.lab.model import (
    Containers,
    DriverName,
    ExtraRoute,
    Filter,
    Flag,
    Host,
    HostPort,
    Image,
    Lab,
    Mode,
    Network,
    Nodes,
    Runtime,
    Segment,
    Strict,
    SwitchPort,
)

__all__ = [
    "Containers",
    "DriverName",
    "ExtraRoute",
    "Filter",
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
