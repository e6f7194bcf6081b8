"""What a test gave, for people."""

from __future__ import annotations

from weft.runtime.checkpoint.score import Score
from weft.runtime.run_facts import score_facts, wait_text


def test_shares_are_percents_and_losses_of_classes_are_per_label() -> None:
    score = Score(10, 0.94, 0.25, more={"dice": 0.5, "mae": 0.125})
    assert score_facts(score) == [
        ("test accuracy", "94.00 %"),
        ("test loss", "0.2500 nats per label"),
        ("test dice", "50.00 %"),
        ("test mae", "0.1250"),
    ]
    assert score_facts(Score(10, None, 0.25)) == [("test loss", "0.2500")]


def test_a_wait_that_is_none_is_not_spoken_of() -> None:
    assert wait_text(0.2, 154.0) == wait_text(0.0, 0.0) == ""
    assert wait_text(12.0, 154.0) == ", 12.0 s of them waiting for data"
