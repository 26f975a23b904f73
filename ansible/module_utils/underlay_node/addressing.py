"""What the node does to packets that pass through it: forwarding, and source addresses (NAT)."""

from __future__ import annotations

import subprocess

from .commands import DEADLINE, Failed, run
from .links import Links

FORWARD = "/proc/sys/net/ipv4/ip_forward"
ROUTER = ["sysctl", "--quiet", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"]
# As the labs' external routers are told: a redirect changes for minutes who reaches whom, and the
# first packets, which bring it about, are lost.
NO_REDIRECTS = "for file in /proc/sys/net/ipv4/conf/*/send_redirects; do echo 0 > $file; done"


class Translation:
    """The MASQUERADE rules and forwarding that links ask for, against what the kernel has."""

    def __init__(self, wanted: Links, before: Links) -> None:
        new, old = rules(wanted), rules(before)
        self._add = [rule for rule in new if not _there(rule)]
        self._remove = [rule for rule in old if rule not in new and _there(rule)]
        forward, forwarded = forwards(wanted), forwards(before)
        self._forward = forward if forward != _forwarding() and (forward or forwarded) else None

    def words(self) -> list[str]:
        """Return the changes in words."""
        said = [f"NAT of {rule[1]}: on" for rule in self._add]
        said += [f"NAT of {rule[1]}: off" for rule in self._remove]
        if self._forward is not None:
            said.append(f"ip_forward: {int(self._forward)}")
        return said

    def apply(self) -> None:
        """Carry the changes out."""
        for rule in self._remove:
            run(_command("--delete", rule))
        for rule in self._add:
            run(_command("--append", rule))
        if self._forward is not None:
            with open(FORWARD, "w", encoding="ascii") as setting:
                setting.write(str(int(self._forward)))


def rules(links: Links) -> list[list[str]]:
    """Return the rule of every link that hides a subnet behind the node's own addresses."""
    return [
        ["--source", link["options"]["masquerade"], "!", "--out-interface", link["interface"],
         "--jump", "MASQUERADE"]
        for link in links.links
        if link["options"].get("masquerade")
    ]  # fmt: skip


def forwards(links: Links) -> bool:
    """Whether the plan lets the node forward; hiding a subnet needs it, too."""
    return links.forwards or bool(rules(links))


def make_router(enter: list[str]) -> None:
    """Let the namespace that ``enter`` leads into forward packets of both families.

    It tells nobody of shorter ways.
    """
    run([*enter, *ROUTER])
    run([*enter, "sh", "-c", NO_REDIRECTS])


def _command(action: str, rule: list[str]) -> list[str]:
    return ["iptables", "--wait", "--table", "nat", action, "POSTROUTING", *rule]


def _there(rule: list[str]) -> bool:
    try:
        done = subprocess.run(
            _command("--check", rule), capture_output=True, timeout=DEADLINE, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failed(f"iptables: {error}") from error
    return done.returncode == 0


def _forwarding() -> bool:
    with open(FORWARD, encoding="ascii") as setting:
        return setting.read().strip() == "1"
