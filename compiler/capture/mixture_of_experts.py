"""Mixtures of experts of transformers: of their equal implementations, one that can be captured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

_ATTRIBUTE = "_experts_implementation"
_FIXED_SHAPES = "batched_mm"


@contextmanager
def batched_experts(model: nn.Module) -> Iterator[None]:
    """Let experts multiply in a batch, each token with the weights it is sent to.

    The others sort tokens into groups whose sizes depend on the sample. The numbers are the same.
    """
    configs = [getattr(module, "config", None) for module in model.modules()]
    found = {id(c): c for c in configs if getattr(c, _ATTRIBUTE, None) is not None}
    before = {key: getattr(config, _ATTRIBUTE) for key, config in found.items()}
    for config in found.values():
        setattr(config, _ATTRIBUTE, _FIXED_SHAPES)
    try:
        yield
    finally:
        for key, config in found.items():
            setattr(config, _ATTRIBUTE, before[key])
