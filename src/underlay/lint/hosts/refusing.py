"""Which errors in hosts' files keep anybody from taking them for what they were meant to say.

The program that reads a file refuses what stands there, or passes over it. A lab that was made of
the rest would be another one than the file's author had in mind.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from underlay.errors import BadInput
from underlay.fleet.document import Document, mapping
from underlay.fleet.formats.ini import settings
from underlay.fleet.host import Host
from underlay.lint.finding import Finding, Rule
from underlay.lint.hosts.rule import RULES, Hosts
from underlay.lint.silence import own_texts, silence

# Rules about what files do together, or to the wire: what is said can be read, and a lab says it
# too, with errors of its own.
_TOGETHER = (
    "rules_address", "rules_container", "rules_fleet", "rules_interface", "rules_parent",
    "rules_route", "rules_segment",
)  # fmt: skip
# Rules about a single file whose reader takes it all the same.
_TAKEN = frozenset(
    {
        "compose-replicas-fixed", "docker-parent-missing", "docker-subnet-missing",
        "ignition-mode", "ipam-dhcp-ipvlan", "keyfile-dns", "keyfile-mode", "networkd-dns",
        "write-files-permissions", "write-files-twice",
    }
)  # fmt: skip
# Rules of the modules above about words that are no address, MAC or name at all, and about a
# VLAN that the kernel doesn't make: a lab would have it.
_NO_VALUE = frozenset(
    {
        "host-vlan-twice", "mac-invalid", "mac-group", "parent-name-invalid", "parent-vlan-name",
        "range-unusable",
    }
)  # fmt: skip
# Words that a file's reader passes over: they count where it is plain what was meant instead.
_UNKNOWN = ("-key-unknown", "-option-unknown", "-section-unknown")
_MEANT = ("did you mean", "it belongs")
# Files of these are about networks or interfaces, whatever they hold.
_ALWAYS = (
    "attachment", "cni", "docker", "ifupdown", "keyfile", "machine", "netplan", "networkd",
    "networkd_dropin", "nspawn", "podman",
)  # fmt: skip
# What tells of networks in files of which only a part is about them, or that can't be taken apart.
_WORDS = re.compile(
    r"net\.d/|systemd/network|containers/systemd|netplan|system-connections|macvlan|ipvlan"
    r"|\bnetworks?\b|\b(docker|podman|nspawn)\b",
    re.IGNORECASE,
)
# Networks of Quadlet's units that are none of their own.
_MODES = ("", "host", "none", "bridge", "default", "private", "pasta", "slirp4netns", "container")


def refused(hosts: Hosts) -> list[Finding]:
    """Return the errors for which hosts' files can't be taken as they are, by file and line.

    What a comment in its place silences is none of them, and neither is what stands in a file
    that has nothing to do with networks.
    """
    about = {d.file for host in hosts for d in host.documents if bears_on_networks(d, host)}
    texts = own_texts(hosts)
    found = {
        rule.finding(hit): None
        for rule in RULES
        if _refuses(rule)
        for hit in rule.check(hosts)
        if (hit.spot.file in about or rule.id.endswith("-not-read"))
        and (rule.severity == "error" or hit.cure.startswith(_MEANT))
    }
    kept, _ = silence(list(found), lambda file: texts.get(file, ""), {}, Counter())
    return sorted(kept, key=lambda one: (one.file, one.line, one.column, one.id))


def refuse(hosts: Hosts) -> None:
    """Raise BadInput that names every such error, each with its file and line, if there are some.

    Each is said as a problem of a lab file is: where, what was found, and the cure.
    """
    found = refused(hosts)
    if found:
        pairs = " ".join(f"--host {host.name}=…" for host in hosts[:2])
        more = " …" if len(hosts) > 2 else ""
        raise BadInput(
            said(found), hint=f"mend the files; `underlay lint {pairs}{more}` says why each matters"
        )


def said(findings: Sequence[Finding]) -> str:
    """Return findings as errors that are told before anything is made, two lines each."""
    return "\n".join(
        f"{one.spot}: {one.message} [{one.id}]\n  hint: {one.cure}" for one in findings
    )


def _refuses(rule: Rule[Hosts]) -> bool:
    if rule.severity != "error":
        return rule.id.endswith(_UNKNOWN)
    module = rule.check.__module__.rpartition(".")[2]
    return rule.id in _NO_VALUE or (module not in _TOGETHER and rule.id not in _TAKEN)


def bears_on_networks(document: Document, host: Host) -> bool:
    """Whether a file of ``host`` says anything of container networks or of interfaces."""
    data = mapping(document.data)
    if document.kind in _ALWAYS or not document.kind:
        return True
    if document.kind == "compose" and data:
        services = mapping(data.get("services")).values()
        return bool(data.get("networks")) or any("networks" in mapping(each) for each in services)
    if document.kind == "quadlet":
        entries = settings(document).entries
        named = (e.value.partition(":")[0] for e in entries if e.key in ("Network", "IP", "IP6"))
        return document.name.endswith(".network") or any(name not in _MODES for name in named)
    holds_more = any(one.target and one.file == document.file for one in host.documents)
    return holds_more or bool(_WORDS.search(document.text))
