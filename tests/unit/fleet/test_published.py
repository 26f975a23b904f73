"""Published recipes, word for word: each is read, and what is wrong with it is named."""

from __future__ import annotations

import pytest

from fleets.published import Recipe, recipes

RECIPES = {recipe.name: recipe for recipe in recipes()}
# What lint finds on a single host that has followed a page, and what a second one adds. A recipe
# that isn't here is clean on one host, and hands out the same range on two.
ALONE = {
    "cni-bridge": set(),
    "cni-bridge-l2": set(),
    "cni-host-local": {"cni-name-missing", "cni-type-missing", "cni-version-too-old"},
    "cni-ipvlan": {"cni-version-missing"},
    "cni-macvlan": {"cni-version-missing"},
    "cni-static": {
        "cni-name-missing",
        "cni-type-missing",
        "ipam-gateway-outside",
        "ipam-route-outside",
    },
    "docker-ipvlan-dual": {"docker-ipv6-off"},
    "docker-ipvlan-isolated": {"docker-parent-missing", "docker-subnet-missing"},
    "docker-ipvlan-l3": {"docker-parent-missing"},
    "docker-macvlan-ipv6": {"docker-ipv6-off"},
    "rook-dhcp": {"json-syntax"},
    "rook-dynamic": {"ipam-subnet-invalid"},
}
# Where a second host adds nothing: it has no range of its own, or none that anybody hears of.
APART = {
    "cni-bridge", "cni-bridge-l2", "cni-host-local", "cni-macvlan", "cni-static",
    "docker-ipvlan-isolated", "docker-ipvlan-l3", "rook-dhcp", "rook-dynamic", "rook-static",
}  # fmt: skip


def test_there_are_some_of_each_page() -> None:
    pages = {recipe.page for recipe in RECIPES.values()}
    assert len(RECIPES) >= 25
    for words in ("tutorials/macvlan", "drivers/macvlan", "drivers/ipvlan", "main/vlan", "rook"):
        assert any(words in page for page in pages), words


# Recipes that start containers with an address of their own.
FIXED = ("docker-ipvlan-dual", "docker-ipvlan-l3", "docker-ipvlan-l3-dual",
         "docker-ipvlan-multi-subnet")  # fmt: skip


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_a_recipe_is_read_and_its_mistakes_are_named(recipe: Recipe) -> None:
    (host,) = recipe.hosts(1)
    assert host.documents
    assert host.ignored == ()
    assert {finding.id for finding in recipe.findings(1)} == ALONE.get(recipe.name, set())


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_two_hosts_that_follow_it(recipe: Recipe) -> None:
    more = {f.id for f in recipe.findings(2)} - {f.id for f in recipe.findings(1)}
    # Two hosts whose shims have one address are cut off, too.
    shims = {"host-address-twice"} & more
    # So are containers that both give one address.
    given = {"address-twice", "address-in-range"} if recipe.name in FIXED else set()
    assert more == shims | given | (set() if recipe.name in APART else {"range-twice"})


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.name)
def test_it_is_imported_or_refused_with_a_reason(recipe: Recipe) -> None:
    said = recipe.carried(2)
    assert said.startswith(("a lab with", "no lab: "))
    assert len(said) > len("no lab: ")


def test_the_impossible_range_is_named() -> None:
    (finding,) = RECIPES["rook-dynamic"].findings(1)
    assert finding.message == "'1192.168.0.0/18' is no range"
    assert finding.line == 7


def test_the_trailing_comma_is_named() -> None:
    (finding,) = RECIPES["rook-dhcp"].findings(1)
    assert "trailing comma" in finding.message
