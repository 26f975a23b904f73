"""The node program's packet filters: what is to change, and by which commands, in whose chains."""

from __future__ import annotations

from typing import Any

import pytest
from underlay_node import filters

TEXT = "*filter\n:UNDERLAY-IN - [0:0]\n-A UNDERLAY-IN -j DROP\nCOMMIT\n"


class Kernel:
    """Notes commands, and knows which chains are jumped to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ran: list[str] = []
        self.hooked: set[str] = set()
        monkeypatch.setattr(filters, "run", self.run)
        monkeypatch.setattr(filters, "_there", self.there)

    def run(self, arguments: list[str], text: str = "", *, check: bool = True) -> str:
        self.ran.append(" ".join(arguments))
        return ""

    def there(self, enter: list[str], version: str, chain: str) -> bool:
        return chain in self.hooked


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def node(*paths: str) -> dict[str, Any]:
    return {"files": [f"{filters.FOLDER}{path}" for path in paths]}


def test_the_filters_of_a_node_are_among_its_files() -> None:
    sent = {f"{filters.FOLDER}web.v4": TEXT, "/etc/other": "x"}
    assert filters.wanted(node("web.v4"), sent) == {"web.v4": TEXT}
    assert filters.names({"web.v4": TEXT, "web.v6": "", "bridges.sysctl": ""}) == ["web"]


def test_a_new_filter_is_put_into_chains_of_its_own(kernel: Kernel) -> None:
    applied: dict[str, str] = {}
    changes = filters.changed("web", ["in"], {"web.v4": TEXT}, applied)
    assert changes == {"web.v4": TEXT}
    filters.apply(changes, ["in"], applied)
    assert kernel.ran == [
        "in iptables-restore --wait --noflush",
        "in iptables --wait -I INPUT -j UNDERLAY-IN",
    ]
    assert applied == {"web.v4": TEXT}


def test_what_is_in_force_is_left_alone(kernel: Kernel) -> None:
    kernel.hooked = {"UNDERLAY-IN"}
    assert filters.changed("web", [], {"web.v4": TEXT}, {"web.v4": TEXT}) == {}
    kernel.hooked = set()
    assert filters.changed("web", [], {"web.v4": TEXT}, {"web.v4": TEXT}) == {"web.v4": TEXT}


def test_a_filter_goes_with_its_own_chains_alone(kernel: Kernel) -> None:
    applied = {"web.v4": TEXT}
    filters.apply(filters.changed("web", [], {}, applied), [], applied)
    assert kernel.ran == [
        "iptables --wait -D INPUT -j UNDERLAY-IN",
        "iptables --wait -F UNDERLAY-IN",
        "iptables --wait -X UNDERLAY-IN",
    ]
    assert applied == {}


def test_bridges_ask_only_while_a_filter_wants_that(kernel: Kernel) -> None:
    applied: dict[str, str] = {}
    filters.set_bridges({}, applied)
    assert kernel.ran == []
    wanted = {"bridges.sysctl": "net.bridge.bridge-nf-call-iptables = 1\n"}
    assert filters.bridges(wanted, applied) == ["br_netfilter: on"]
    filters.set_bridges(wanted, applied)
    filters.set_bridges({}, applied)
    assert kernel.ran == [
        "modprobe --quiet br_netfilter",
        "sysctl --quiet --load -",
        "sysctl --quiet --load -",
    ]
