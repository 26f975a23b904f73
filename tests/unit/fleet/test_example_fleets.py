"""The example fleets: they are as wanted, and no mistake in their files goes unseen."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from fleets.mutated import FLEETS, FOLDER, Mutation, every, fleet, mutations, rules_of, said
from underlay.expect import Prediction
from underlay.expect.intent import stands_of
from underlay.proof.records.keeping import read

if TYPE_CHECKING:
    from underlay.proof.records.schema import MutationRow

EVERY = list(every())
LEAST = 20
# What changes no packet of these fleets, and why: nothing is to be said of it, then.
HARMLESS = {
    "quadlet-ipvlan6: routers' advertisements are heeded": "no router of this fleet sends any",
    "quadlet-ipvlan6: no gateway of IPv6": "podman takes the subnet's first address, the same one",
    "quadlet-ipvlan6: no link-local addresses": "neighbours are asked from the global address",
}


@pytest.mark.parametrize("name", FLEETS)
def test_a_fleet_is_clean_and_as_wanted(name: str) -> None:
    loaded = fleet(name)
    assert rules_of(FOLDER / name) == ()
    assert [str(finding) for finding in loaded.findings] == []
    stands = stands_of(Prediction(loaded.plan))
    assert len(stands) >= 6
    assert {one.word for one in stands} == {"kept"}


@pytest.mark.parametrize("name", FLEETS)
def test_there_are_many_mutations_of_each(name: str) -> None:
    found = mutations(name)
    assert len(found) >= LEAST
    assert len({one.name for one in found}) == len(found)
    assert all(one.meant and not one.meant.endswith(".") for one in found)


@pytest.mark.parametrize("mutation", EVERY, ids=lambda one: one.key.replace(" ", "-"))
def test_no_mistake_goes_unseen(mutation: Mutation) -> None:
    heard = said()[mutation]
    if mutation.key in HARMLESS:
        assert not heard.seen, "it is seen by now: take it out of HARMLESS"
    else:
        assert heard.seen, "neither lint nor what is wanted nor diff says anything"


def test_what_changes_packets_is_seen_without_a_node() -> None:
    rows = cast("dict[str, MutationRow]", read("mutations").rows)
    unseen = [one.key for one in EVERY if (row := rows.get(one.key)) and row.changed
              and not said()[one].seen]  # fmt: skip
    assert unseen == []


def test_what_is_harmless_is_known() -> None:
    assert set(HARMLESS) <= {one.key for one in EVERY}


def test_a_mutation_that_fits_no_file_is_refused() -> None:
    wrong = Mutation("compose-shim", "none", "nothing", "alder/srv/shop/.env", old="NOTHING")
    with pytest.raises(ValueError, match="doesn't hold"):
        wrong.make_in(FOLDER / "compose-shim")
