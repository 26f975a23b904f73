"""What of hosts' files has no bearing on who reaches whom: names, texts, what a container runs.

Who is told of these needn't decide anything; all else that a lab doesn't say may change packets.
"""

from __future__ import annotations

import re
from typing import Any

from underlay.drivers import DRIVERS
from underlay.fleet.document import Document, listed, mapping
from underlay.fleet.formats.ini import settings
from underlay.fleet.host import Host, Link, meet
from underlay.lab.text import Place

_NETWORKD = (
    "Network/(DNS[A-Za-z]*|Domains|NTP|LLMNR|MulticastDNS|LLDP|EmitLLDP|Description)"
    "|(Link|NetDev|Unit|Match)/(Description|Alias|Required[A-Za-z]*|Group|Documentation)"
    "|(DHCP(v4|v6)?|IPv6AcceptRA)/(Use(DNS|NTP|Domains|Hostname|SIP|CaptivePortal)|SendHostname"
    "|Hostname|ClientIdentifier|VendorClassIdentifier|DUID[A-Za-z]*|IAID|RouteMetric)"
)
_CONTAINER = (
    "Annotation|AutoUpdate|ContainersConfModule|DNS[A-Za-z]*|Entrypoint|Environment[A-Za-z]*|Exec"
    "|ExposeHostPort|Group|GroupAdd|Health[A-Za-z]*|HostName|Label|LogDriver|LogOpt|Mask|Memory"
    "|Mount|Notify|Pull|ReadOnly[A-Za-z]*|ReloadCmd|Retry[A-Za-z]*|RunInit|Secret|ServiceName"
    "|ShmSize|StartWithPod|Stop[A-Za-z]*|SubGIDMap|SubUIDMap|GIDMap|UIDMap|UserNS|Timezone|Tmpfs"
    "|Ulimit|Unmask|User|Volume|WorkingDir|AddHost|NetworkAlias|Pod"
)
_SERVICE = (
    "annotations|attach|blkio_config|build|command|configs|cpu[a-z_]*|credential_spec|depends_on"
    "|deploy(/.*)?|develop|devices|dns|dns_opt|dns_search|domainname|entrypoint|env_file"
    "|environment|expose|extra_hosts|group_add|healthcheck|hostname|init|ipc|isolation|labels"
    "|label_file|links|logging|mem[a-z_]*|oom[a-z_]*|pid|pids_limit|platform|provider"
    "|pull_policy|read_only|restart|runtime|secrets|shm_size|stdin_open|stop_grace_period"
    "|stop_signal|storage_opt|tmpfs|tty|ulimits|user|userns_mode|volumes|volumes_from|working_dir"
    "|networks/[^/]+/aliases|x-.*"
)
# Keys without any bearing, by the kind of file; compared as in left.py.
_NONE = {
    kind: re.compile(pattern)
    for kind, pattern in {
        "cni": "(plugins/)?(dns(/.*)?|disableCheck|disableGC|cniVersions|([_#]|//).*"
        "|ipam/(dataDir|resolvConf|dns(/.*)?|name|log_file|log_level|datastore|kubernetes(/.*)?))",
        **dict.fromkeys(("networkd", "networkd_dropin", "machine"), _NETWORKD),
        "netplan": "(network/)?[a-z]+/[^/]+/(nameservers|dhcp-identifier|dhcp[46]-overrides"
        "|optional-addresses|ignore-carrier|wakeonlan|emit-lldp|critical)(/.*)?",
        "keyfile": "ipv[46]/(dns[a-z-]*|ignore-auto-dns|addr-gen-mode|ip6-privacy|may-fail|dhcp-.*"
        "|never-default)|(proxy|user)(/.*)?|ethernet/(wake-on-lan|auto-negotiate)",
        "ifupdown": "[^/]+/(dns-.*|description)",
        "podman": "labels(/.*)?|dns_enabled|network_dns_servers(/.*)?",
        "compose": f"services/[^/]+/({_SERVICE})|x-.*|volumes|secrets|configs|models"
        "|networks/[^/]+/(labels|attachable|x-.*)",
        "quadlet": f"(Container|Pod)/({_CONTAINER})|Network/(DNS|DisableDNS|Label|ServiceName"
        "|NetworkDeleteOnStop|ContainersConfModule)|(Volume|Image|Build|Artifact|Quadlet)/.*",
        "cloud_config": "packages|package_.*|users|groups|ssh_.*|chpasswd|password|timezone|locale"
        "|keyboard|ntp|apt|snap|yum_repos|final_message|fqdn|prefer_fqdn_over_hostname|growpart"
        "|resize_rootfs|disk_setup|fs_setup|mounts|swap|output|manage_resolv_conf|resolv_conf"
        "|ca[-_]certs|disable_root|no_ssh_fingerprints|merge_how|merge_type",
        "ignition": "passwd(/.*)?|storage/(disks|filesystems|raid|luks|directories)(/.*)?"
        "|ignition/(timeouts|security|proxy)(/.*)?|kernelArguments(/.*)?",
        "attachment": "metadata(/.*)?",
        "nspawn": "Exec/.*|Files/.*",
    }.items()
}
# Where a host's own packets go that are for nobody near.
_GATEWAY = re.compile(
    r"Network/Gateway|Route/[A-Za-z]+|(network/)?[a-z]+/[^/]+/(gateway[46]|routes)"
    r"|ipv[46]/(gateway|route-metric)|[^/]+/(gateway|metric)"
)
_FILES = re.compile(
    r"(^|/)(hosts|hostname|resolv\.conf|machine-id|timezone|localtime|locale\.(conf|gen)|motd"
    r"|issue(\.net)?|os-release|README[^/]*|LICEN[CS]E[^/]*|CHANGELOG[^/]*|[^/]*\.(md|rst|pub)"
    r"|\.git[a-z]+|\.editorconfig|\.dockerignore|Dockerfile|authorized_keys|sshd?_config)$"
)


def file_matters(path: str) -> bool:
    """Whether a file that isn't read may bear on who reaches whom, as far as its name tells."""
    return not _FILES.search(path)


def key_matters(host: Host, document: Document, place: Place, value: Any) -> bool:
    """Whether a key that a lab doesn't say may bear on who reaches whom."""
    path = "/".join(step for step in place if isinstance(step, str))
    pattern = _NONE.get(document.kind)
    if pattern is not None and pattern.fullmatch(path):
        return False
    if document.kind == "compose" and place[-1] == "ports":
        return not _is_on_wire(host, document, str(place[1]))
    if document.kind == "quadlet" and place[-1] == "PublishPort":
        named = [
            e.value.partition(":")[0] for e in settings(document).entries if e.key == "Network"
        ]
        return not named or not all(_child(host, name) for name in named)
    if _GATEWAY.fullmatch(path) and document.kind in ("networkd", "netplan", "keyfile", "ifupdown"):
        return not (_is_default(document, value) and _own_packets_only(host))
    return True


def link_matters(host: Host, link: Link) -> bool:
    """Whether an interface without a network on it has an address in the subnet of one.

    The host would answer there, or send by it what is for containers.
    """
    return any(
        meet(interface.network, pool.subnet)
        for interface, _ in link.addresses
        for network in host.networks
        for pool in network.pools
    )


def _is_on_wire(host: Host, document: Document, service: str) -> bool:
    """Whether a service is in macvlan and ipvlan networks alone: Docker publishes no port there.

    Source: https://docs.docker.com/engine/network/drivers/macvlan/.
    """
    body = mapping(mapping(mapping(document.data).get("services")).get(service))
    inside = body.get("networks")
    names = list(mapping(inside)) or [one for one in listed(inside) if isinstance(one, str)]
    return bool(names) and all(_child(host, name) for name in names)


def _child(host: Host, name: str) -> bool:
    return any(one.is_underlay for one in host.networks if name in (one.alias, one.name))


def _is_default(document: Document, value: Any) -> bool:
    """Whether a key about routes is about the default route alone."""
    if isinstance(value, list):
        return all(str(mapping(one).get("to")) in ("default", "0.0.0.0/0", "::/0") for one in value)
    if document.kind == "networkd":
        entries = settings(document).entries
        to = [e.value for e in entries if (e.section, e.key) == ("Route", "Destination")]
        return all(one in ("0.0.0.0/0", "::/0") for one in to)
    return True


def _own_packets_only(host: Host) -> bool:
    """Whether no container's packets go by the host's own routes.

    Those of ipvlan's l3 modes do, and those that a bridge hands to its host.
    """
    return not any(
        network.masquerades
        or network.driver == "bridge"
        or (network.driver in DRIVERS and network.wire_mode in DRIVERS[network.driver].l3_modes)
        for network in host.networks
    )
