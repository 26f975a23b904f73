"""Rules about one net.d file: what the plugins refuse, and what they silently pass over."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from underlay.drivers import DRIVERS
from underlay.errors import nearest
from underlay.fleet.document import Document, listed, mapping, word
from underlay.fleet.formats.cni import MAIN, looks_like_cni, plugins, ranges
from underlay.lab.text import Place
from underlay.lint.finding import Hit
from underlay.lint.hosts.rule import (
    CONFIG,
    HOST_LOCAL,
    IPVLAN,
    MACVLAN,
    SPEC,
    Hosts,
    networks,
    rule,
)

# The modes that the plugins know, by the plugin's type.
MODES = {
    one.name: tuple(mode for mode in one.modes if "cni" in one.made_by(mode))
    for one in DRIVERS.values()
    if one.modes and "cni" in one.runtimes
}
VERSIONS = ("0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0")
OTHERS = (
    "portmap", "bandwidth", "firewall", "tuning", "sbr", "vrf", "host-local", "dhcp", "static",
    "tap", "multus", "multus-shim", "calico", "flannel", "cilium-cni", "weave-net", "weave-npc",
    "whereabouts", "sriov", "ib-sriov", "ovs", "kindnet", "aws-cni", "azure-vnet", "antrea",
    "canal", "kube-router", "istio-cni", "linkerd-cni", "dnsname", "egress-cni",
    "route-override", "ovn-k8s-cni-overlay", "cloud-ipam", "hybridnet", "spiderpool", "coordinator",
)  # fmt: skip
GENERAL: dict[str, type] = {
    "cniVersion": str, "cniVersions": list, "name": str, "type": str, "args": dict,
    "capabilities": dict, "runtimeConfig": dict, "ipam": dict, "dns": dict, "prevResult": dict,
    "disableCheck": bool, "disableGC": bool, "loadOnlyInlinedPlugins": bool, "plugins": list,
    "ipMasq": bool,
}  # fmt: skip
CHILD: dict[str, type] = {"master": str, "mode": str, "mtu": int, "linkInContainer": bool}
# The keys of plugins whose own source we know; those of others are left alone.
KEYS: dict[str, dict[str, type]] = {
    "macvlan": {**CHILD, "mac": str, "bcqueuelen": int},
    "ipvlan": CHILD,
    "vlan": {"master": str, "mtu": int, "vlanId": int, "linkInContainer": bool},
    "bridge": {
        "bridge": str, "isGateway": bool, "isDefaultGateway": bool, "forceAddress": bool,
        "ipMasq": bool, "ipMasqBackend": str, "mtu": int, "hairpinMode": bool,
        "promiscMode": bool, "vlan": int, "preserveDefaultVlan": bool, "vlanTrunk": list,
        "enabledad": bool, "macspoofchk": bool, "disableContainerInterface": bool,
        "portIsolation": bool, "mac": str,
    },
}  # fmt: skip
IPAM: dict[str, dict[str, type]] = {
    "host-local": {
        "type": str, "subnet": str, "rangeStart": str, "rangeEnd": str, "gateway": str,
        "routes": list, "dataDir": str, "resolvConf": str, "ranges": list, "name": str,
    },
    "static": {"type": str, "addresses": list, "routes": list, "dns": dict, "name": str},
    "dhcp": {
        "type": str, "daemonSocketPath": str, "request": list, "provide": list,
        "priority": int, "name": str,
    },
    # k8snetworkplumbingwg/whereabouts, pkg/types/types.go: IPAMConfig.
    "whereabouts": {
        "type": str, "name": str, "range": str, "range_start": str, "range_end": str,
        "exclude": list, "gateway": str, "routes": list, "addresses": list, "dns": dict,
        "ipRanges": list, "datastore": str, "kubernetes": dict, "log_file": str,
        "log_level": str, "reconciler_cron_expression": str, "configuration_path": str,
        "enable_overlapping_ranges": bool, "overlapping_ranges": bool, "network_name": str,
        "node_slice_size": str, "optimistic_ipam": bool, "sleep_for_race": int,
        "leader_lease_duration": int, "leader_renew_deadline": int, "leader_retry_period": int,
        "enable_l3": bool, "etcd_host": str, "etcd_username": str, "etcd_password": str,
        "etcd_key_file": str, "etcd_cert_file": str, "etcd_ca_cert_file": str,
    },
}  # fmt: skip
RANGE_KEYS: dict[str, type] = dict.fromkeys(("subnet", "rangeStart", "rangeEnd", "gateway"), str)
# What begins a comment where JSON has none.
MARKS = ("_", "//", "#")
SPOKEN = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
}


def documents(hosts: Hosts) -> Iterator[Document]:
    """Yield the net.d files that are JSON."""
    for host in hosts:
        yield from (d for d in host.documents if d.kind == "cni" and d.data is not None)


def each_plugin(hosts: Hosts) -> Iterator[tuple[Document, Place, dict[str, Any]]]:
    """Yield every plugin of every net.d file, with its file and place."""
    for document in documents(hosts):
        for place, plugin in plugins(document):
            yield document, place, plugin


@rule("cni-not-an-object", "error", SPEC)
def cni_not_an_object(hosts: Hosts) -> Iterator[Hit]:
    """A network configuration is a JSON object."""
    for document in documents(hosts):
        if not isinstance(document.data, dict):
            yield Hit(document.spot(), "found no JSON object", 'begin with {"cniVersion": …')


@rule("cni-name-missing", "error", SPEC)
def cni_name_missing(hosts: Hosts) -> Iterator[Hit]:
    """The name is what runtimes ask for, and what host-local keeps its addresses under."""
    for document in documents(hosts):
        if isinstance(document.data, dict) and not word(document.data.get("name")):
            yield Hit(document.spot(("name",)), "found no name", '"name": "lannet"')


@rule("cni-name-invalid", "error", SPEC)
def cni_name_invalid(hosts: Hosts) -> Iterator[Hit]:
    """A name becomes a folder: letters, digits, dots, underscores and hyphens are allowed."""
    for document in documents(hosts):
        name = word(mapping(document.data).get("name"))
        if name and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
            spot = document.spot(("name",))
            yield Hit(spot, f"the name {name!r} is refused", "begin with a letter, no blanks")


@rule("cni-version-missing", "warning", SPEC)
def cni_version_missing(hosts: Hosts) -> Iterator[Hit]:
    """Without cniVersion a file counts as 0.1.0, which knows neither lists nor interfaces."""
    for document in documents(hosts):
        if looks_like_cni(document.data) and "cniVersion" not in mapping(document.data):
            yield Hit(document.spot(), "found no cniVersion", '"cniVersion": "1.0.0"')


@rule("cni-version-unknown", "error", SPEC)
def cni_version_unknown(hosts: Hosts) -> Iterator[Hit]:
    """Plugins refuse a version that they don't know: `incompatible CNI versions`."""
    for document in documents(hosts):
        version = mapping(document.data).get("cniVersion")
        if version is not None and version not in VERSIONS:
            message = f"there is no version {version!r}"
            yield Hit(document.spot(("cniVersion",)), message, f"one of {', '.join(VERSIONS)}")


@rule("cni-version-too-old", "error", CONFIG + "; " + SPEC)
def cni_version_too_old(hosts: Hosts) -> Iterator[Hit]:
    """What came later than the file's version is refused, or passed over."""
    for document in documents(hosts):
        data = mapping(document.data)
        version = data.get("cniVersion", "0.1.0")
        if version not in VERSIONS:
            continue
        for place, what, needed in _needs(document, data):
            if VERSIONS.index(version) < VERSIONS.index(needed):
                message = f"{what} needs cniVersion {needed}, and this is {version}"
                yield Hit(document.spot(place), message, f'"cniVersion": "{needed}" or newer')


def _needs(document: Document, data: dict[str, Any]) -> Iterator[tuple[Place, str, str]]:
    if "plugins" in data:
        yield ("plugins",), "a list of plugins", "0.3.0"
    if "disableCheck" in data:
        yield ("disableCheck",), "disableCheck", "0.4.0"
    for key in ("cniVersions", "disableGC", "loadOnlyInlinedPlugins"):
        if key in data:
            yield (key,), key, "1.1.0"
    for place, plugin in plugins(document):
        subnets = [word(e.get("subnet")) for _, e in ranges(mapping(plugin.get("ipam")))]
        if sum(":" not in s for s in subnets) > 1 or sum(":" in s for s in subnets) > 1:
            yield (*place, "ipam"), "more than one address per family", "0.3.0"


@rule("cni-type-missing", "error", SPEC)
def cni_type_missing(hosts: Hosts) -> Iterator[Hit]:
    """The type names the plugin to run: without one the file can't be loaded."""
    for document, place, plugin in each_plugin(hosts):
        listing = "plugins" in plugin or mapping(document.data).get("plugins") == []
        if not word(plugin.get("type")) and not listing:
            yield Hit(document.spot(place), "found a plugin without type", '"type": "macvlan"')


@rule("cni-type-misspelt", "error", "https://www.cni.dev/plugins/current/")
def cni_type_misspelt(hosts: Hosts) -> Iterator[Hit]:
    """No plugin of that name is found in the plugin folder: `failed to find plugin`."""
    for document, place, plugin in each_plugin(hosts):
        kind = word(plugin.get("type"))
        meant = nearest(kind, (*MAIN, *OTHERS)) if kind and kind not in (*MAIN, *OTHERS) else ""
        if meant:
            spot = document.spot((*place, "type"))
            yield Hit(spot, f"there is no plugin {kind!r}", f"did you mean {meant}?")


@rule("cni-plugins-empty", "error", SPEC)
def cni_plugins_empty(hosts: Hosts) -> Iterator[Hit]:
    """A list without plugins is refused: `no plugins in list`."""
    for document in documents(hosts):
        found = mapping(document.data).get("plugins")
        if found is not None and (not isinstance(found, list) or not found):
            yield Hit(document.spot(("plugins",)), "found no plugin in the list", "name one")


@rule("cni-list-in-conf", "error", "containernetworking/cni, libcni/conf.go: ConfFromBytes")
def cni_list_in_conf(hosts: Hosts) -> Iterator[Hit]:
    """A .conf file holds one plugin; the list in it has no type, and the file can't be loaded."""
    for document in documents(hosts):
        keys = mapping(document.data)
        if document.name.endswith(".conf") and "plugins" in keys and "type" not in keys:
            cure = f"name it {document.name}list"
            yield Hit(document.spot(("plugins",)), "found a list of plugins in a .conf file", cure)


@rule("cni-conf-in-list", "error", "containernetworking/cni, libcni/conf.go: ConfListFromBytes")
def cni_conf_in_list(hosts: Hosts) -> Iterator[Hit]:
    """A .conflist file without the key plugins can't be loaded: `no 'plugins' key`."""
    for document in documents(hosts):
        keys = mapping(document.data)
        if document.name.endswith(".conflist") and keys and "plugins" not in keys:
            cure = "name it .conf, or put the plugin into a list plugins"
            yield Hit(document.spot(), "found a single plugin in a .conflist file", cure)


@rule("cni-mode-unknown", "error", f"{MACVLAN}; {IPVLAN}")
def cni_mode_unknown(hosts: Hosts) -> Iterator[Hit]:
    """The plugin refuses a mode that isn't its driver's: `unknown macvlan mode`."""
    for document, place, plugin in each_plugin(hosts):
        modes = MODES.get(word(plugin.get("type")), ())
        mode = plugin.get("mode")
        if modes and isinstance(mode, str) and mode and mode not in modes:
            owner = next((driver for driver, known in MODES.items() if mode in known), "")
            message = f"{mode!r} is no mode of {plugin['type']}"
            message += f", but of {owner}" if owner else ""
            meant = nearest(mode, modes)
            cure = f"did you mean {meant}?" if meant else f"one of {', '.join(modes)}"
            yield Hit(document.spot((*place, "mode")), message, cure)


@rule("cni-wrong-type", "error", f"{SPEC}; Go's encoding/json: cannot unmarshal")
def cni_wrong_type(hosts: Hosts) -> Iterator[Hit]:
    """Plugins are strict about kinds of values: "1500" in quotes is refused where 1500 is meant."""
    for document, place, plugin in each_plugin(hosts):
        ipam = mapping(plugin.get("ipam"))
        tables = [
            (place, plugin, {**GENERAL, **KEYS.get(word(plugin.get("type")), {})}),
            ((*place, "ipam"), ipam, IPAM.get(word(ipam.get("type")), {})),
        ]
        for where, entries, known in tables:
            for key, value in entries.items():
                kind = known.get(key)
                plain = not isinstance(value, bool) or kind is bool
                if kind is None or value is None or (isinstance(value, kind) and plain):
                    continue
                message = f"{key} is {_shown(value)}, not {SPOKEN[kind]}"
                yield Hit(document.spot((*where, key)), message, f"{key} takes {SPOKEN[kind]}")


def _bare(key: str) -> str:
    """Return a key as it is without what writers take for a matter of taste."""
    return key.lower().replace("_", "").replace("-", "")


@rule("cni-key-unknown", "warning", f"{MACVLAN}; {IPVLAN}; {HOST_LOCAL}")
def cni_key_unknown(hosts: Hosts) -> Iterator[Hit]:
    """Plugins pass over keys that they don't know: a misspelt one has no effect, and no error."""
    for document, place, plugin in each_plugin(hosts):
        kind, ipam = word(plugin.get("type")), mapping(plugin.get("ipam"))
        inner = IPAM.get(word(ipam.get("type")), {})
        outer = {**GENERAL, **KEYS[kind]} if kind in KEYS else {}
        for where, entries, known, elsewhere in (
            (place, plugin, outer, inner),
            ((*place, "ipam"), ipam, inner, KEYS.get(kind, {})),
            *(
                ((*place, "ipam", *spot), entry, RANGE_KEYS, {})
                for spot, entry in (ranges(ipam) if ipam.get("type") == "host-local" else ())
                if spot
            ),
        ):
            for key in entries if known else ():
                if key in known or key.startswith(MARKS):
                    continue
                at = "ipam" if where == place else "the plugin"
                alike = next((one for one in known if _bare(one) == _bare(key)), "")
                meant = alike or nearest(key, tuple(known)) or nearest(key, tuple(elsewhere))
                cure = f"it belongs into {at}" if key in elsewhere else f"did you mean {meant}?"
                cure = cure if key in elsewhere or meant else "leave it out"
                yield Hit(document.spot((*where, key)), f"nobody reads the key {key!r}", cure)


@rule("cni-master-missing", "warning", MACVLAN)
def cni_master_missing(hosts: Hosts) -> Iterator[Hit]:
    """Without master a plugin takes the interface of the default route: often management's."""
    for document, place, plugin in each_plugin(hosts):
        kind = word(plugin.get("type"))
        chained = place[1:] not in ((), (0,))  # it may sit on what an earlier plugin made
        child = "master" in KEYS.get(kind, {})
        if child and not plugin.get("master") and not chained:
            yield Hit(document.spot(place), f"{kind} names no master", '"master": "eth1"')


@rule("cni-ipam-missing", "error", "containernetworking/plugins, plugins/main/ipvlan/ipvlan.go")
def cni_ipam_missing(hosts: Hosts) -> Iterator[Hit]:
    """The plugin ipvlan can't do without an IPAM plugin: ADD fails."""
    yield from _without_ipam(hosts, "ipvlan")


@rule("cni-no-address", "warning", MACVLAN)
def cni_no_address(hosts: Hosts) -> Iterator[Hit]:
    """A macvlan interface without an IPAM plugin is bare: nobody gives it an address."""
    yield from _without_ipam(hosts, "macvlan")


def _without_ipam(hosts: Hosts, driver: str) -> Iterator[Hit]:
    for _, network in networks(hosts, driver):
        bare = network.runtime == "cni" and not network.ipam
        if bare and network.keys["ipam"] not in network.document.marks.keys:
            message = f"{network.name} has no ipam"
            yield Hit(network.spot("ipam"), message, '"ipam": {"type": "host-local", …}')


def _shown(value: object) -> str:
    if isinstance(value, (dict, list)):
        return "a mapping" if isinstance(value, dict) else "a list"
    return str(value).lower() if isinstance(value, bool) else repr(value)[:40]


def routes_of(ipam: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """Return the routes of an ipam section that are mappings, with their places."""
    found = enumerate(listed(ipam.get("routes")))
    return [(i, entry) for i, entry in found if isinstance(entry, dict)]
