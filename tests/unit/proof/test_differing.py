"""The few labs that differ most, chosen greedily."""

from __future__ import annotations

from differing import differing, features
from underlay.lint.read import read_lab
from underlay.plan import make_plan
from underlay.storage.paths import root


def test_each_lab_adds_most_to_those_before_it() -> None:
    labs = {"a": {1, 2, 3}, "b": {3, 4}, "c": {1, 2}, "d": {4, 5, 6, 7}, "e": {8}}
    assert differing(labs, 2) == ["d", "a"]
    assert differing(labs, 3) == ["d", "a", "e"]
    # Nothing is left to add by b and c, which are as small: the first by name.
    assert differing(labs, 4) == ["d", "a", "e", "b"]
    assert sorted(differing(labs, 9)) == sorted(labs)
    assert differing({}, 3) == []


def test_of_labs_that_add_as_much_the_smaller_is_taken() -> None:
    labs = {"large": {1, 2, 3}, "small": {4, 3}, "first": {1, 2, 3, 5}, "same": {4, 3}}
    assert differing(labs, 2) == ["first", "same"]


def test_features_tell_two_labs_apart() -> None:
    one, two = (
        features(make_plan(read_lab(root() / "labs" / f"{name}.yml")))
        for name in ("basics-macvlan", "basics-ipvlan")
    )
    assert "macvlan-across" in one - two
    assert ("ipvlan", "l3", "bridge", "iproute2") in two - one
    assert (False, False, False) in one & two
