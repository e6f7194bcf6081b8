"""Update rules by name, checked."""

from __future__ import annotations

from typing import Any

import pytest
from weft.backend.errors import UnknownNameError, UserError
from weft.optim import build_rule, scale_to_batch_size


@pytest.mark.parametrize(
    "options",
    [
        {"momentum": 1.0},
        {"weight_decay": -1.0},
        {"nesterov": True, "compensation": "sc+lwp"},
        {"name": "adamw", "compensation": "sc"},
        {"name": "adamw", "betas": (0.9, 1.0)},
    ],
    ids=str,
)
def test_options_without_a_meaning_are_user_errors(options: dict[str, Any]) -> None:
    with pytest.raises(UserError):
        build_rule(**{"name": "sgdm", **options})


def test_unknown_names_are_user_errors() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'sgdm'"):
        build_rule("sgd")
    with pytest.raises(UnknownNameError, match=r"sc\+lwp"):
        build_rule("sgdm", compensation="sc-lwp")
    with pytest.raises(UserError, match="to_batch=0"):
        scale_to_batch_size(0.1, 0.9, 128, 0)
