"""What the network of web.yml is for, said as tests."""

import pytest


@pytest.mark.cells("web-* -> db-*", protocol="tcp:5432")
def test_web_servers_reach_databases(cell):
    assert cell.reachable


@pytest.mark.cells("guest-* -> web-*, db-*")
def test_guests_reach_neither_web_servers_nor_databases(cell):
    assert not cell.reachable


def test_a_database_is_pinged_by_the_other_one(matrix):
    assert matrix.reaches("db-1a", "db-2a", "icmp")


def test_nothing_but_the_database_listens(matrix):
    assert not matrix.reaches("db-*", "web-*", "tcp:5432")


def test_a_node_does_not_reach_its_own_container(matrix):
    assert not matrix.reaches("core-01", "web-1a")


def test_everything_is_as_predicted(matrix):
    assert matrix.as_expected


def test_a_node_has_its_address_on_the_wire(node):
    assert "192.168.70.11" in node("core-01").interface("eth1").addresses


def test_a_web_server_has_its_address(container):
    assert "10.1.0.65" in container("web-1a").interface("eth0").addresses
