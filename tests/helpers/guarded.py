"""A small network, and what refuses it."""

from __future__ import annotations

import pytest
import torch.nn.functional as F
from helpers.against_eager import LABEL, SAMPLE, Between
from torch import nn
from weft.backend.errors import UnsupportedError
from weft.compiler.capture.capture import capture


def refused(model: nn.Module, *sample) -> str:
    with pytest.raises(UnsupportedError) as refusal:
        capture(model, sample or (SAMPLE, LABEL), F.cross_entropy)
    return str(refusal.value)


def net(between, prepare=lambda model: None) -> Between:
    """A model that does `between(model, h)` between its layers, prepared once it is made."""
    model = type("Net", (Between,), {"between": between})()
    prepare(model)
    return model
