"""Rules about systemd-nspawn's files: what it passes over, and what can't be plugged in."""

from __future__ import annotations

from collections.abc import Iterator

from underlay.errors import did_you_mean, nearest
from underlay.fleet.document import Document
from underlay.fleet.formats.ini import settings
from underlay.fleet.formats.nspawn import VETH, machine_of, name_of, pairs, plugs
from underlay.fleet.host import Host, Link
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import NSPAWN, Hosts, rule

KEYS = {
    "Exec": """Boot Ephemeral ProcessTwo Parameters Environment User WorkingDirectory PivotRoot
        Capability DropCapability AmbientCapability NoNewPrivileges KillSignal Personality MachineID
        PrivateUsers NotifyReady SystemCallFilter LimitCPU LimitFSIZE LimitDATA LimitSTACK LimitCORE
        LimitRSS LimitNOFILE LimitAS LimitNPROC LimitMEMLOCK LimitLOCKS LimitSIGPENDING
        LimitMSGQUEUE LimitNICE LimitRTPRIO LimitRTTIME OOMScoreAdjust CPUAffinity Hostname
        ResolvConf Timezone LinkJournal SuppressSync""",
    "Files": """ReadOnly Volatile Bind BindReadOnly BindUser BindUserShell TemporaryFileSystem
        Inaccessible Overlay OverlayReadOnly PrivateUsersOwnership PrivateUsersChown""",
    "Network": """Private VirtualEthernet VirtualEthernetExtra Interface MACVLAN IPVLAN Bridge Zone
        Port NamespacePath""",
}
# The kernel's names of interfaces have so many characters.
LONGEST = 15


def _files(host: Host) -> Iterator[Document]:
    yield from (document for document in host.documents if document.kind == "nspawn")


@rule("nspawn-key-unknown", "warning", NSPAWN)
def nspawn_key_unknown(hosts: Hosts) -> Iterator[Hit]:
    """A setting that systemd-nspawn doesn't know is skipped, with a line in its log."""
    for host in hosts:
        for document in _files(host):
            for entry in settings(document).entries:
                known = KEYS.get(entry.section, "").split()
                if entry.section in KEYS and entry.key not in known:
                    where = (name for name, keys in KEYS.items() if entry.key in keys.split())
                    other = next(where, "")
                    meant = nearest(entry.key.lower(), tuple(key.lower() for key in known))
                    spelt = next((key for key in known if key.lower() == meant), "")
                    cure = f"it belongs into [{other}]" if other else did_you_mean(spelt)
                    message = f"nobody reads the key {entry.key!r} in [{entry.section}]"
                    yield Hit(document.at(entry.line), message, cure or "leave it out")


@rule("nspawn-section-unknown", "warning", NSPAWN)
def nspawn_section_unknown(hosts: Hosts) -> Iterator[Hit]:
    """A section that systemd-nspawn doesn't know is skipped, with everything in it."""
    for host in hosts:
        for document in _files(host):
            for name, line in settings(document).sections:
                if name not in KEYS and not name.startswith("X-"):
                    cure = did_you_mean(nearest(name, KEYS)) or f"one of {', '.join(KEYS)}"
                    yield Hit(document.at(line), f"there is no section [{name}]", cure)


@rule("nspawn-interface-name", "error", "Linux, net/core/dev.c: dev_valid_name")
def nspawn_interface_name(hosts: Hosts) -> Iterator[Hit]:
    """The kernel's names of interfaces have at most 15 characters: the container doesn't start."""
    for host in hosts:
        for document in _files(host):
            for key in ("MACVLAN", "IPVLAN", "Interface"):
                for parent, inside, entry in pairs(document, key):
                    for name in (parent, inside):
                        if len(name) > LONGEST or "/" in name:
                            message = f"{name[:40]!r} can be no interface's name"
                            cure = f"up to {LONGEST} characters, without a slash"
                            yield Hit(document.at(entry.line), message, cure)


@rule("nspawn-unit-unmatched", "warning", "systemd.network(5); systemd-nspawn(1)")
def nspawn_unit_unmatched(hosts: Hosts) -> Iterator[Hit]:
    """A unit in a container that is for an interface it doesn't get gives nobody its addresses."""
    for host in hosts:
        made = {name_of(d): [plug.inside for plug in plugs(d)] for d in _files(host)}
        for unit in (d for d in host.documents if d.kind == "machine"):
            named = settings(unit).last("Match", "Name")
            names = [*made.get(machine_of(unit), ()), VETH]
            if named is None or machine_of(unit) not in made:
                continue
            link = Link(host.name, named.value, unit.at(named.line))
            if not any(link.fits(name) for name in names):
                message = f"{machine_of(unit)} gets no interface {named.value}"
                cure = did_you_mean(nearest(named.value, names)) or f"one of {', '.join(names)}"
                yield Hit(unit.at(named.line), message, cure)
