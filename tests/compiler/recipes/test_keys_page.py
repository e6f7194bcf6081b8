"""docs/recipes.md is what the schema says."""

from __future__ import annotations

from pathlib import Path

from weft.compiler.recipes.keys_page import page

PAGE = Path(__file__).parents[3] / "docs" / "recipes.md"


def test_the_page_is_generated():
    assert PAGE.read_text() == page(), "run `make docs`"
