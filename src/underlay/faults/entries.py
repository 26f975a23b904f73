"""The catalogue as people read it: faults of all three stages under the same headings."""

from __future__ import annotations

from underlay.faults.catalogue import BOOT, RUNNING
from underlay.faults.fault import Entry, Layer
from underlay.lint import lab_rules
from underlay.lint.hosts import host_rules

FILE_EVIDENCE = "`underlay lint LAB`: the finding's line and column, its reason and its source"
HOST_EVIDENCE = "`underlay lint --host NAME=DIR`: the finding's file and line, its reason"
FILE_CURE = "the change that the finding itself names"
# Which layer a rule about hosts' configuration is of, by how its id begins; else addressing.
LAYERS: dict[Layer, tuple[str, ...]] = {
    "cloud-config": ("cloud-config", "write-files", "yaml", "ignition"),
    "runtime": (
        "cni",
        "netd",
        "docker",
        "compose",
        "json",
        "file",
        "network-",
        "quadlet",
        "podman",
    ),
    "link": ("networkd", "netplan", "keyfile", "mtu", "parent-mtu"),
    "driver": ("parent", "ipvlan", "l3"),
}


def entries() -> tuple[Entry, ...]:
    """Return every fault of the catalogue: running ones, then those of boot, then of files."""
    found = (*RUNNING, *BOOT, *_file())
    named = {entry.id for entry in found}
    # What a running lab shows as well is one fault, found earlier.
    return (*found, *(entry for entry in _hosts() if entry.id not in named))


def _file() -> tuple[Entry, ...]:
    """Return lint's rules: the faults that a lab file can have before anything starts."""
    return tuple(
        Entry(
            id=rule.id,
            layer="lab file",
            stage="file",
            title=_title(rule.reason),
            symptom=(
                "`lint`, `up` and `render` refuse the lab"
                if rule.severity == "error"
                else "`lint` warns, and the lab may not do what it seems to say"
            ),
            evidence=FILE_EVIDENCE,
            cause=rule.reason,
            cure=FILE_CURE,
            reference=rule.source,
        )
        for rule in lab_rules()
    )


def _hosts() -> tuple[Entry, ...]:
    """Return those rules that the configuration of real hosts can break."""
    return tuple(
        Entry(
            id=rule.id,
            layer=_layer(rule.id),
            stage="file",
            title=_title(rule.reason),
            symptom=f"`lint --host` gives a finding of severity {rule.severity}",
            evidence=HOST_EVIDENCE,
            cause=rule.reason,
            cure=FILE_CURE,
            reference=rule.source,
        )
        for rule in host_rules()
    )


# Names that a reason may begin with.
PROPER = {"Compose", "Docker", "Ignition", "Quadlet"}


def _layer(rule: str) -> Layer:
    fitting = (layer for layer, beginnings in LAYERS.items() if rule.startswith(beginnings))
    return next(fitting, "addressing")


def _title(reason: str) -> str:
    first = reason.partition(". ")[0].rstrip(".")
    word = first.partition(" ")[0].rstrip(",")
    ordinary = word.isalpha() and word not in PROPER and (len(word) == 1 or word[1:].islower())
    return first[:1].lower() + first[1:] if ordinary else first
