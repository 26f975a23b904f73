"""These two fail on purpose, to show what a failure says: `pytest test_on_purpose.py`."""

import pytest


@pytest.fixture
def unplugged(node):
    """A node whose parent is down, as if somebody had pulled the cable."""
    assert node("core-02").run("ip link set eth1 down").succeeded
    yield
    assert node("core-02").run("ip link set eth1 up").succeeded


def test_the_database_survives_a_pulled_cable(cluster, unplugged):
    assert cluster.measure().reaches("web-1a", "db-2a", "tcp:5432")


def test_a_node_reaches_its_own_container(matrix):
    assert matrix.reaches("core-01", "web-1a", "icmp")
