"""What a forward leaves in Python for the next call, which a captured graph leaves out.

A count of calls, the last hidden state, a list that grows: eager torch reads them in the next
sample. A model of which a call changes one is called again on the same numbers, and must give the
same outputs and gradients: in the next calls, and with counts moved on as many calls would move
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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
from .eager import claimed_type, dense, fresh, values_in
from .numbers import NumberPlace, places
from .precision import Claimed, Wide
from .step import WitnessStep

_OF_TORCH = frozenset(vars(nn.Module()))
_WEFT = __name__.partition(".")[0]
_CALLS = 3
_COUNTS = (
    *(4, 5, 6, 7, 9, 10, 15, 16, 31, 49, 63, 75, 99, 100, 127, 199, 255, 499, 511, 750),
    *(10**n - below for n in range(3, 7) for below in (1, 0)),
)
"""Calls after which a schedule is looked at: a warm-up that ends, a count that is divided."""
Left = Mapping[str, tuple[Any, Any]]


@dataclass(frozen=True)
class Moved:
    """A number, what it was before the first call, and by how much a call moves it."""

    place: NumberPlace
    before: int | float
    step: int | float


class Kept:
    """What Python holds before a call."""

    def __init__(self, sample: OneSample) -> None:
        self.sample, self.attributes = sample, _attributes(sample)
        self.numbers = [(place, place.get()) for place in places(sample)]
        self.left: tuple[str, ...] = ()
        self.moved: list[Moved] = []

    def note_changes(self) -> None:
        """What is another object, holds other ones, or is another number, after the call."""
        after = _attributes(self.sample)
        drawn = [name for name, (value, _) in after.items() if isinstance(value, Iterator)]
        left = [*changed(self.attributes, after), *drawn]
        for place, before in self.numbers:
            now = place.get()
            if type(now) in (int, float) and now != before:
                self.moved.append(Moved(place, before, now - before))
        self.left = tuple(dict.fromkeys([*left, *(one.place.name for one in self.moved)]))


def _attributes(sample: OneSample) -> dict[str, tuple[Any, Any]]:
    """The attributes of all modules, by path, with the items of those that are containers. Modules
    of weft keep what the recomputation of a forward needs, and nothing for the next one."""
    return {
        own_name(f"{path}.{name}"): found
        for path, module in sample.named_modules()
        if path != "" and type(module).__module__.partition(".")[0] != _WEFT
        for name, found in attributes(module, _OF_TORCH).items()
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


def check_later_calls(
    sample: OneSample,
    inputs: Sample,
    values: Mapping[str, Tensor],
    dtype: torch.dtype,
    kept: Kept,
    step: WitnessStep,
) -> None:
    """Raises UnsupportedError if a later call on the same numbers gives other results than the
    first, which gave `step`; `kept` knows what a call changes."""

    def call() -> list[Tensor]:
        return list(_results(sample, inputs, values, dtype))

    first = [step.loss, *step.outputs, *step.gradients.values()]
    with _numbers_restored(kept.moved), values_in(sample, values):
        for number, results in enumerate(_later(call, kept.moved), 2):
            if not _are_same(first, results):
                raise _refusal(sample, kept, number)


def check_repeatable(
    sample: OneSample,
    inputs: Sample,
    values: Mapping[str, Tensor],
    dtype: torch.dtype,
    step: WitnessStep,
) -> None:
    """Raises UnsupportedError if the model itself gives something else than `step` when it is
    called once more on the same numbers, with the same draws."""
    with values_in(sample, values):
        again = list(_results(sample, inputs, values, dtype))
    if not _are_same([step.loss, *step.outputs, *step.gradients.values()], again):
        raise UnsupportedError(
            f"the forward of {type(sample.model).__name__}",
            expected="the same result whenever it is called on the same numbers",
            got="another one in a second call: something beside tensors and torch's generator"
            " decides, such as a clock, or a generator of random or numpy that the model holds",
            change="draw with torch (torch.rand), keep what moves on in buffers",
        )


def _later(call: Callable[[], list[Tensor]], moved: Sequence[Moved]) -> Iterator[list[Tensor]]:
    for one in moved:
        one.place.set(one.before + one.step)
    for _ in range(_CALLS):
        yield call()
    for calls in _COUNTS if moved else ():
        for one in moved:
            one.place.set(one.before + one.step * calls)
        yield call()


@contextmanager
def _numbers_restored(moved: Sequence[Moved]) -> Iterator[None]:
    """Numbers end as they were before the first call."""
    try:
        yield
    finally:
        for one in moved:
            one.place.set(one.before)


def _are_same(first: Sequence[Tensor], later: Sequence[Tensor]) -> bool:
    return len(first) == len(later) and all(
        relative_distance(one, other) <= RELATIVE.get(one.dtype, 0.0)
        for one, other in zip(first, later, strict=True)
    )


def _refusal(sample: OneSample, kept: Kept, call: int) -> UnsupportedError:
    calls = [*range(1, _CALLS + 2), *(count + 1 for count in _COUNTS)][call - 1]
    which = f"call {calls:,}" if call > 2 else "called again"
    return UnsupportedError(
        f"attribute {', '.join(kept.left[:3])} of {type(sample.model).__name__}",
        expected="a forward that does the same for every sample: a plan is one fixed graph",
        got="a value of Python that one call leaves for the next: on the same numbers the model"
        f" gives another result ({which})",
        change="keep it in a buffer (register_buffer), which goes from sample to sample, as"
        " tensors all the way",
    )


def _results(
    sample: OneSample, inputs: Sample, values: Mapping[str, Tensor], dtype: torch.dtype
) -> Iterator[Tensor]:
    """What one call gives, and the gradients, from the buffers as they are in `values`, but for
    those that a call gives another shape."""
    for name, buffer in sample.named_buffers():
        if buffer.shape == values[own_name(name)].shape:
            buffer.data = values[own_name(name)].clone()
    draws = Replay(0, dtype)
    claimed, wide = Claimed(dtype, claimed_type(sample)), Wide(dtype, draws)
    with draws.drawing(), sdpa_kernel(SDPBackend.MATH), claimed, wide:
        sample.zero_grad()
        args, named = arguments(tree_map_only(Tensor, lambda t: fresh(t, dtype), inputs))
        results = sample(*args, **named)
        yield from (value.detach().clone() for value in results)
        if results[0].requires_grad:
            results[0].backward()
        given = (p.grad for p in sample.parameters() if p.grad is not None)
        yield from (dense(gradient).clone() for gradient in given)
