"""Faults that keep a lab from starting: ``up`` fails with exit code 3 and says which it was.

They can't be put into a running lab. What ``up`` says of each stands under ``evidence``.
"""

from __future__ import annotations

from functools import partial

from underlay.faults.fault import Entry

SUBJECT = "starting a lab"

_entry = partial(Entry, stage="boot")

FAULTS: tuple[Entry, ...] = (
    _entry(
        id="no-memory",
        layer="node",
        title="the machine has too little free memory for the nodes",
        symptom="`up` refuses before any node starts",
        evidence="up: N MiB of memory are free, the lab's nodes need M MiB",
        cause="A node whose memory file finds no room dies by SIGBUS, so `up` asks first.",
        cure="fewer nodes, less `memory` each, or `nodes: {profile: lean}`",
        reference="measured; Linux Documentation/virt/uml, memory files",
    ),
    _entry(
        id="node-full",
        layer="node",
        title="a node's containers fill its memory",
        symptom="`up` fails at the container that found no room; those before it run",
        evidence="up: NODE: … exit code 137, or: Killed",
        cause="A node that is full starts nothing more: its kernel kills what asks next (137 is 128"
        " and signal 9). Lint warns of it beforehand, with the sum (`memory-short`).",
        cure="more `memory` for the node, as lint says, or fewer containers on it",
        reference="measured: docs/proof/memory-full.json; Linux mm/oom_kill.c; signal(7)",
    ),
    _entry(
        id="no-namespaces",
        layer="node",
        title="the machine allows no user namespaces",
        symptom="`up` can't make the sandbox",
        evidence="up: the lab's sandbox could not be made; unshare: Operation not permitted",
        cause="A chroot, a container or AppArmor (Ubuntu 24.04) forbids user namespaces.",
        cure="the setting that underlay doctor names, such as"
        " kernel.apparmor_restrict_unprivileged_userns",
        reference="user_namespaces(7); Ubuntu security, unprivileged user namespace restrictions",
    ),
    _entry(
        id="tun-closed",
        layer="node",
        title="/dev/net/tun isn't open to the user",
        symptom="`up` can't make the switch's ports",
        evidence="up: /dev/net/tun cannot be opened: Permission denied, or: is missing",
        cause="Taps need read and write access to /dev/net/tun, which some machines keep for root.",
        cure="chmod 0666 /dev/net/tun, as Debian ships it, or run as root",
        reference="Linux Documentation/networking/tuntap.rst",
    ),
    _entry(
        id="kernel-ended",
        layer="node",
        title="a node's kernel ends while booting",
        symptom="`up` fails at once and shows the console's last lines",
        evidence="up: NODE: its kernel ended while booting",
        cause="The image, its init or the kernel is broken: a panic, or no root file system.",
        cure="underlay image build --force, or correct `image:` in the lab file",
        reference="measured; Linux Documentation/virt/uml/user_mode_linux_howto_v2.rst",
    ),
    _entry(
        id="no-ssh",
        layer="image",
        title="a node boots, but its ssh doesn't answer",
        symptom="`up` waits until its deadline and shows the console's last lines",
        evidence="up: NODE: ssh did not answer within the deadline",
        cause="The management NIC got no address, or sshd doesn't start in this image.",
        cure="underlay doctor --image checks what an image lacks",
        reference="systemd.network(5); measured: networkd waits for udev's word",
    ),
    _entry(
        id="header-missing",
        layer="cloud-config",
        title="user-data lacks its first line #cloud-config",
        symptom="the node boots, but nothing is configured: no user, no containers",
        evidence='cloud-init: Unhandled non-multipart (text/x-not-multipart) userdata: "…"',
        cause="cloud-init tells by the first line what kind of user-data it has got.",
        cure="put #cloud-config on the first line, with nothing before it",
        reference="canonical/cloud-init#6114, #4239; kubevirt/user-guide#578",
    ),
    _entry(
        id="user-data-yaml",
        layer="cloud-config",
        title="user-data isn't YAML",
        symptom="the node boots, but nothing is configured",
        evidence="up: NODE: cloud-init reports Failed loading yaml blob",
        cause="A tab, or a colon in an unquoted value: cloud-init drops the whole part.",
        cure="cloud-init schema --config-file FILE names the line",
        reference="canonical/cloud-init#6178; cloud-init docs, reference/faq",
    ),
    _entry(
        id="runcmd-failed",
        layer="cloud-config",
        title="a command of user-data fails",
        symptom="`up` fails when cloud-init has ended, with the command's own words",
        evidence="up: NODE: cloud-init reports ('scripts_user', RuntimeError(…))",
        cause="cloud-init starts the containers last: what it reports is a runtime's own error.",
        cure="the lines below the error are the runtime's; correct what they name",
        reference="cloud-init docs, reference/modules, runcmd",
    ),
    _entry(
        id="no-such-driver",
        layer="image",
        title="the node's kernel lacks a driver",
        symptom="`up` fails when the first container of that network is to start",
        evidence="Error: Unknown device type; or: operation not supported",
        cause="The kernel was built without macvlan, ipvlan or 8021q, or its modules aren't there.",
        cure="install the kernel's extra modules (linux-modules-extra) in the image",
        reference="containernetworking/plugins#53; Joshua-Riek/ubuntu-rockchip#297",
    ),
    _entry(
        id="no-such-parent",
        layer="runtime",
        title="a network's parent doesn't exist on the node",
        symptom="`up` fails: no container of that network starts",
        evidence='failed to lookup master "eth9": Link not found; or Docker: invalid subinterface',
        cause="The interface was renamed or never made; a misspelt name without a dot makes Docker"
        " speak of a subinterface.",
        cure="name the segment instead of the parent, or correct the parent's name",
        reference="cni.dev, plugins/current/main/macvlan; docker/for-mac#3926",
    ),
    _entry(
        id="parent-busy",
        layer="driver",
        title="macvlan and ipvlan are on one parent",
        symptom="`up --force` fails: the second driver's containers don't start",
        evidence="RTNETLINK answers: Device or resource busy",
        cause="A parent takes one kind of children: the first one keeps the receive handler.",
        cure="put the second network on another segment, or on a VLAN of its own",
        reference="containernetworking/cni#7; Linux drivers/net/macvlan.c, macvlan_port_create",
    ),
    _entry(
        id="passthru-taken",
        layer="driver",
        title="a second child beside a passthru child",
        symptom="`up --force` fails: the second container doesn't start",
        evidence="RTNETLINK answers: Invalid argument",
        cause="A passthru child has its parent for itself, in whichever order they are made.",
        cure="one container per node in such a network, or mode bridge",
        reference="Linux drivers/net/macvlan.c, macvlan_common_newlink (EINVAL); measured",
    ),
    _entry(
        id="docker-parent-taken",
        layer="runtime",
        title="two Docker networks of one driver on one parent",
        symptom="`up --force` fails: Docker refuses the second network",
        evidence="network di-… is already using parent interface eth1",
        cause="Docker allows one ipvlan network per parent; Docker 26 one macvlan network, too.",
        cure="one network with several subnets, or a VLAN for each",
        reference="moby/libnetwork#2384; moby/moby#47318; moby drivers/ipvlan/ipvlan_network.go",
    ),
    _entry(
        id="docker-pool-overlap",
        layer="addressing",
        title="two Docker networks have one subnet",
        symptom="`up --force` fails: Docker refuses the second network",
        evidence="Pool overlaps with other one on this address space",
        cause="Docker keeps one address space per daemon, whatever the parents are.",
        cure="disjoint subnets, or another runtime for one of them",
        reference="moby/libnetwork#2334; moby/moby#46756",
    ),
    _entry(
        id="range-full",
        layer="addressing",
        title="host-local has no address left",
        symptom="a container doesn't start although few run: files of dead ones hold the range",
        evidence="failed to allocate for range 0: no IP addresses available in range set",
        cause="host-local keeps a file per address in /var/lib/cni/networks; nobody removed them.",
        cure="remove the files of containers that don't run any more",
        reference="containernetworking/plugins#252; kubernetes/kubernetes#57280",
    ),
)
