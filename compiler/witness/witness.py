"""The pass that runs a model once, as it is, and holds its stages against it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from ...backend.errors import UnsupportedError, UserError, WitnessError
from ..capture.capture import own_tensors
from ..capture.graph import Graph
from ..capture.guards.module_tree import is_weightless
from ..capture.sample import OneSample, Sample, arguments
from ..plan.document import TRAINING_ONLY
from ..plan.program import Stages
from ..stages.group import sample_dependent
from .caches import cleared_caches, is_of_trace, refusal
from .clock import Clock, check_clock
from .compare import Difference, compared
from .eager import run_eager
from .evaluated import are_alike, predictions
from .parting import PartingSubject, parting
from .second_call import Kept, check_later_calls, check_repeatable
from .staged import StagedRun
from .step import WitnessStep
from .values import as_written, has_literals, values_of

WIDE_WEIGHTS = 20_000_000
"""Up to so many weights a witness computes in float64. [weights]"""
_SEEDED_BYTES = 2 * 2**30
"""Up to so large a model without numbers is given some. [bytes]"""


@dataclass(frozen=True)
class Verdict:
    """What a plan's numbers were held against, and what was the same.

    `level` is one of the plan's WITNESSES; `counts` counts tensors by kind, `distance` is the
    largest relative distance of them. `zeros` counts gradients that are zero, so that they say
    little: behind rectifiers that are all shut, nothing of a model shows.
    """

    level: str
    counts: Mapping[str, int] = field(default_factory=dict)
    distance: float = 0.0
    zeros: int = 0


@dataclass(frozen=True)
class Witness:
    """Run the model itself once, by torch, and hold what the stages compute against it.

    before: stages of `loss(model(x), target)`      after: float64: 1 loss, 2 gradients agree
    """

    sample: OneSample
    inputs: Sample
    graph: Graph

    def __call__(self, stages: Stages) -> Verdict:
        """Loss, outputs, gradients, buffers and draws of the stages, held against the model's.

        Raises WitnessError, with the first operator and line where the two part.
        """
        level = level_of(self.sample)
        if level == "structure" or self._lacks_numbers():
            return Verdict("structure")
        held = _Held(self, stages, getattr(torch, level))
        found = list(held.differences())
        if found and has_literals(self.graph.constants):  # they may be arrays of that type
            exact = _Held(self, stages, getattr(torch, level), are_decimal=False)
            found = list(exact.differences()) and found
        if found:
            held.check_repeatable(found)
            held.check_late()
            raise _refusal(found, held)
        level += "" if held.predicts_alike() else TRAINING_ONLY
        return Verdict(level, held.counts, held.distance, held.zeros)

    def _lacks_numbers(self) -> bool:
        """Whether the forward reads a tensor on the meta device that is no buffer."""
        own = own_tensors(self.sample)
        return any(is_weightless(t) for n, t in self.graph.constants.items() if n not in own)


def level_of(sample: OneSample) -> str:
    """In which arithmetic a model is run: that of a plan's `witness`."""
    tensors = list({id(value): value for value in own_tensors(sample).values()}.values())
    is_seeded = any(map(is_weightless, tensors))
    size = sum(value.numel() * value.element_size() for value in tensors)
    if is_seeded and size > _SEEDED_BYTES:
        return "structure"
    if any(value.device.type not in ("cpu", "meta") for value in tensors):
        return "structure"
    weights = sum(value.numel() for value in tensors)
    return "float64" if weights <= WIDE_WEIGHTS else "float32"


class _Held:
    """One step of a model and of its stages, with the same numbers."""

    def __init__(
        self, witness: Witness, stages: Stages, dtype: torch.dtype, are_decimal: bool = True
    ) -> None:
        self.graph, self.stages = witness.graph, stages
        self.counts: dict[str, int] = {}
        self.distance, self.zeros = 0.0, 0
        self.eager: WitnessStep | None = None
        self.run: StagedRun | None = None
        self.written: dict[str, Tensor] = {}  # what buffers should be, of those that are not
        own = own_tensors(witness.sample)
        first: dict[int, str] = {}
        self.first = {name: first.setdefault(id(value), name) for name, value in own.items()}
        self.subject = _subject(witness, dtype, self.first, are_decimal)

    def differences(self) -> Iterator[Difference]:
        """What is not the same, in the order that it is computed."""
        subject, values = self.subject, self.subject.values
        before = _prints(values.parameters)
        given = subject.sample, values.inputs, values.tensors, subject.dtype
        kept, clock, eager = _first_call(given)
        self.eager = eager
        check_clock(*given, clock, eager)
        kept.left += tuple(f"buffer {name}" for name in _reshaped(values.buffers, eager.after))
        if kept.left:
            check_later_calls(*given, kept, eager)
        after = _prints(values.parameters)
        changed = [name for name in before if before[name] != after[name]]
        yield from (Difference("parameter", n, "changed by the forward") for n in changed)
        yield from self._draws(eager)
        run = StagedRun(self.stages.stages, subject.tensors, subject.inputs, subject.dtype)
        self.run = run
        run.forward()
        yield from self._results(eager, run)
        yield from self._gradients(eager, run)
        yield from self._state(eager, run)

    def check_repeatable(self, found: Sequence[Difference]) -> None:
        """Raises UnsupportedError where the model itself is not the same in a second call."""
        subject, values = self.subject, self.subject.values
        if self.eager and not any(one.kind == "parameter" for one in found):
            given = subject.sample, values.inputs, values.tensors, subject.dtype
            check_repeatable(*given, self.eager)

    def predicts_alike(self) -> bool:
        """Whether the model predicts in evaluation mode what the plan does."""
        if self.run is None or not self.stages.predictions:
            return True
        subject, made = self.subject, {node.name for node in sample_dependent(self.graph)}
        held = [number for number, name in enumerate(self.graph.predictions) if name in made]
        values = subject.values
        given = subject.sample, values.inputs, values.tensors, subject.dtype
        expected = predictions(*given)
        return are_alike(expected, self.stages, held, self.run)

    def check_late(self) -> None:
        """Raises UnsupportedError where the model's backward draws or writes to a buffer."""
        late = self._late()
        if late:
            raise UnsupportedError(
                f"the backward of {type(self.subject.sample.model).__name__}",
                expected="draws and writes to buffers in the forward only, once for each sample",
                got=f"{', '.join(late[:_TOLD])} in the backward, by a hook of a tensor, or because"
                " torch runs a checkpoint there again, with other draws (preserve_rng_state=False)"
                " or writing twice",
                change="let a hook only return a gradient; leave out preserve_rng_state=False;"
                " write to buffers, and draw, outside of the checkpoint",
            )

    def _late(self) -> list[str]:
        """What the model's backward draws and writes that is no backward's of an online norm."""
        own = {self.first.get(n, n) for stage in self.stages.stages for n in stage.backward_state}
        late = self.eager.late if self.eager else ()
        return [one for one in late if one.removeprefix("buffer ") not in own]

    def _draws(self, eager: WitnessStep) -> Iterator[Difference]:
        nodes = [node for node in self.graph.module.graph.nodes if "draw" in node.meta]
        planned = sorted((node.meta["draw"], without_ones(node.args[1])) for node in nodes)
        made = sorted((draw.kind, without_ones(draw.shape)) for draw in eager.draws)
        self.counts["draw"] = len(made)
        if planned != made:
            yield Difference("draws", "", f"{_listed(made)} against {_listed(planned)}")

    def _results(self, eager: WitnessStep, run: StagedRun) -> Iterator[Difference]:
        yield from self._held("loss", "", eager.loss, run.values[self.stages.loss])
        made = {node.name for node in sample_dependent(self.graph)}
        sources = iter(self.stages.predictions)
        pairs = zip(self.graph.predictions, eager.outputs, strict=True)
        for number, (name, expected) in enumerate(pairs):
            if name in made:
                got = run.values[next(sources)]
                yield from self._held("output", str(number), expected, got)

    def _gradients(self, eager: WitnessStep, run: StagedRun) -> Iterator[Difference]:
        norms = [float(torch.linalg.vector_norm(g)) for g in eager.gradients.values()]
        largest = max((norm for norm in norms if norm < float("inf")), default=0.0)
        self.zeros = norms.count(0.0)
        if bool(torch.isfinite(eager.loss)):  # all gradients may be zero, but for rounding
            largest = max(largest, abs(float(eager.loss)))
        waiting = dict(eager.gradients)
        loss = run.values[self.stages.loss]
        for name, got in run.backward({self.stages.loss: torch.ones_like(loss)}):
            first = self.first[name]
            if first in waiting:
                yield from self._held("gradient", first, waiting.pop(first), got, largest)
            else:
                yield Difference("gradient", first, "none, so it is not trained, against zeros")
        for name, expected in waiting.items():
            yield from self._held("gradient", name, expected, None, largest)

    def _state(self, eager: WitnessStep, run: StagedRun) -> Iterator[Difference]:
        for name, key in self.graph.constants.items():
            if name in self.graph.state_updates and name not in self.first:
                expected = key + torch.tensor([0, 1])
                yield from self._held("random key", name, expected, run.state.get(name, key))
        state = {self.first.get(name, name): value for name, value in run.state.items()}
        for name, before in self.subject.values.buffers.items():
            expected = eager.after.get(name, before)
            if expected.shape != before.shape:
                continue  # numbers of the first call, which the graph makes for each sample
            found = list(self._held("buffer", name, expected, state.get(name, before)))
            if found:
                self.written[name] = expected
            yield from found

    def _held(
        self, kind: str, name: str, expected: Tensor, got: Tensor | None, largest: float = 0.0
    ) -> Iterator[Difference]:
        self.counts[kind] = self.counts.get(kind, 0) + 1
        found, distance = compared(kind, name, expected, got, largest)
        self.distance = max(self.distance, distance)
        if found is not None:
            yield found


def _subject(
    witness: Witness, dtype: torch.dtype, first: Mapping[str, str], are_decimal: bool
) -> PartingSubject:
    values = values_of(witness.sample, witness.inputs, dtype)
    own = {name: values.tensors[key] for name, key in first.items()}
    constants = witness.graph.constants
    constants = as_written(constants, dtype) if are_decimal else constants
    leaves = tree_leaves(arguments(values.inputs))
    return PartingSubject(
        witness.sample,
        witness.graph,
        values,
        {**constants, **own},
        [leaf for leaf in leaves if isinstance(leaf, Tensor)],
        dtype,
    )


_Given = tuple[OneSample, Sample, Mapping[str, Tensor], torch.dtype]


def _first_call(given: _Given) -> tuple[Kept, Clock, WitnessStep]:
    """What Python kept before the model's own step, the clock that it saw, and the step."""
    kept, clock, step = _call(given)
    if not is_of_trace(step):
        return kept, clock, step
    caches = cleared_caches()
    kept, clock, step = _call(given)
    for cache in caches:  # of what is as wide as the witness, now
        cache.cache_clear()
    if is_of_trace(step):
        raise refusal(given[0].model)
    return kept, clock, step


def _call(given: _Given) -> tuple[Kept, Clock, WitnessStep]:
    kept, clock = Kept(given[0]), Clock()
    with warnings.catch_warnings(), clock.watching(given[0]):
        # of torch, which looks for a gradient of what it makes a fake tensor of
        warnings.filterwarnings("ignore", message=r"The \.grad attribute")
        try:
            return kept, clock, run_eager(*given, at_end=kept.note_changes)
        except (IndexError, TypeError, ValueError, RuntimeError) as error:
            raise _fails(given[0], error) from error


def _fails(sample: OneSample, error: Exception) -> UserError:
    reason = (str(error).strip().splitlines() or [""])[0]
    return UserError(
        f"one step of {type(sample.model).__name__} on the example inputs",
        expected="a model and a loss that torch itself can run on them (the witness)",
        got=f"{type(error).__name__}: {reason}",
        change="give inputs of the types, and a target of the range and type, that model and loss"
        " take: loss(model(*inputs), target) says the same; if it does not, report it, and compile"
        " with --witness off",
    )


def _reshaped(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> list[str]:
    return [name for name, value in before.items() if after.get(name, value).shape != value.shape]


def _prints(tensors: Mapping[str, Tensor]) -> dict[str, tuple[float, float]]:
    """Two numbers of each tensor, which a change of its elements changes."""
    return {name: _print(value) for name, value in tensors.items() if value.is_floating_point()}


def _print(value: Tensor) -> tuple[float, float]:
    total, norm = float(value.sum()), float(torch.linalg.vector_norm(value))
    return (total, norm) if total == total else _print(value.detach().nan_to_num(0.5))


def without_ones(shape: Any) -> tuple[int, ...]:
    """What of a shape says in which order numbers are drawn: layers over time may turn their values
    round a batch dimension of 1."""
    return tuple(size for size in shape if size != 1)


def _listed(draws: Sequence[tuple[str, tuple[int, ...]]]) -> str:
    return ", ".join(f"{kind} {list(shape)}" for kind, shape in draws) or "none"


def _refusal(found: Sequence[Difference], held: _Held) -> WitnessError:
    place = parting(held.subject, held.written)
    more = f"; and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    return WitnessError(
        str(place) if place else "the programs of the stages",
        expected="what the model itself computes, run once by torch (the witness)",
        got="; ".join(map(str, found[:_TOLD])) + more,
        change="this is a defect of weft: write this line in another way, and report it; without"
        " the witness (--witness off) the plan trains what its stages compute",
    )


_TOLD = 3
"""Differences that a message tells of."""
