"""What a model asks of any machine: multiply-adds and bytes per stage, from its graphs alone.

Counted with the formulas of backend/flops/operators.py, not with the kernels, so the two can be
held against each other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import fx

from ...backend.flops.operators import operator_macs
from .program import StageProgram, Stages


@dataclass(frozen=True)
class StageWork:
    """One stage and one sample. `parameter_bytes` are read whole by forward and backward each."""

    name: str
    dtype: str
    forward_macs: int
    backward_macs: int
    parameter_bytes: int
    trainable_bytes: int
    forward_bytes: int
    backward_bytes: int
    saved_bytes: int


def work_of(stages: Stages) -> tuple[StageWork, ...]:
    """The work of every stage, each distinct program counted once."""
    counted: dict[str, StageWork] = {}
    for stage in stages.stages:
        if stage.program.key not in counted:
            counted[stage.program.key] = _work(stage.name, stage.program)
    return tuple(counted[stage.program.key] for stage in stages.stages)


def _work(name: str, program: StageProgram) -> StageWork:
    trained = zip(program.parameters, program.trainable, strict=True)
    arriving = sum(spec.size_bytes for spec in program.inputs)
    leaving = sum(spec.size_bytes for spec in program.outputs)
    floating = [s.dtype for s in (*program.parameters, *program.outputs) if "float" in s.dtype]
    return StageWork(
        name=name,
        dtype=floating[0] if floating else "float32",
        forward_macs=_macs(program.forward),
        backward_macs=_macs(program.backward),
        parameter_bytes=sum(spec.size_bytes for spec in program.parameters),
        trainable_bytes=sum(spec.size_bytes for spec, trains in trained if trains),
        forward_bytes=arriving + leaving + program.saved_bytes,
        backward_bytes=arriving + leaving + program.saved_bytes,
        saved_bytes=program.saved_bytes,
    )


def _macs(module: fx.GraphModule) -> int:
    calls = (node for node in module.graph.nodes if node.op == "call_function")
    return sum(macs_of(node) for node in calls)


def macs_of(node: fx.Node) -> int:
    """Multiply-accumulates of a node, from the shapes of its operands."""
    args, kwargs = fx.map_arg((node.args, node.kwargs), _value)  # type: ignore[misc]
    return operator_macs(node.target, args, kwargs, node.meta["val"])


def _value(node: fx.Node) -> Any:
    return node.meta["val"]
