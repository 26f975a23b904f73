"""Addresses and routes of a namespace as ``ip -batch`` lines that put them back."""

from __future__ import annotations

from typing import Any

from underlay.faults.step import Step
from underlay.plan import family_of

SHOW = """
ip -json address show
echo
ip -json -4 route show
echo
ip -json -6 route show
"""
# What is there already is replaced by itself; a line that fails must not stop the others.
PUT_BACK = 'printf "%s\\n" "$@" | ip -force -batch - 2>/dev/null || :'


def step(target: str, links: list[dict[str, Any]], routes: list[dict[str, Any]]) -> Step:
    """Return the step that gives ``target`` these addresses and routes again."""
    return Step(target, PUT_BACK, (*_addresses(links), *_routes(routes)))


def _addresses(links: list[dict[str, Any]]) -> list[str]:
    return [
        f"address replace {info['local']}/{info['prefixlen']} dev {link['ifname']}"
        + (" nodad" if info["family"] == "inet6" else "")
        for link in links
        for info in link.get("addr_info", ())
        if info.get("scope") == "global" and link.get("ifname") != "lo"
    ]


def _routes(routes: list[dict[str, Any]]) -> list[str]:
    """Routes to what is on the link come first: gateways must be reachable before their routes."""
    lines = []
    for row in sorted(routes, key=lambda row: "gateway" in row):
        if row.get("protocol") == "kernel" and family_of(row["dst"]) == 6:
            continue
        words = ["route replace"]
        words += [row["type"]] if row.get("type", "unicast") != "unicast" else []
        words.append(row["dst"])
        for key, word in (("gateway", "via"), ("dev", "dev"), ("prefsrc", "src")):
            words += [word, str(row[key])] if key in row else []
        words += ["metric", str(row["metric"])] if row.get("metric") else []
        words += ["proto", str(row["protocol"])] if "protocol" in row else []
        words += ["scope", str(row["scope"])] if row.get("scope") else []
        lines.append(" ".join(words))
    return lines
