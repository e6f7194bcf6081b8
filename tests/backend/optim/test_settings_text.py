"""The constants of an update rule in a line."""

from __future__ import annotations

from weft.backend.optim.settings_text import settings_text


def test_numbers_have_six_digits_and_flags_stand_at_the_end_if_they_hold() -> None:
    settings = {
        "optimizer": "sgdm",
        "learning_rate": 1e-5 / 3,
        "nesterov": True,
        "compensation": "sc",
        "stash": False,
    }
    expected = "sgdm, learning rate 3.33333e-06, compensation sc, nesterov"
    assert settings_text(settings) == expected
