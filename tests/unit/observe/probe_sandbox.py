"""A lab of network namespaces, for testing the real probe without any node.

Run as root inside a user, network, mount and PID namespace of its own:

    python probe_sandbox.py PLAN [COMMAND…]

builds PLAN's nodes as namespaces on bridges, with macvlan children, runs each
COMMAND (arguments of ``ip``), measures, and prints the observation as JSON. More commands
are ``silent NODE``, whose probe fails, ``stuck NODE: WORDS``, whose probe hangs once it is told
WORDS, ``wire NODE: EFFECT, EFFECT…``, which puts probe_wire.py between a node and the bridge,
``serve SPACE PORT``, which has a program listen there that knows nothing of probes,
``tc ARGUMENTS``, as tc(8) takes them, ``mute SPACE``, which sends no first segment of TCP,
``established SPACE``, which takes first packets of a flow alone,
``within SECONDS``, in which the probing has to be done, ``pace TIMES``, as for slow nodes,
``together``, which has all cells asked together, as if no answer was expected,
``tells SPACE TIMES``, whose kernel answers no ARP, but asks for somebody else the first TIMES that
anybody asks it, ``ahead NODE…``, which starts all probes before any other COMMAND and ends those
of each NODE again, and ``beyond``, which has what isn't planned looked for, too.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from underlay.cluster.providers.uml.wiring import AS_AT_BOOT
from underlay.expect import Prediction, machines, predict
from underlay.expect.unplanned import planned
from underlay.observe import Probes, measure
from underlay.observe.on_node.cells import AGAIN, COLD, TOGETHER
from underlay.observe.tasks import Asked, numbered
from underlay.plan import Plan, PlannedContainer, PlannedNode, plan_from_json

# Hands a probe what it is told, until it is told what it hangs at.
STUCK_AT = """
import signal, subprocess, sys
probe = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE)
for line in sys.stdin.buffer:
    if line.startswith(sys.argv[1].encode()):
        probe.send_signal(signal.SIGSTOP)
        signal.pause()
    probe.stdin.write(line)
    probe.stdin.flush()
probe.stdin.close()
"""
# Takes connections, and says what no probe asks for.
SERVER = """
import contextlib, socket, sys
server = socket.create_server(("0.0.0.0", int(sys.argv[1])))
print("listens", flush=True)
while True:
    made, _ = server.accept()
    with contextlib.suppress(OSError):
        made.sendall(b"HTTP/1.0 400 Bad Request\\r\\n")
    made.close()
"""
# Answers no ARP request, but sends one to everybody for an address that nobody has.
TELLER = """
import socket, sys
interface, mac, address, times = sys.argv[1:]
mac, address = bytes.fromhex(mac.replace(":", "")), socket.inet_aton(address)
with open("/proc/sys/net/ipv4/conf/all/arp_ignore", "w") as setting:
    setting.write("8")
made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806))
made.bind((interface, 0x0806))
print("listens", flush=True)
left = {}
while True:
    frame = made.recv(2048)
    by = frame[28:32]
    if frame[20:22] == bytes([0, 1]) and frame[38:42] == address != by:
        left[by] = left.get(by, int(times)) - 1
        if left[by] < 0:
            continue
        asks = bytes.fromhex("0806000108000604" "0001") + mac + address + bytes(6)
        made.send(bytes([255] * 6) + mac + asks + address[:3] + bytes([250]) + bytes(18))
"""
# What each of them has a namespace drop; first segments before they are routed anywhere.
DROPPED = {
    "mute": "type filter hook output priority 0; tcp flags syn / syn,ack drop",
    "established": "type filter hook input priority 0; ct state established drop",
}
NODAD = ("", " nodad")
NO_ARGUMENTS_OF_IP = ("ahead", "silent", "stuck", "within", "pace", "beyond", "together")


def ip(arguments: str) -> None:
    configure("ip", arguments)


def configure(program: str, arguments: str) -> None:
    done = subprocess.run([program, *arguments.split()], capture_output=True, text=True, timeout=10)
    if done.returncode:
        sys.exit(f"{program} {arguments}: {done.stderr.strip()}")


def switch_on(space: str, name: str) -> None:
    """Write 1 to what sysctl(8), which not every machine has, calls ``name``."""
    path = f"/proc/sys/{name.replace('.', '/')}"
    script = f"echo 1 >{path}"
    ip_exec = ["ip", "netns", "exec", space, "sh", "-euc", script]
    subprocess.run(ip_exec, check=True, timeout=10)


def add_space(name: str) -> None:
    ip(f"netns add {name}")
    script = ["ip", "netns", "exec", name, "sh", "-euc", AS_AT_BOOT]
    subprocess.run(script, check=True, timeout=10)
    ip(f"-n {name} link set lo up")


def build(plan: Plan) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True, timeout=10)
    ip("link set lo up")
    for segment in plan.segments:
        ip(f"link add {segment.bridge} type bridge mcast_snooping 0")
        ip(f"link set {segment.bridge} up")
    for node in plan.nodes:
        build_node(plan, node)
    for container in plan.containers:
        build_container(plan, container)


def build_node(plan: Plan, node: PlannedNode) -> None:
    add_space(node.name)
    bridges = {segment.name: segment for segment in plan.segments}
    for nic in node.nics:
        segment = bridges[nic.segment]
        port = segment.ports[node.name]
        ip(
            f"link add {port} type veth peer name {nic.interface} "
            f"netns {node.name} address {nic.mac}"
        )
        ip(f"link set {port} master {segment.bridge} up")
        ip(f"link set {port} mtu {segment.mtu}")
        ip(f"-n {node.name} link set {nic.interface} mtu {nic.mtu}")
        for address in filter(None, (nic.address, nic.address6)):
            ip(f"-n {node.name} address add {address} dev {nic.interface}{NODAD[':' in address]}")
        ip(f"-n {node.name} link set {nic.interface} up")
    for route in node.routes:
        ip(f"-n {node.name} route add {route.to} dev {route.interface}")


def build_container(plan: Plan, container: PlannedContainer) -> None:
    name = container.name
    add_space(name)
    for attachment in container.attachments:
        network = plan.network(attachment.network)
        ip(
            f"-n {container.node} link add link {network.parent} name child0 "
            f"address {attachment.mac} type macvlan mode {network.mode}"
        )
        ip(f"-n {container.node} link set child0 name {attachment.interface} netns {name}")
        ip(f"-n {name} link set {attachment.interface} mtu {network.mtu}")
        for address in filter(None, (attachment.address, attachment.address6)):
            ip(f"-n {name} address add {address} dev {attachment.interface}{NODAD[':' in address]}")
        ip(f"-n {name} link set {attachment.interface} up")
        # As the CNI plugins add routes: a later default goes before an earlier one.
        if network.default_route == "on-link":
            ip(f"-n {name} route prepend default dev {attachment.interface}")
            if attachment.address6:
                ip(f"-n {name} -6 route add default dev {attachment.interface}")
        if network.default_route == "gateway":
            ip(f"-n {name} route prepend default via {network.gateway} dev {attachment.interface}")


def put_wire(plan: Plan, node: str, effects: list[str]) -> None:
    segment = plan.segments[0]
    port = segment.ports[node]
    ip(f"link set {port} nomaster")
    inner, outer = f"in-{node}", f"out-{node}"
    ip(f"link add {inner} type veth peer name {outer}")
    ip(f"link set {outer} master {segment.bridge} up")
    ip(f"link set {inner} up")
    program = str(Path(__file__).with_name("probe_wire.py"))
    # It ends with the PID namespace.
    subprocess.Popen([sys.executable, "-S", program, port, inner, *effects], stdout=sys.stderr)


def serve(space: str, port: str) -> None:
    words = ["ip", "netns", "exec", space, sys.executable, "-S", "-c", SERVER, port]
    # It ends with the PID namespace.
    server = subprocess.Popen(words, stdout=subprocess.PIPE)
    assert server.stdout is not None
    server.stdout.readline()


def tell(plan: Plan, space: str, times: str) -> None:
    own = next(one for one in plan.containers if one.name == space).attachments[0]
    words = [sys.executable, "-S", "-c", TELLER, own.interface, own.mac, own.address.ip, times]
    # It ends with the PID namespace.
    teller = subprocess.Popen(["ip", "netns", "exec", space, *words], stdout=subprocess.PIPE)
    assert teller.stdout is not None
    teller.stdout.readline()


def drop(what: str, space: str) -> None:
    words = ["ip", "netns", "exec", space, "nft", "-f", "-"]
    rules = f"table inet {what} {{ chain only {{ {DROPPED[what]}; }}; }}\n"
    subprocess.run(words, input=rules, text=True, check=True, timeout=10)


def all_together(plan: Plan) -> Asked:
    asked = numbered(plan, predict(plan))
    pairs = tuple(
        replace(one, phase=TOGETHER, again=one.phase.replace(COLD, AGAIN)) for one in asked.pairs
    )
    return replace(asked, pairs=pairs)


def started_ahead(plan: Plan, *killed: str) -> Probes:
    """Start probes that have no task yet, and end those of the nodes ``killed`` again."""
    processes: dict[str, subprocess.Popen[bytes]] = {}

    def kept(node: str, argv: list[str]) -> subprocess.Popen[bytes]:
        processes[node] = spawn(node, argv)
        return processes[node]

    probes = Probes(machines(plan), kept)
    while len(processes) < len(machines(plan)):
        time.sleep(0.01)
    for node in killed:
        processes[node].kill()
        while probes.serve(machines(plan)):
            time.sleep(0.01)
    return probes


def spawn(node: str, argv: list[str]) -> subprocess.Popen[bytes]:
    if node == SILENT:
        argv = ["sh", "-c", "echo out of order >&2; exit 7"]
    if node in STUCK:
        argv = [sys.executable, "-c", STUCK_AT, STUCK[node], *argv]
    return subprocess.Popen(
        ["ip", "netns", "exec", node, *argv],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


if __name__ == "__main__":
    the_plan = plan_from_json(Path(sys.argv[1]).read_text())
    SILENT = next((word.removeprefix("silent ") for word in sys.argv[2:] if "silent" in word), "")
    STUCK = dict(
        word.removeprefix("stuck ").split(": ") for word in sys.argv[2:] if word.startswith("stuck")
    )
    within = [float(word.split()[1]) for word in sys.argv[2:] if word.startswith("within ")]
    paces = [float(word.split()[1]) for word in sys.argv[2:] if word.startswith("pace ")]
    build(the_plan)
    ahead = [word.split()[1:] for word in sys.argv[2:] if word.split()[0] == "ahead"]
    probes = started_ahead(the_plan, *ahead[0]) if ahead else None
    for command in sys.argv[2:]:
        if command.startswith("wire "):
            its_node, _, words = command.removeprefix("wire ").partition(": ")
            put_wire(the_plan, its_node, words.split(", "))
        elif command.startswith("serve "):
            serve(*command.split()[1:])
        elif command.startswith("tells "):
            tell(the_plan, *command.split()[1:])
        elif command.split()[0] in DROPPED:
            drop(*command.split())
        elif command.startswith("sysctl "):
            switch_on(*command.split()[1:])
        elif command.startswith("tc "):
            configure("tc", command.removeprefix("tc "))
        elif command.split()[0] not in NO_ARGUMENTS_OF_IP:
            ip(command)
    beyond = planned(Prediction(the_plan)) if "beyond" in sys.argv[2:] else None
    seen = measure(
        the_plan,
        spawn,
        planned=beyond,
        asked=all_together(the_plan) if "together" in sys.argv[2:] else None,
        deadline=next(iter(within), None),
        pace=next(iter(paces), 1),
        probes=probes,
    )
    sys.stdout.write(seen.to_json())
