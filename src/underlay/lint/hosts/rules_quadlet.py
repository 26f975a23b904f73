"""Rules about Quadlet's units: what podman's generator refuses, and what the kernel does later."""

from __future__ import annotations

from collections.abc import Iterator

from underlay.errors import did_you_mean, nearest
from underlay.fleet.document import Document
from underlay.fleet.formats.ini import settings
from underlay.fleet.formats.quadlet import SUFFIXES, options, service_of
from underlay.fleet.host import Host, Network, as_address
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import QUADLET, Hosts, networks, rule
from underlay.lint.hosts.rules_cni import MODES
from underlay.lint.hosts.rules_docker import OPTIONS

DRIVERS = ("bridge", *MODES)
IPAM = ("host-local", "dhcp", "none")
SYSTEMD = ("Unit", "Service", "Install", "Quadlet")
_SHARED = "ContainersConfModule GlobalArgs PodmanArgs ServiceName"
KEYS = {
    "Network": """DNS DisableDNS Driver Gateway IPAMDriver IPRange IPv6 InterfaceName Internal Label
        NetworkDeleteOnStop NetworkName Options Subnet""",
    "Container": """AddCapability AddDevice AddHost Annotation AppArmor AutoUpdate CgroupsMode
        ContainerName DNS DNSOption DNSSearch DropCapability Entrypoint Environment EnvironmentFile
        EnvironmentHost Exec ExposeHostPort GIDMap Group GroupAdd HealthCmd HealthInterval
        HealthLogDestination HealthMaxLogCount HealthMaxLogSize HealthOnFailure HealthRetries
        HealthStartPeriod HealthStartupCmd HealthStartupInterval HealthStartupRetries
        HealthStartupSuccess HealthStartupTimeout HealthTimeout HostName HttpProxy IP IP6 Image
        Label LogDriver LogOpt Mask Memory Mount Network NetworkAlias NoNewPrivileges Notify
        PidsLimit Pod
        PublishPort Pull ReadOnly ReadOnlyTmpfs ReloadCmd ReloadSignal RemapGid RemapUid
        RemapUidSize RemapUsers Retry RetryDelay Rootfs RunInit SeccompProfile Secret
        SecurityLabelDisable SecurityLabelFileType SecurityLabelLevel SecurityLabelNested
        SecurityLabelType ShmSize StartWithPod StopSignal StopTimeout SubGIDMap SubUIDMap Sysctl
        Timezone Tmpfs UIDMap Ulimit Unmask User UserNS VolatileTmp Volume WorkingDir""",
    "Pod": """AddHost DNS DNSOption DNSSearch ExitPolicy GIDMap HostName IP IP6 Label Network
        NetworkAlias PodName PublishPort RemapGid RemapUid RemapUidSize RemapUsers ShmSize
        StopTimeout SubGIDMap SubUIDMap UIDMap UserNS Volume""",
}  # fmt: skip
# What Network= may name without a unit of its own.
BUILT_IN = ("none", "host", "private", "bridge", "slirp4netns", "pasta", "podman", "ns", "default")


def _units(hosts: Hosts, *suffixes: str) -> Iterator[tuple[Host, Document]]:
    for host in hosts:
        for document in host.documents:
            if document.kind == "quadlet" and document.name.endswith(suffixes):
                yield host, document


def _networks(hosts: Hosts, *drivers: str) -> Iterator[tuple[Host, Network]]:
    for host, network in networks(hosts, *drivers):
        if network.document.kind == "quadlet":
            yield host, network


@rule("quadlet-key-unknown", "error", QUADLET + ": `unsupported key`")
def quadlet_key_unknown(hosts: Hosts) -> Iterator[Hit]:
    """The generator refuses a unit with a key that it doesn't know: there is no service then."""
    for _, document in _units(hosts, ".network", ".container", ".pod"):
        for entry in settings(document).entries:
            keys = (
                tuple(f"{KEYS[entry.section]} {_SHARED}".split()) if entry.section in KEYS else ()
            )
            if keys and entry.key not in keys:
                meant = did_you_mean(nearest(entry.key, keys))
                message = f"[{entry.section}] has no key {entry.key!r}"
                yield Hit(document.at(entry.line), message, meant or "leave it out")


@rule("quadlet-section-unknown", "error", QUADLET)
def quadlet_section_unknown(hosts: Hosts) -> Iterator[Hit]:
    """A unit without its own section is refused; what stands under another name isn't read."""
    for _, document in _units(hosts, ".network", ".container", ".pod"):
        own = document.name.rpartition(".")[2].capitalize()
        said = settings(document)
        if not any(name == own for name, _ in said.sections):
            line = next((line for name, line in said.sections if name not in SYSTEMD), 1)
            yield Hit(document.at(line), f"found no section [{own}]", f"begin with [{own}]")


@rule("quadlet-driver-unknown", "error", QUADLET + "; podman-network-create(1)")
def quadlet_driver_unknown(hosts: Hosts) -> Iterator[Hit]:
    """Its drivers are bridge, macvlan and ipvlan; podman says `unsupported driver` to others."""
    for _, network in _networks(hosts):
        if network.driver not in DRIVERS and nearest(network.driver, DRIVERS):
            meant = nearest(network.driver, DRIVERS)
            message = f"podman has no driver {network.driver!r}"
            yield Hit(network.spot("type"), message, f"did you mean {meant}?")


@rule("quadlet-parent-missing", "warning", "podman-network-create(1): --interface-name, parent=")
def quadlet_parent_missing(hosts: Hosts) -> Iterator[Hit]:
    """Without parent podman takes the interface of the default route: often management's."""
    for _, network in _networks(hosts, *MODES):
        if not network.parent and not settings(network.document).value("Network", "InterfaceName"):
            message = f"{network.name} names no parent"
            yield Hit(network.document.spot(("Network", "Driver")), message, "Options=parent=eth1")


@rule("quadlet-option-unknown", "error", "podman-network-create(1): `unsupported option`")
def quadlet_option_unknown(hosts: Hosts) -> Iterator[Hit]:
    """An option that the driver doesn't have is refused, and with it the network."""
    for _, network in _networks(hosts, *MODES):
        known = ("parent", "mode", "mtu", "metric", "no_default_route", "bclim", "vlan", "isolate")
        for key, (_, entry) in options(network.document).items():
            if key not in known:
                elsewhere = "mode" if key in OPTIONS.get(network.driver, ()) else ""
                cure = did_you_mean(elsewhere or nearest(key, known)) or "leave it out"
                message = f"podman's {network.driver} has no option {key!r}"
                yield Hit(network.document.at(entry.line), message, cure)


@rule("podman-mode-unknown", "error", "podman-network-create(1); netavark: `invalid mode`")
def podman_mode_unknown(hosts: Hosts) -> Iterator[Hit]:
    """A mode that isn't its driver's is refused: the container doesn't start."""
    for _, network in networks(hosts, *MODES):
        modes = MODES[network.driver]
        if network.runtime == "podman" and network.mode and network.mode not in modes:
            cure = did_you_mean(nearest(network.mode, modes)) or f"one of {', '.join(modes)}"
            message = f"{network.mode!r} is no mode of {network.driver}"
            yield Hit(network.spot("mode"), message, cure)


@rule("podman-subnet-missing", "warning", "podman-network-create(1)")
def podman_subnet_missing(hosts: Hosts) -> Iterator[Hit]:
    """Without a subnet podman asks DHCP for macvlan, and refuses ipvlan."""
    for _, network in networks(hosts, "ipvlan"):
        bare = network.runtime == "podman" and not network.claims
        if bare and network.ipam not in ("dhcp", "none"):
            message = f"{network.name} has no subnet"
            yield Hit(network.spot("type"), message, "name the subnet")


@rule("quadlet-ipam-unknown", "error", QUADLET + ": IPAMDriver")
def quadlet_ipam_unknown(hosts: Hosts) -> Iterator[Hit]:
    """The IPAM drivers of podman are host-local, dhcp and none."""
    for _, network in _networks(hosts):
        if network.ipam and network.ipam not in IPAM:
            cure = did_you_mean(nearest(network.ipam, IPAM)) or f"one of {', '.join(IPAM)}"
            yield Hit(network.spot("ipam"), f"there is no IPAM driver {network.ipam!r}", cure)


@rule("quadlet-range-unpaired", "error", QUADLET + ": `cannot set gateway or range without subnet`")
def quadlet_range_unpaired(hosts: Hosts) -> Iterator[Hit]:
    """Gateways and ranges belong to subnets by their order: one too many is refused."""
    for _, network in _networks(hosts):
        said = settings(network.document)
        subnets = len(list(said.every("Network", "Subnet")))
        for key in ("Gateway", "IPRange"):
            for entry in list(said.every("Network", key))[subnets:]:
                message = f"{key}={entry.value} has no Subnet= that it belongs to"
                cure = f"name the subnet of {entry.value}, or leave it out"
                yield Hit(network.document.at(entry.line), message, cure)


@rule("quadlet-network-undefined", "error", QUADLET + ": `requested Quadlet unit was not found`")
def quadlet_network_undefined(hosts: Hosts) -> Iterator[Hit]:
    """Network=NAME.network names a unit of the same host; without that there is no service."""
    for host, document in _units(hosts, ".container", ".pod"):
        units = {d.name for _, d in _units((host,), ".network")}
        said = settings(document)
        for entry in (*said.every("Container", "Network"), *said.every("Pod", "Network")):
            name = entry.value.partition(":")[0]
            if name.endswith(".network") and name not in units:
                cure = did_you_mean(nearest(name, units)) or f"write {name}"
                yield Hit(document.at(entry.line), f"there is no unit {name}", cure)


@rule("quadlet-network-unordered", "warning", QUADLET + ": Network=")
def quadlet_network_unordered(hosts: Hosts) -> Iterator[Hit]:
    """Only Network=NAME.network waits for the unit: a bare name is looked for as it is at boot."""
    for host, document in _units(hosts, ".container", ".pod"):
        units = {n.name: n for _, n in _networks((host,))}
        said = settings(document)
        for entry in (*said.every("Container", "Network"), *said.every("Pod", "Network")):
            network = units.get(entry.value.partition(":")[0])
            if network is not None:
                unit = network.document.name
                message = f"{network.name} is made by {unit}, for which nothing here waits"
                cure = f"write Network={unit}"
                yield Hit(document.at(entry.line), message, cure, (network.spot("name"),))


@rule("quadlet-not-started", "warning", QUADLET + ": [Install]")
def quadlet_not_started(hosts: Hosts) -> Iterator[Hit]:
    """Without [Install] nothing starts a container at boot, unless another unit wants it."""
    for host in hosts:
        for container in host.containers:
            if container.idle and container.document.kind == "quadlet":
                service = service_of(container.document)
                message = f"nothing starts {service} when {host.name} boots"
                cure = "[Install] with WantedBy=multi-user.target"
                yield Hit(container.spot, message, cure)


@rule("quadlet-address-outside", "error", "podman-run(1): --ip")
def quadlet_address_outside(hosts: Hosts) -> Iterator[Hit]:
    """A container's address lies in its network's subnet; podman refuses any other."""
    for host in hosts:
        units = {n.document.name: n for _, n in _networks((host,))}
        for fixed in host.fixed:
            network = units.get(fixed.network)
            if network is None or fixed.address is None:
                continue
            subnets = [pool.subnet for pool in network.pools]
            alike = [s for s in subnets if s.version == fixed.address.version]
            if alike and not any(fixed.address in subnet for subnet in alike):
                message = f"{fixed.owner}'s {fixed.address} is not in {alike[0]}"
                yield Hit(fixed.spot, message, "take an address of the network's subnet")


@rule("quadlet-address-invalid", "error", QUADLET + ": IP, IP6")
def quadlet_address_invalid(hosts: Hosts) -> Iterator[Hit]:
    """IP= and IP6= are plain addresses of their family."""
    for _, document in _units(hosts, ".container", ".pod"):
        said = settings(document)
        for section in ("Container", "Pod"):
            for key, version in (("IP", 4), ("IP6", 6)):
                for entry in said.every(section, key):
                    address = as_address(entry.value)
                    if address is None or address.version != version:
                        message = f"{key}={entry.value} is no IPv{version} address"
                        cure = "write IP=10.1.0.9" if version == 4 else "write IP6=fd00::9"
                        yield Hit(document.at(entry.line), message, cure)


@rule("quadlet-not-read", "error", QUADLET + ": files end in .container, .network, .pod …")
def quadlet_not_read(hosts: Hosts) -> Iterator[Hit]:
    """Quadlet passes over a file in its folder that ends otherwise: there is no service."""
    for host in hosts:
        for name, spot in host.unread("containers/systemd"):
            suffix = name.rpartition(".")[2].lower()
            kinds = tuple(each[1:] for each in SUFFIXES)
            if "." in name[1:] and (suffix in ("net", *kinds) or nearest(suffix, kinds)):
                cure = f"name it {name.partition('.')[0]}.network or .container, say"
                yield Hit(spot, f"Quadlet doesn't read {name}", cure)
