"""Tensors that `functools.cache` keeps from one call to the next.

While a model is traced it makes fake tensors, and in the witness wide ones. A cache outside of the
model keeps them beyond that, and would hand them to the model's own calls.
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._pytree import tree_leaves

from ...backend.errors import UnsupportedError
from .step import WitnessStep


def is_of_trace(step: WitnessStep) -> bool:
    """Whether a step of the model itself met a tensor of a trace."""
    results = (step.loss, *step.outputs, *step.gradients.values())
    return any(isinstance(value, FakeTensor) for value in results)


def cleared_caches() -> list[Any]:
    """Empty the caches of functions that hold tensors of a trace; these caches."""
    found = [c for c in _caches() if any(isinstance(value, FakeTensor) for value in _held(c))]
    for cache in found:
        cache.cache_clear()
    return found


def refusal(model: nn.Module) -> UnsupportedError:
    """What is said of a tensor of a trace that is kept elsewhere."""
    return UnsupportedError(
        f"the forward of {type(model).__name__}",
        expected="tensors that each call makes, or that are buffers of the model",
        got="one that a call keeps for later ones outside of the model (in a global, a class, an"
        " object): it was made while the model was traced",
        change="make it once, in __init__: register_buffer(name, tensor, persistent=False)",
    )


def _caches() -> Iterator[Any]:
    kind = type(functools.lru_cache(lambda: None))
    return (found for found in gc.get_objects() if type(found) is kind)


def _held(cache: Any) -> Iterator[Tensor]:
    """The tensors that a cache has kept, directly or in tuples, lists and dicts."""
    for kept in gc.get_referents(cache):
        for value in kept.values() if isinstance(kept, dict) else (kept,):
            links = gc.get_referents(value) if type(value).__name__ == "_lru_list_elem" else [value]
            yield from (leaf for leaf in tree_leaves(links) if isinstance(leaf, Tensor))
