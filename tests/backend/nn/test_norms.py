"""Normalization layers by name, and what applies them along another axis."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from weft.backend.errors import UnknownNameError, UserError
from weft.nn import make_norm, norm_kinds


@pytest.mark.parametrize("kind", norm_kinds())
@pytest.mark.parametrize("shape", [(2, 8), (2, 8, 3, 3)], ids=str)
def test_every_norm_takes_features_and_images(kind: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    assert make_norm(kind, 8)(torch.randn(shape)).shape == shape


def test_rms_norm_of_features_is_torch_rms_norm() -> None:
    x = torch.randn(3, 8)
    torch.testing.assert_close(make_norm("rms", 8, eps=1e-5)(x), nn.RMSNorm(8, eps=1e-5)(x))


def test_unknown_kind_and_unknown_option_are_user_errors() -> None:
    with pytest.raises(UnknownNameError, match="online"):
        make_norm("onlin", 8)
    with pytest.raises(UserError, match="decay"):
        make_norm("online", 8, decay=0.9)
