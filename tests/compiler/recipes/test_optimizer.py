"""What an optimizer's keys come to at batch size 1."""

from __future__ import annotations

import pytest
from weft.backend.errors import UserError
from weft.compiler.recipes.optimizer import OptimizerRecipe


def test_nothing_is_scaled_unless_a_batch_size_is_given() -> None:
    recipe = OptimizerRecipe(name="adamw", lr=1e-3)
    assert recipe.at_batch_size_1() is recipe


def test_momentum_and_rate_of_sgdm_keep_the_total_of_a_gradient() -> None:
    """A gradient's whole effect is lr / (1 - m): per sample it is a 128th of that of the batch."""
    recipe = OptimizerRecipe(lr=0.1, momentum=0.9, reference_batch_size=128)
    scaled = recipe.at_batch_size_1()
    assert scaled.reference_batch_size is None
    assert scaled.momentum == pytest.approx(0.9 ** (1 / 128))
    total = scaled.lr / (1 - scaled.own_momentum)
    assert total == pytest.approx(0.1 / (1 - 0.9) / 128)


def test_rules_that_no_scaling_is_known_for_are_refused() -> None:
    with pytest.raises(UserError, match="muon"):
        OptimizerRecipe(name="muon", reference_batch_size=8).at_batch_size_1()


def test_momentum_that_is_not_given_is_the_rules() -> None:
    assert OptimizerRecipe(name="sgdm").own_momentum == 0.9
    assert OptimizerRecipe(name="muon").own_momentum == 0.95
