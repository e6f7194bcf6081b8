"""The experiments themselves, made small."""

from __future__ import annotations

import pytest
import torch
from weft.bench.studies.digits import digits_experiment
from weft.bench.studies.training import SEQUENTIAL, RunSetting

pytest.importorskip("jax")

PERCEPTRON = ("model=mlp", "model.options.width=16", "target=tiny_mesh", "sparsity=0.5")


def test_digits_take_start_weights_and_masks_from_the_seed() -> None:
    pytest.importorskip("sklearn")
    experiment = digits_experiment(1, PERCEPTRON)
    zero, one, again = (experiment.job(RunSetting("sc", 1.0, seed)) for seed in (0, 1, 0))
    assert zero.tensors.keys() == one.tensors.keys()
    assert zero.masks
    for name, mask in zero.masks.items():
        assert not torch.equal(zero.start(name), one.start(name))
        assert not torch.equal(mask, one.masks[name])
        assert torch.equal(mask, again.masks[name])
        assert torch.equal(zero.start(name), again.start(name))


def test_digits_scale_the_rate_of_the_recipe() -> None:
    pytest.importorskip("sklearn")
    experiment = digits_experiment(1, PERCEPTRON)
    usual, quadruple = (experiment.job(RunSetting("sc", factor, 0)) for factor in (1.0, 4.0))
    assert quadruple.rate(500) == pytest.approx(4 * usual.rate(500))
    assert max(usual.rate(n) for n in range(1437)) == pytest.approx(experiment.rate, rel=0.01)
    assert usual.rule != experiment.job(RunSetting(SEQUENTIAL, 1.0, 0)).rule
    assert SEQUENTIAL in experiment.methods
