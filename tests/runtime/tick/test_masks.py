"""A mask update of one parameter, in torch and in jax."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from weft.backend.optim.rule import PER_WEIGHT
from weft.runtime.tick.masks import Masked


class Turned:
    """A rule that turns masks over."""

    def update(self, mask, weight, gradient, step):
        assert weight.dtype == np.float32
        return ~mask


@pytest.mark.parametrize(("xp", "asarray"), [(torch, torch.tensor), (jnp, jnp.asarray)])
def test_what_is_pruned_is_zero_with_the_state_that_it_has_for_itself(xp, asarray) -> None:
    own = sorted(PER_WEIGHT)[0]
    state = {own: asarray([1.0, 2.0]), "of_all": asarray([3.0, 4.0])}
    weight = xp.asarray(asarray([5.0, 6.0]), dtype=xp.bfloat16)
    before = Masked(asarray([True, False]), weight, state)
    found = before.updated(Turned(), None, 7, xp)  # type: ignore[arg-type]
    assert np.asarray(found.mask).tolist() == [False, True]
    assert found.weight.dtype == xp.bfloat16
    assert [float(value) for value in found.weight] == [0.0, 6.0]
    assert [float(value) for value in found.optimizer[own]] == [0.0, 2.0]
    assert [float(value) for value in found.optimizer["of_all"]] == [3.0, 4.0]
