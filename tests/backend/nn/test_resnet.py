"""Pre-activation ResNets for small images (He et al."""

from __future__ import annotations

import pytest
from torch import nn
from weft.backend.errors import UserError
from weft.models import resnet
from weft.nn import OnlineNorm


def resnet_parameters(n: int, width: int, classes: int) -> int:
    """Counted from the architecture: convolutions without bias, 2 values per normalized channel."""
    count = 3 * 9 * width + (4 * width + 1) * classes + 2 * 4 * width
    channels = width
    for outputs in (width, 2 * width, 4 * width):
        for index in range(n):
            count += 9 * channels * outputs + 9 * outputs * outputs + 2 * channels + 2 * outputs
            count += channels * outputs if index == 0 and channels != outputs else 0
            channels = outputs
    return count


@pytest.mark.parametrize(("depth", "n"), [(20, 3), (32, 5), (110, 18)])
def test_resnet_has_the_parameters_of_its_architecture(depth: int, n: int) -> None:
    model = resnet(depth)
    assert sum(p.numel() for p in model.parameters()) == resnet_parameters(n, 16, 10)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 1 + 6 * n + 2
    assert all(c.bias is None for c in convolutions)
    assert sum(isinstance(m, OnlineNorm) for m in model.modules()) == 6 * n + 1


def test_published_parameter_count_of_resnet20() -> None:
    assert round(sum(p.numel() for p in resnet(20).parameters()) / 1e6, 2) == 0.27


@pytest.mark.parametrize("depth", [2, 18, 21])
def test_other_depths_are_refused(depth: int) -> None:
    with pytest.raises(UserError, match="6n"):
        resnet(depth)
