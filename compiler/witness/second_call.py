"""What a forward leaves in Python for the next call, which a captured graph leaves out.

A count of calls, the last hidden state, a list that grows: eager torch reads them in the next
sample. A model of which a call changes one is called again on the same numbers, and must give the
same outputs and gradients in the next calls. Where every call still changes something, its readers
are found: with numbers moved on as many calls would move them, and on each branch that one decides
of. A container that grows must not be read at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map_only

from ...backend.errors import UnsupportedError
from ..capture.capture import own_name
from ..capture.kept.places import places
from ..capture.kept.preserved import items_of, preserved
from ..capture.sample import OneSample, Sample, arguments
from .compare import RELATIVE, relative_distance
from .draws import Replay
from .eager import claimed_type, dense, fresh, values_in
from .moving import MovedNumber, Moving, moving, states
from .precision import Claimed, Wide
from .probes import Site, Watch
from .step import WitnessStep

_CALLS = 4
_COUNTS = (
    *(4, 5, 6, 7, 9, 10, 15, 16, 31, 49, 63, 75, 99, 100, 127, 199, 255, 499, 511, 750),
    *(10**n - below for n in range(3, 7) for below in (1, 0)),
)
"""Calls after which a schedule is looked at: a warm-up that ends, a count that is divided."""
_MOST_BRANCHES = 64
_EARLIER = 0.05
Call = Callable[[], list[Tensor]]


class Kept:
    """What Python holds before a call; then `left` names what the call left for the next one."""

    def __init__(self, sample: OneSample) -> None:
        self.sample, self.before = sample, _held(sample)
        self.left: tuple[str, ...] = ()

    def note_changes(self) -> None:
        """What is another object, holds other ones, or is another number, after the call."""
        after = _held(self.sample)
        self.left = tuple(n for n, held in after.items() if not _is_same(self.before.get(n), held))


def _held(sample: OneSample) -> dict[str, tuple[Any, Any]]:
    """The value of each place, with the items of those that are containers."""
    found = places(sample, vars(sample).get("loss"))
    values = ((place.name, place.get()) for place in found)
    return {name: (value, items_of(value)) for name, value in values}


def _is_same(before: tuple[Any, Any] | None, after: tuple[Any, Any]) -> bool:
    if isinstance(after[0], Iterator):
        return False
    if before is None or before[0] is not after[0]:
        return before is not None and type(after[0]) in (int, float, str) and before[0] == after[0]
    one, other = before[1], after[1]
    if one is None or other is None or len(one) != len(other):
        return one is other
    if isinstance(one, dict):
        return all(other.get(key) is value for key, value in one.items())
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
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

    def call(given: Sample = inputs) -> list[Tensor]:
        return list(_results(sample, given, values, dtype))

    first = results_of(step)
    with values_in(sample, values):
        before = states(sample)
        for number in range(2, _CALLS + 1, 2):
            with _other_weights(sample):
                call(other_numbers(inputs))
            before = states(sample)
            if not are_same(first, call()):
                raise _refusal(sample, kept.left, _CALL.format(number))
        moved = moving(before, states(sample))
        if moved.others:
            raise _refusal(sample, moved.others, _MOVES)
        for count in _COUNTS if moved.numbers else ():
            if not _is_same_after(sample, call, first, moved.numbers, count):
                raise _refusal(sample, moved.counted, _CALL.format(f"{count + 1:,}"))
        if moved.names:
            _check_branches(sample, call, first, moved)


@contextmanager
def _other_weights(sample: OneSample) -> Iterator[None]:
    """Weights as they may be some updates earlier: a call leaves other numbers then."""
    own = [(value, value.data) for value in sample.parameters() if value.is_floating_point()]
    try:
        for value, data in own:
            value.data = data * (1 + _EARLIER * torch.cos(torch.arange(data.numel())).view_as(data))
        yield
    finally:
        for value, data in own:
            value.data = data


def other_numbers(inputs: Sample) -> Sample:
    """A sample of the same shapes: its numbers in the other order along the last axis."""
    return tree_map_only(Tensor, lambda t: t.flip(-1) if t.ndim else t, inputs)


def _is_same_after(
    sample: OneSample, call: Call, first: list[Tensor], numbers: Sequence[MovedNumber], count: int
) -> bool:
    """Whether a call gives the first results when numbers are as `count` calls leave them."""
    with preserved(sample):
        for one in numbers:
            one.place.set(one.now + one.step * (count - _CALLS))
        return _gives(call, first)


def _gives(call: Call, first: list[Tensor]) -> bool:
    """Whether a call gives these results; not if it fails, as it may after many calls."""
    try:
        return are_same(first, call())
    except UnsupportedError:
        raise
    except Exception:
        return False


def _check_branches(sample: OneSample, call: Call, first: list[Tensor], moved: Moving) -> None:
    """Take each branch that what moves may decide of, alone and behind those before it.

    Raises UnsupportedError where a branch gives other results, in its call or in the next one, and
    where what moves is read in a way that no branch can be taken of.
    """
    waiting: list[tuple[Site, ...]] = [()]
    seen: set[Site] = set()
    for _ in range(_MOST_BRANCHES):
        if not waiting:
            return
        turned = waiting.pop(0)
        watch, is_same = _watched(sample, call, first, moved, turned)
        if watch.unfollowed is not None:
            raise _refusal(sample, moved.names, _READ.format(*watch.unfollowed))
        if not is_same:
            raise _refusal(sample, moved.names, _DECIDES.format(*(turned or [("", 0)])[-1]))
        waiting += [(*turned, site) for site in watch.decisions if site not in seen]
        seen.update(watch.decisions)


def _watched(
    sample: OneSample, call: Call, first: list[Tensor], moved: Moving, turned: tuple[Site, ...]
) -> tuple[Watch, bool]:
    """A call with probes for what moves, and whether it and the next one give the first results."""
    watch = Watch(turned)
    with preserved(sample):
        for place in reversed(moved.containers):
            place.set(watch.container(place.get()))
        for place in moved.iterators:
            place.set(watch.iterator())
        for one in moved.numbers:
            one.place.set(watch.number(one.now))
        watch.is_on = True
        is_same = _gives(call, first)
        watch.is_on = False
        return watch, is_same and (not turned or _gives(call, first))


def check_repeatable(
    sample: OneSample,
    inputs: Sample,
    values: Mapping[str, Tensor],
    dtype: torch.dtype,
    step: WitnessStep,
) -> None:
    """Raises UnsupportedError if the model itself gives something else than `step` when it is
    called once more on the same numbers, with the same draws."""
    if not are_same(results_of(step), results_again(sample, inputs, values, dtype)):
        raise UnsupportedError(
            f"the forward of {type(sample.model).__name__}",
            expected="the same result whenever it is called on the same numbers",
            got="another one in a second call: something beside tensors and torch's generator"
            " decides, such as a clock, or a generator of random or numpy that the model holds",
            change="draw with torch (torch.rand), keep what moves on in buffers",
        )


def results_again(
    sample: OneSample, inputs: Sample, values: Mapping[str, Tensor], dtype: torch.dtype
) -> list[Tensor]:
    """What the model itself gives in one more call on the same numbers, with the same draws: loss,
    outputs, gradients."""
    with values_in(sample, values):
        return list(_results(sample, inputs, values, dtype))


def results_of(step: WitnessStep) -> list[Tensor]:
    """What `results_again` gives, of the first call."""
    return [step.loss, *step.outputs, *step.gradients.values()]


def are_same(first: Sequence[Tensor], later: Sequence[Tensor]) -> bool:
    """Whether two calls gave the same numbers, but for rounding."""
    return len(first) == len(later) and all(
        relative_distance(one, other) <= RELATIVE.get(one.dtype, 0.0)
        for one, other in zip(first, later, strict=True)
    )


_CALL = "on the same numbers the model gives another result (call {})"
_MOVES = "it is another one after every call, and decides what it may"
_READ = "what it is decides what {0}:{1} does in a later call"
_DECIDES = "by it {0}:{1} decides what the model computes in a later call"


def _refusal(sample: OneSample, names: Sequence[str], why: str) -> UnsupportedError:
    inner = [n for n in names if not any(other.startswith(f"{n}.") for other in names)]
    told = ", ".join(map(own_name, inner[:3]))
    return UnsupportedError(
        f"attribute {told} of {type(sample.model).__name__}",
        expected="a forward that does the same for every sample: a plan is one fixed graph",
        got=f"a value of Python that one call leaves for the next: {why}",
        change="keep it in a buffer (register_buffer), which goes from sample to sample, as"
        " tensors all the way; what is only counted or kept for others to look at may stay, as long"
        " as the forward does not read it",
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
