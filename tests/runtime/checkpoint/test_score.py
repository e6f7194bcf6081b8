"""The result of a test by name."""

from __future__ import annotations

from weft.runtime.checkpoint.score import Score


def test_names_begin_with_the_part_and_what_there_is_not_is_left_out() -> None:
    score = Score(10, None, 0.5, "validation", {"mae": 0.25})
    assert score.values == {"validation_loss": 0.5, "validation_mae": 0.25}
    assert Score(10, 0.0, None).values == {"test_accuracy": 0.0}
