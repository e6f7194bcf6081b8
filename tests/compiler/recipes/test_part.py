"""Parts of a recipe are frozen, and refuse what they do not know."""

from __future__ import annotations

import pytest
from pydantic import ValidationError
from weft.compiler.recipes.part import Decay, RecipePart, UnitShare


class Example(RecipePart):
    share: UnitShare = 0.5
    decay: Decay = 0.9


@pytest.mark.parametrize(
    "data", [{"other": 1}, {"share": float("nan")}, {"share": 1.5}, {"decay": 1.0}]
)
def test_what_is_unknown_or_out_of_range_is_refused(data: dict) -> None:
    with pytest.raises(ValidationError):
        Example(**data)


def test_a_part_never_changes() -> None:
    part = Example(share=1, decay=0)
    with pytest.raises(ValidationError):
        part.share = 0.1  # type: ignore[misc]
