"""Streams that pass stages on their way to a later one.

A skip edge from stage a to stage b travels stage by stage: a sample that leaves a in one tick is at
a + 1 in the next and reaches b after b - a of them, when b's other inputs of that sample do; its
gradient travels back in as many. So each stage between them holds one sample of the edge's
activations and one of its gradients. The slot is read as it is written: what leaves makes room for
what arrives. The host sends just in time, past all stages.

What a reversible stage gives back of a value goes the way of its gradient, to the stage that made
it; stages that it passes take it too, if they need it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import accumulate
from typing import NamedTuple

from ..plan.program import HOST, Stages


class EdgeBytes(NamedTuple):
    """Bytes per sample of an edge: activations onwards; gradients back, and what is given back."""

    forward: int
    gradient: int
    rebuilt: int


def edge_bytes(stages: Stages, source: int, sink: int) -> EdgeBytes:
    """What an edge carries."""
    outputs = stages.dag.edges[source, sink]["outputs"]
    made = stages.model_inputs if source == HOST else stages.stages[source].program.outputs
    reader = stages.stages[sink]
    reads = zip(reader.inputs, reader.program.inputs, reader.program.input_needs_grad, strict=True)
    back = (spec.size_bytes for origin, spec, needed in reads if needed and origin.stage == source)
    rebuilt = (
        spec.size_bytes
        for key, spec in zip(reader.rebuilt, reader.program.rebuilt_specs, strict=True)
        if reader.inputs[key.input].stage == source
    )
    onwards = sum(made[output].size_bytes for output in outputs)
    return EdgeBytes(onwards, sum(back), sum(rebuilt))


def passing_bytes(stages: Stages, groups: Sequence[Collection[int]] = ()) -> tuple[int, ...]:
    """For each stage, bytes of the samples that rest with it between two other stages. What goes
    from one stage of a group to another rests in their region."""
    change = [0] * (len(stages) + 1)
    for source, sink in stages.dag.edges:
        if source != HOST and not any(source in group and sink in group for group in groups):
            held = sum(edge_bytes(stages, source, sink))
            change[source + 1] += held
            change[sink] -= held
    return tuple(accumulate(change[:-1]))
