"""Hyper-parameters of one batch size carried over to another, by the rule of each optimizer."""

from __future__ import annotations

import pytest
from weft.optim import scale_to_batch_size


@pytest.mark.parametrize(
    ("source", "target", "lr", "momentum"),
    [
        ((0.1, 0.9, 128), 1, 6.428e-6, 0.9991772),
        ((0.1, 0.9, 256), 1, 1.607e-6, 0.9995885),
        ((0.1, 0.9, 256), 32, 0.0016354, 0.98691628),
    ],
)
def test_published_scaling_of_hyper_parameters(
    source: tuple[float, float, int], target: int, lr: float, momentum: float
) -> None:
    scaled = scale_to_batch_size(*source, target)
    assert scaled[0] == pytest.approx(lr, rel=3e-4)
    assert scaled[1] == pytest.approx(momentum, abs=5e-8)
    assert scale_to_batch_size(*scaled, target, source[2]) == pytest.approx(source[:2])
