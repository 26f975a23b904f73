"""Recipes: each cites its page, and what stands in the record is of the files as they are."""

from __future__ import annotations

from pathlib import Path

import pytest

from proof import digest
from underlay.proof.records.keeping import read
from underlay.storage.paths import root
from unit.docs.test_docs_reference import REFERENCE

RECIPES = sorted((root() / "labs" / "recipes").glob("*.yml"))
WORDS = ["Recipe", "Source", "Original", "Changed", "Wrong"]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_says_where_it_is_from_and_what_is_wrong_with_it(recipe: Path) -> None:
    said = REFERENCE.recipe_head(recipe.read_text(encoding="utf-8"))
    assert list(said) == WORDS
    assert all(said.values())
    # A commit, or the day on which the page was read.
    assert " at " in said["Source"] or "(read 20" in said["Source"]


def test_the_record_is_of_the_recipes_as_they_are() -> None:
    proven = read("recipes").rows
    for recipe in RECIPES:
        # One that was withdrawn since may stand there, too.
        lab = proven[recipe.stem]
        assert lab.file == digest(recipe), recipe.stem
        assert lab.summary["cells"] == lab.summary["as_expected"] > 0, recipe.stem
