"""Text that means something to a shell, YAML, Ruby, Jinja or a path, and where a lab may say it.

The places come from the models' own schema, so that a new field is one of them at once.
Whatever would be carried out makes a file, the canary, whose path is in the environment:
so a folder can be called like that, too.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from underlay.lab import Lab
from underlay.lab.text import Place

CANARY = "UNDERLAY_CANARY"
TOUCH = f"touch ${CANARY}"
CARRIED_OUT = (
    f"$({TOUCH})",
    f"`{TOUCH}`",
    f"'; {TOUCH}; '",
    f'"; {TOUCH}; "',
    f"{{{{ lookup('pipe', '{TOUCH}') }}}}",
    f"{{% set x = lookup('pipe', '{TOUCH}') %}}",
    f"#{{`{TOUCH}`}}",
    f"<%= `{TOUCH}` %>",
    f"!!python/object/apply:os.system ['{TOUCH}']",
    f"\nProxyCommand {TOUCH}\n",
)
SIGNS = (
    *("'", '"', "`", ";", "|", "&", "<", ">", "\\", "%", "%h", "$", "${HOME}", "~", "*", "?", "="),
    *("{{ 7*7 }}", "{{", "{% raw %}", "{# x", "#{7*7}", "#", " # ", ":", ": ", "- ", "[", "]", ","),
    *("../", "/", "//", "./", "-", "--", "-oUser=x", "!ruby/object:Object {}", "&anchor ", "*x"),
    *("\n", "\r", "\t", "\0", "\x1b[31m", "\x7f", "\x85", "\u2028", "\u202e", "é", "漢", "😀", " "),
)  # fmt: skip
# Words of the lab file's own alphabet that YAML 1.1 takes for something else.
NO_TEXT = ("null", "no", "yes", "on", "off", "true", "false", "y", "n", "inf", "nan", "e1", "x0")

# Every string in it stands for one thing, so that it can be renamed wherever it occurs.
LAB: dict[str, Any] = {
    "name": "thelab",
    "description": "the text",
    "user": "theuser",
    "nodes": {"count": 2, "prefix": "thenode"},
    "image": {"path": "the.ext4", "kernel": "the-kernel", "initrd": "the-initrd"},
    "segments": {
        "seg": {"subnet": "192.168.70.0/24", "subnet6": "fd00:70::/64"},
        "other": {"subnet": "192.168.80.0/24", "ports": {"thenode-01": {"trunk": [70]}}},
    },
    "networks": {
        "first": {
            "driver": "macvlan",
            "segment": "seg",
            "subnet": "20.1.0.0/16",
            "subnet6": "fd00:20::/64",
            "gateway": "20.1.0.1",
            "gateway6": "fd00:20::1",
            "routes": [{"to": "30.0.0.0/8", "via": "20.1.0.1"}],
            "reserved": ["20.1.0.9"],
            "file": "20-first.conflist",
        },
        "docked": {
            "driver": "ipvlan",
            "runtime": "docker",
            "parent": "eth2",
            "vlan": 70,
            "subnet": "20.2.0.0/16",
        },
        "podded": {
            "driver": "macvlan",
            "runtime": "podman",
            "segment": "other",
            "subnet": "20.3.0.0/16",
            "ip_range": "20.3.128.0/17",
        },
        "tunnel": {
            "driver": "vxlan",
            "runtime": "iproute2",
            "segment": "seg",
            "subnet": "20.4.0.0/16",
            "vni": 7,
            "group": "239.1.1.1",
        },
    },
    "containers": [
        {
            "on": "thenode-01",
            "networks": ["first"],
            "name": "fixed",
            "addresses": {"first": "20.1.64.5"},
            "addresses6": {"first": "fd00:20::4000:0:0:5"},
            "macs": {"first": "02:00:00:00:00:01"},
        },
        {"networks": ["docked"]},
        {"networks": ["podded"]},
        {"networks": ["tunnel"]},
    ],
    "hosts": {
        "server": {
            "on": {"seg": {"addresses": ["192.168.70.250/24"]}},
            "routes": [{"to": "20.4.0.0/16", "via": "192.168.70.11"}],
        }
    },
}
# What may be renamed without becoming another lab.
NAMES = (
    *("theuser", "thenode", "seg", "other", "first", "docked", "podded", "tunnel", "fixed"),
    "server",
)


def texts() -> st.SearchStrategy[str]:
    """Return hostile texts: signs, commands and anything else, up to six in a row."""
    pieces = st.sampled_from(CARRIED_OUT) | st.sampled_from(SIGNS)
    letters = st.sampled_from(["core", "7", "20.1.0.0", "fd00::1", "eth1", "02:00:00:00:00:01"])
    return st.lists(pieces | letters | st.text(max_size=3), min_size=1, max_size=6).map("".join)


def folders() -> st.SearchStrategy[str]:
    """Return names that a folder can have, and that are short enough for a path of them."""

    def possible(text: str) -> bool:
        plain = text not in (".", "..") and "/" not in text and "\0" not in text
        return plain and len(text.encode("utf-8", "ignore")) < 100 and text.isprintable()

    return texts().filter(possible)


def words() -> st.SearchStrategy[str]:
    """Return what a lab file takes as a name, words of YAML's among it."""
    some = st.from_regex(r"[a-z][a-z0-9]{0,5}(-[a-z0-9]{1,3})?", fullmatch=True)
    return st.sampled_from(NO_TEXT) | some


# How a place ends that is a key and no value: one of the lab's own, or one that no model knows.
KEY, NEW = "the key", "a new key"


def places() -> list[Place]:
    """Return every place of a lab at which a file can put a text of its own, once for each kind."""
    schema = Lab.model_json_schema()
    return list(dict.fromkeys(_places(schema, schema, LAB, ())))


def _places(root: Any, schema: Any, value: Any, place: Place) -> Iterator[Place]:
    while "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    for option in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        yield from _places(root, option, value, place)
    if place:
        yield place
    if "properties" in schema:
        yield (*place, NEW)
        for key, inner in schema["properties"].items():
            yield from _places(root, inner, _inside(value, key), (*place, key))
    elif "patternProperties" in schema:
        (inner,) = schema["patternProperties"].values()
        key = next(iter(value or {"extra": None}))
        yield (*place, key, KEY)
        yield from _places(root, inner, _inside(value, key), (*place, key))
    elif "items" in schema:
        yield from _places(root, schema["items"], _inside(value, 0), (*place, 0))


def lab_with(place: Place, text: str) -> dict[str, Any]:
    """Return LAB with ``text`` at ``place``; a name is another one wherever it occurs."""
    *before, last = place
    if last == NEW:
        return _put(LAB, (*before, text), "x")
    old = before[-1] if last == KEY else _at(place)
    if isinstance(old, str) and old in NAMES:
        return renamed(LAB, {old: text})
    if last == KEY:
        return _put(LAB, (*before[:-1], text), {})
    return _put(LAB, place, text)


def _put(value: Any, place: Place, new: Any) -> Any:
    """Return a copy of ``value`` with ``new`` at ``place``, and with what leads there."""
    if not place:
        return new
    step, *rest = place
    if isinstance(step, int):
        items = value if isinstance(value, list) else []
        return [_put(_inside(value, step), tuple(rest), new), *items[1:]]
    inside = value if isinstance(value, dict) else {}
    return {**inside, step: _put(_inside(value, step), tuple(rest), new)}


def _at(place: Place) -> Any:
    value: Any = LAB
    for step in place:
        value = _inside(value, step)
    return value


def _inside(value: Any, step: str | int) -> Any:
    if isinstance(step, int):
        return value[step] if isinstance(value, list) and len(value) > step else None
    return value.get(step) if isinstance(value, dict) else None


def near(place: Place) -> list[str]:
    """Return what is at ``place`` in LAB with one sign too many: first, last or in between."""
    old = place[-2] if place[-1] == KEY else _at(place)
    if not isinstance(old, str):
        return []
    spots = (0, len(old) // 2, len(old))
    return [f"{old[:spot]}{sign}{old[spot:]}" for spot in spots for sign in SIGNS]


def renamed(value: Any, new: dict[str, str]) -> Any:
    """Return a lab in which ``new`` says what each name is called instead, nodes' prefix too."""
    if isinstance(value, dict):
        return {renamed(key, new): renamed(inner, new) for key, inner in value.items()}
    if isinstance(value, list):
        return [renamed(inner, new) for inner in value]
    if not isinstance(value, str):
        return value
    start, mark, number = value.rpartition("-")
    if mark and number.isdigit() and start in new:
        return f"{new[start]}-{number}"
    return new.get(value, value)
