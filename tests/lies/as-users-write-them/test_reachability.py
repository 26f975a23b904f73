"""The question as people put it with testinfra; the benchmark asks each of these, node by node.

``host.addr`` runs ``ping -W 1 -c 1`` on the node, and with a namespace ``ip netns exec NAME``
before it. Nothing is tried a second time.
"""

import pytest

# (node, namespace or None, address): one for each pair that should reach each other.
PAIRS = [("core-01", "lannet-1a", "20.1.1.129"), ("core-01", None, "20.1.1.129")]


@pytest.mark.parametrize(("namespace", "address"), [pair[1:] for pair in PAIRS])
def test_is_reachable(host, namespace, address):
    assert host.addr(address, namespace).is_reachable
