"""How seats are spread over servers, and what is said of an inventory that can't be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from underlay.errors import BadInput
from underlay.workshop.servers import servers_of, spread


@pytest.mark.parametrize(
    ("servers", "seats", "given"),
    [
        ({"a": None}, 3, {"a": 3}),
        ({"a": None, "b": None}, 5, {"a": 3, "b": 2}),
        ({"a": 1, "b": None, "c": 2}, 7, {"a": 1, "b": 4, "c": 2}),
        ({"a": None, "b": None, "c": None}, 2, {"a": 1, "b": 1}),
    ],
)
def test_seats_are_spread_evenly_as_far_as_there_is_room(
    servers: dict[str, int | None], seats: int, given: dict[str, int]
) -> None:
    assert spread(servers, seats) == given


def test_more_seats_than_room_are_refused() -> None:
    with pytest.raises(BadInput, match="the servers take 3 seats at most, not 4") as refused:
        spread({"a": 1, "b": 2}, 4)
    assert refused.value.hint.startswith("--seats 3")


INVENTORY = """\
all:
  hosts:
    room-a: {seats_at_most: AT_MOST}
  children:
    more: {hosts: {room-b: {}, room-c: {seats_at_most: 2}}}
"""


def test_an_inventory_says_who_there_is(tmp_path: Path) -> None:
    file = tmp_path / "servers.yml"
    file.write_text(INVENTORY.replace("AT_MOST", "8"))
    assert servers_of(file) == {"room-a": 8, "room-b": None, "room-c": 2}


@pytest.mark.parametrize("value", ["0", "-1", "many", "1.5"])
def test_a_number_that_is_none_is_refused(value: str, tmp_path: Path) -> None:
    file = tmp_path / "servers.yml"
    file.write_text(INVENTORY.replace("AT_MOST", value))
    with pytest.raises(BadInput, match=r"seats_at_most of room-a is .*, expected a number above 0"):
        servers_of(file)


@pytest.mark.parametrize("text", ["", "all: {hosts: {}}\n"])
def test_an_inventory_without_a_server_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "servers.yml"
    file.write_text(text)
    with pytest.raises(BadInput, match="names no server"):
        servers_of(file)


def test_a_missing_inventory_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.yml is not there"):
        servers_of(tmp_path / "none.yml")
