"""Predicted weights: one number for every way to use them, and no sum where a row is multiplied."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, fx, nn
from weft.backend.optim.rule import Lookahead
from weft.compiler.capture.capture import capture
from weft.compiler.stages.cut import cut

jax = pytest.importorskip("jax")
jnp = jax.numpy

from weft.runtime.jax.ops.lower import lower  # noqa: E402
from weft.runtime.jax.ops.predicted import Predicted, added_up  # noqa: E402

FACTOR = -0.37


def mean_square(outputs: Tensor, targets: Tensor) -> Tensor:
    return (outputs - targets).square().mean()


def forward_of(module: nn.Module, x: Tensor) -> tuple[fx.GraphModule, list[Tensor]]:
    """The program of the first stage with parameters, and these."""
    stages = cut(capture(module, (x, module(x).detach()), mean_square))
    stage = next(stage for stage in stages.stages if stage.parameters)
    named = dict(module.named_parameters())
    return stage.program.forward, [named[name].detach() for name in stage.parameters]


def both_ways(module: nn.Module, x: Tensor) -> tuple[np.ndarray, np.ndarray, str]:
    """The output with weights added up before, and as they are predicted; the second's program."""
    forward, weights = forward_of(module, x)
    run, given = lower(forward), jnp.asarray(x.numpy())
    generator = np.random.default_rng(0)
    arrays = [jnp.asarray(w.numpy()) for w in weights]
    ahead = [jnp.asarray(generator.normal(size=w.shape).astype(np.float32)) for w in weights]

    def predicted(arrays: list, ahead: list, given: object) -> object:
        pairs = zip(arrays, ahead, strict=True)
        return run(*(Predicted(w, Lookahead(FACTOR, d)) for w, d in pairs), given)[0]

    summed = [w + FACTOR * d for w, d in zip(arrays, ahead, strict=True)]
    program = jax.jit(predicted).lower(arrays, ahead, given).compile().as_text()
    return run(*summed, given)[0], predicted(arrays, ahead, given), program


@pytest.mark.parametrize("rows", [(), (5,)], ids=str)
def test_a_linear_layer_has_the_same_outputs(rows: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    expected, got, program = both_ways(nn.Linear(64, 48), torch.randn(1, *rows, 64))
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-5)
    products = program.count(" dot(")
    assert products == (1 if rows else 2)


def test_a_convolution_has_the_same_outputs() -> None:
    torch.manual_seed(0)
    expected, got, _ = both_ways(nn.Conv2d(3, 4, 3, padding=1), torch.randn(1, 3, 8, 8))
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=2e-5)


def test_the_sum_is_that_of_the_rule() -> None:
    weight, direction = np.array([1.0, -2.0]), np.array([0.5, 4.0])
    predicted = Predicted(weight, Lookahead(FACTOR, direction))
    np.testing.assert_array_equal(added_up(predicted), weight + FACTOR * direction)
    assert added_up(weight) is weight
