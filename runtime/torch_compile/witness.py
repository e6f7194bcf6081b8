"""A graph of dynamo's, run once as it is by torch, is held against what its stages compute.

Both get the tensors of the call, in float64 (float32 above 20 M weights), and the same seeded
gradients for their outputs; both draw the numbers that the stages draw first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from ...backend.errors import WitnessError
from ...compiler.capture.sample import OneSample
from ...compiler.plan.program import HOST, Source
from ...compiler.stages.open_graph import OpenGraph, outputs_summed
from ...compiler.witness.compare import Difference, compared
from ...compiler.witness.draws import Draw, Replay
from ...compiler.witness.parting import PartingSubject, parting
from ...compiler.witness.precision import Claimed, Wide, is_real
from ...compiler.witness.staged import StagedRun
from ...compiler.witness.values import Values, apart_from_flat, as_written, state_apart_from_flat
from ...compiler.witness.witness import WIDE_WEIGHTS, without_ones
from .roles import Call, GraphWithRoles

_TOLD = 3


@dataclass(frozen=True)
class _Step:
    """What a run gives; gradients by name of parameter or input, zero ones may be missing."""

    outputs: Sequence[Tensor]
    gradients: Mapping[str, Tensor]
    buffers: Mapping[str, Tensor]
    draws: Sequence[Draw]


def check_against_eager(call: Call, traced: OpenGraph) -> None:
    """Raises WitnessError where the stages of a graph compute something else than the graph.

    Nothing of the call changes: tensors are copies, and torch's generator is afterwards as before.
    """
    weights = sum(value.numel() for value in call.named("parameter").values())
    dtype = torch.float64 if weights <= WIDE_WEIGHTS else torch.float32
    with torch.inference_mode(False), torch.enable_grad():
        wide = Call(call.graph, call.roles, tuple(_wide(call, dtype)))
        eager, tangents = _eager(wide, dtype, _claimed(call))
        found = list(_differences(wide, traced, eager, tangents, dtype))
        if found:
            raise _refusal(found, wide, traced, dtype)


_APART_FROM_FLAT = {"parameter": apart_from_flat, "buffer": state_apart_from_flat}


def _wide(call: Call, dtype: torch.dtype) -> Iterator[Any]:
    for role, value in zip(call.roles, call.values, strict=True):
        if not isinstance(value, Tensor):
            yield value
        elif is_real(value):
            own = value.detach().to(dtype, copy=True)
            if role.kind in _APART_FROM_FLAT:
                own = _APART_FROM_FLAT[role.kind](role.name, own)
            is_leaf = role.kind in ("parameter", "input") and value.requires_grad
            yield own.requires_grad_(is_leaf)
        else:
            yield value.detach().clone()


def _claimed(call: Call) -> torch.dtype:
    own = [value.dtype for value in call.named("parameter").values() if is_real(value)]
    return max(own, key=own.count, default=torch.get_default_dtype())


def _eager(
    call: Call, dtype: torch.dtype, claimed: torch.dtype
) -> tuple[_Step, list[Tensor | None]]:
    """One run of the graph itself, and the gradients that its outputs were given."""
    call = Call(call.graph, call.roles, tuple(_own_buffers(call)))
    draws, buffers = Replay(0, dtype), call.named("buffer")
    with (
        draws.drawing(),
        sdpa_kernel(SDPBackend.MATH),
        Claimed(dtype, claimed),
        Wide(dtype, draws),
    ):
        outputs = tuple(call.graph(*call.values))
    tangents = [_tangent(number, value) for number, value in enumerate(outputs)]
    leaves = {
        role.name: value
        for role, value in zip(call.roles, call.values, strict=True)
        if isinstance(value, Tensor) and value.is_leaf and value.requires_grad
    }
    with Wide(dtype, draws):
        pairs = [(v, t) for v, t in zip(outputs, tangents, strict=True) if t is not None]
        grads: Sequence[Tensor | None] = [None] * len(leaves)
        if pairs and leaves:
            made, given = zip(*pairs, strict=True)
            grads = torch.autograd.grad(made, list(leaves.values()), given, allow_unused=True)
    found = {n: g for n, g in zip(leaves, grads, strict=True) if g is not None}
    return _Step([value.detach() for value in outputs], found, buffers, draws.made), tangents


def _own_buffers(call: Call) -> Iterator[Any]:
    """The values with copies of the buffers, which the graph changes in place."""
    for role, value in zip(call.roles, call.values, strict=True):
        yield value.clone() if role.kind == "buffer" else value


def _tangent(number: int, output: Tensor) -> Tensor | None:
    if not output.requires_grad:
        return None
    generator = torch.Generator().manual_seed(number)
    return torch.randn(output.shape, generator=generator, dtype=torch.float64).to(output.dtype)


def _differences(
    call: Call,
    traced: OpenGraph,
    eager: _Step,
    tangents: Sequence[Tensor | None],
    dtype: torch.dtype,
) -> Iterator[Difference]:
    tensors = _tensors(call, traced, dtype)
    run = StagedRun(traced.stages, tensors, _inputs(call), dtype)
    run.forward()
    for number, (source, expected) in enumerate(zip(traced.outputs, eager.outputs, strict=True)):
        found, _ = compared("output", str(number), expected, run.values[source])
        yield from filter(None, [found])
    yield from _of_draws(traced, eager)
    arriving: dict[Source, Tensor] = {}
    for source, tangent in zip(traced.outputs, tangents, strict=True):
        if tangent is not None:
            arriving[source] = arriving[source] + tangent if source in arriving else tangent
    got = dict(run.backward(arriving))
    got |= {
        name: run.arrived[Source(HOST, number)]
        for number, name in enumerate(call.named("input"))
        if Source(HOST, number) in run.arrived and call.named("input")[name].requires_grad
    }
    largest = max((float(torch.linalg.vector_norm(g)) for g in eager.gradients.values()), default=0)
    for name in sorted(got.keys() | eager.gradients.keys()):
        one, other = eager.gradients.get(name), got.get(name)
        found, _ = compared("gradient", name, one, other, largest)
        yield from filter(None, [found])
    with torch.no_grad(), Wide(dtype):
        counts = traced.counters(*(tensors[name] for name in traced.counted))
    after = tensors | run.state | dict(zip(traced.counted, counts, strict=True))
    for name, expected in eager.buffers.items():
        found, _ = compared("buffer", name, expected, after[name])
        yield from filter(None, [found])


def _of_draws(traced: OpenGraph, eager: _Step) -> Iterator[Difference]:
    nodes = [node for node in traced.graph.module.graph.nodes if "draw" in node.meta]
    planned = sorted((node.meta["draw"], without_ones(node.args[1])) for node in nodes)
    made = sorted((draw.kind, without_ones(draw.shape)) for draw in eager.draws)
    if planned != made:
        yield Difference("draws", "", f"{len(made)} against {len(planned)}")


def _tensors(call: Call, traced: OpenGraph, dtype: torch.dtype) -> dict[str, Tensor]:
    own = {**call.named("parameter"), **call.named("buffer")}
    constants = as_written(traced.graph.constants, dtype)
    return {**constants, **{name: value.detach() for name, value in own.items()}}


def _inputs(call: Call) -> list[Tensor]:
    return [value.detach() for value in call.named("input").values()]


def _refusal(
    found: Sequence[Difference], call: Call, traced: OpenGraph, dtype: torch.dtype
) -> WitnessError:
    more = f"; and {len(found) - _TOLD} more" if len(found) > _TOLD else ""
    return WitnessError(
        _place(call, traced, dtype) or "a graph of torch.compile",
        expected="what the graph itself computes, run once by torch (the witness)",
        got="; ".join(map(str, found[:_TOLD])) + more,
        change="this is a defect of weft: write this line in another way, and report it; without"
        " the witness (options={'witness': 'off'}) the model trains what its stages compute",
    )


def _place(call: Call, traced: OpenGraph, dtype: torch.dtype) -> str:
    """The first operator and line where the two part, if that can be told."""
    module = GraphWithRoles(call.graph, call.roles, call.values)
    values = Values(
        {name: value.detach() for name, value in call.named("parameter").items()},
        {name: value.detach() for name, value in call.named("buffer").items()},
        (*_inputs(call), None),
    )
    sample = OneSample(module, outputs_summed)
    subject = PartingSubject(
        sample, traced.graph, values, _tensors(call, traced, dtype), _inputs(call), dtype
    )
    return str(parting(subject, {}) or "")
