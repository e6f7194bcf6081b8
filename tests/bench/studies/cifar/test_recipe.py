"""What every method of the study has in common, and the recipe of a run by weft."""

from __future__ import annotations

import pytest
import torch
from weft.backend.nn import resnet
from weft.bench.studies.cifar import recipe
from weft.bench.studies.cifar.recipe import cifar_recipe
from weft.bench.studies.training import SEQUENTIAL, RunSetting
from weft.compiler.recipes.network import build_model


def test_rate_and_momentum_of_one_sample_are_the_published_ones() -> None:
    optimizer = cifar_recipe(RunSetting(SEQUENTIAL, 1.0, 0), 5).optimizer.at_batch_size_1()
    assert optimizer.momentum == pytest.approx(0.9991772, abs=1e-7)  # Kosson et al. 2021
    assert optimizer.lr == pytest.approx(6.428e-6, rel=1e-4)
    doubled = cifar_recipe(RunSetting("sc+lwp", 2.0, 0), 5)
    assert doubled.optimizer.at_batch_size_1().lr == pytest.approx(2 * optimizer.lr)
    assert (doubled.pipeline.mode, doubled.pipeline.compensation) == ("pipelined", "sc+lwp")
    assert cifar_recipe(RunSetting(SEQUENTIAL, 1.0, 0), 5).pipeline.mode == SEQUENTIAL


def test_all_methods_start_with_the_same_weights() -> None:
    torch.manual_seed(3)
    by_hand = dict(resnet(recipe.DEPTH, normalization="batch").named_parameters())
    model, _ = build_model(cifar_recipe(RunSetting(SEQUENTIAL, 1.0, 3), 1))
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight, by_hand[name], rtol=0, atol=0)
