"""What a forward leaves in Python attributes for the next call, which a captured graph leaves out.

A count of calls, the last hidden state, a list that grows: eager torch reads them in the next
sample. A model whose attributes change is called twice on the same numbers, and must give the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map_only

from ...backend.errors import UnsupportedError
from ..capture.capture import own_name
from ..capture.preserved import attributes
from ..capture.sample import OneSample, Sample, arguments
from .compare import RELATIVE, relative_distance
from .draws import Replay
from .eager import claimed_type, fresh, values_in
from .precision import Claimed, Wide

_OF_TORCH = frozenset(vars(nn.Module()))
Left = Mapping[str, tuple[Any, Any]]


def kept(sample: OneSample) -> dict[str, tuple[Any, Any]]:
    """The attributes of all modules, by path, with the items of those that are containers."""
    return {
        own_name(f"{path}.{name}"): found
        for path, module in sample.named_modules()
        for name, found in attributes(module).items()
        if name not in _OF_TORCH and path != ""
    }


def changed(before: Left, after: Left) -> tuple[str, ...]:
    """Names of the attributes that are another object, or hold other ones."""
    return tuple(name for name, found in after.items() if not _is_same(before.get(name), found))


def _is_same(before: tuple[Any, Any] | None, after: tuple[Any, Any]) -> bool:
    if before is None or before[0] is not after[0]:
        return before is not None and type(after[0]) in (int, float, str) and before[0] == after[0]
    one, other = before[1], after[1]
    if one is None or other is None or len(one) != len(other):
        return one is other
    if isinstance(one, dict):
        return all(other.get(key) is value for key, value in one.items())
    return all(a is b for a, b in zip(one, other, strict=True))


def check_second_call(
    sample: OneSample,
    inputs: Sample,
    values: Mapping[str, Tensor],
    dtype: torch.dtype,
    names: tuple[str, ...],
) -> None:
    """Raises UnsupportedError if the second of two calls on the same numbers gives another result;
    `names` are the attributes that a call changes."""
    with values_in(sample, values), torch.no_grad():
        first, second = (list(_results(sample, inputs, values, dtype)) for _ in range(2))
    same = len(first) == len(second) and all(
        relative_distance(one, other) <= RELATIVE.get(one.dtype, 0.0)
        for one, other in zip(first, second, strict=True)
    )
    if not same:
        raise UnsupportedError(
            f"attribute {', '.join(names[:3])} of {type(sample.model).__name__}",
            expected="a forward that does the same for every sample: a plan is one fixed graph",
            got="an attribute of Python that one call leaves for the next: called again on the same"
            " numbers the model gives another result",
            change="keep it in a buffer (register_buffer), which goes from sample to sample, as"
            " tensors all the way",
        )


def _results(
    sample: OneSample, inputs: Sample, values: Mapping[str, Tensor], dtype: torch.dtype
) -> Iterator[Tensor]:
    """What one call gives, from the buffers as they are in `values`."""
    for name, buffer in sample.named_buffers():
        buffer.data = values[own_name(name)].clone()
    draws = Replay(0, dtype)
    claimed, wide = Claimed(dtype, claimed_type(sample)), Wide(dtype, draws)
    with draws.drawing(), sdpa_kernel(SDPBackend.MATH), claimed, wide:
        args, named = arguments(tree_map_only(Tensor, lambda t: fresh(t, dtype), inputs))
        yield from (value.detach().clone() for value in sample(*args, **named))
