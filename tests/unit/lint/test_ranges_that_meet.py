"""Ranges that may overlap are found by their order, and are those that each pair would show."""

from __future__ import annotations

from ipaddress import IPv4Address
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from underlay.lint.keys.pools import _meeting
from underlay.plan.addresses import ends_of

BASE = int(IPv4Address("10.1.1.0"))


def written(first: int, size: int) -> str:
    return f"{IPv4Address(BASE + first)}-{IPv4Address(BASE + first + size)}"


RANGES = st.lists(st.builds(written, st.integers(0, 200), st.integers(0, 40)), max_size=12)


def meet(one: str, two: str) -> bool:
    (low, high), (bottom, top) = ends_of(one), ends_of(two)
    return int(low) <= int(top) and int(bottom) <= int(high)


@given(RANGES)
def test_they_are_those_of_each_pair(texts: list[str]) -> None:
    ranges = {f"n{number}": text for number, text in enumerate(texts)}
    each = [(one, two) for one, two in combinations(ranges, 2) if meet(ranges[one], ranges[two])]
    assert _meeting(ranges) == each


def test_those_of_two_families_never_meet() -> None:
    assert _meeting({"a": "10.1.1.0/24", "b": "fd00::/64", "c": "fd00::5-fd00::6"}) == [("b", "c")]
