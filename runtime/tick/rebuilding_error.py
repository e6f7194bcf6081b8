"""How wrong what reversible stages rebuild is: measured while a run goes on, by stage.

    forward(w, x1, x2) -> y1                       also saves x1
    backward(w, dy1, y1, x2) -> ..., x1'           also advances its state e
        e <- 0.99 e + 0.01 (|x1' - x1|^2, |x1|^2)

The relative error of the latest hundred samples or so is sqrt(e[0] / e[1]). It is state of the
backward, so every executor keeps it. What is saved for it costs the memory that reversible stages
spare: that of the device that trains, not of the plan.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import nan, sqrt
from typing import Any, cast

import torch
from torch import Tensor, fx

from ...compiler.plan.program import Stage, StageProgram, Stages, TensorSpec
from ...compiler.plan.program_graph import KEPT_META, graph_module, kept_inputs
from ...compiler.plan.program_text import keyed

_ATEN = torch.ops.aten
_DECAY = 0.99
_PREFIX = "rebuilding."


def measured(stages: Stages) -> tuple[Stages, dict[str, Tensor]]:
    """Stages that measure what they rebuild, and the start values of what they measure in."""
    made: dict[str, StageProgram] = {}
    found, start = [], {}
    for stage in stages.stages:
        numbers = _rebuilt(stage.program)
        if numbers:
            program = made.setdefault(stage.program.key, _measuring(stage.program, numbers))
            state = (*stage.backward_state, _name(stage))
            start[_name(stage)] = torch.zeros(2, dtype=program.backward_state[-1].torch_dtype)
            stage = replace(stage, program=program, backward_state=state)
        found.append(stage)
    return replace(stages, stages=tuple(found)), start


def is_measured(stages: Stages) -> bool:
    """Whether some stage measures what it rebuilds."""
    return any(_name(stage) in stage.backward_state for stage in stages.stages)


def errors(stages: Stages, tensors: Mapping[str, Tensor]) -> dict[str, float]:
    """By name of each measuring stage, the relative error of its rebuilt inputs; NaN before any."""
    found = {}
    for stage in stages.stages:
        if _name(stage) in tensors:
            error, size = tensors[_name(stage)].double().tolist()
            found[stage.name] = sqrt(error / size) if size else nan
    return found


def without_errors(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of the model alone."""
    return {name: value for name, value in tensors.items() if not name.startswith(_PREFIX)}


def _name(stage: Stage) -> str:
    return f"{_PREFIX}{stage.index}"


def _rebuilt(program: StageProgram) -> tuple[int, ...]:
    """The inputs that a program gives back and did not keep."""
    kept = kept_inputs(program)
    real = (n for n in program.rebuilt if program.inputs[n].torch_dtype.is_floating_point)
    return tuple(number for number in real if number not in kept)


def _measuring(program: StageProgram, numbers: Sequence[int]) -> StageProgram:
    specs = tuple(program.inputs[number] for number in numbers)
    state = TensorSpec((2,), specs[0].dtype)
    changed = replace(
        program,
        forward=_forward(program, numbers),
        backward=_backward(program, numbers, state),
        saved=(*program.saved, *specs),
        backward_state=(*program.backward_state, state),
    )
    return keyed(changed)


def _forward(program: StageProgram, numbers: Sequence[int]) -> fx.GraphModule:
    graph, copies = _copied(program.forward)
    inputs = graph.find_nodes(op="placeholder")[-len(program.inputs) :]
    results = [copies[node] for node in _results(program.forward)]
    graph.output((*results, *(inputs[number] for number in numbers)))
    return graph_module(graph)


def _backward(program: StageProgram, numbers: Sequence[int], state: TensorSpec) -> fx.GraphModule:
    graph, copies = _copied(program.backward)
    arguments = graph.find_nodes(op="placeholder")
    own = len(program.parameters) + len(program.backward_state)
    with graph.inserting_after(arguments[own - 1]) if own else graph.inserting_before(arguments[0]):
        before = _argument(graph, "measured", state)
    last, kept = arguments[own + len(program.saved) - 1] if program.saved else before, []
    for number in numbers:
        with graph.inserting_after(last):
            last = _argument(graph, f"input_{number}", program.inputs[number])
        kept.append(last)
    results = [copies[node] for node in _results(program.backward)]
    first = len(results) - len(program.rebuilt)
    rebuilt = (results[first + program.rebuilt.index(number)] for number in numbers)
    after = _advanced(graph, before, list(zip(rebuilt, kept, strict=True)))
    graph.output((*results[:first], after, *results[first:]))
    return graph_module(graph)


def _advanced(
    graph: fx.Graph, before: fx.Node, pairs: Sequence[tuple[fx.Node, fx.Node]]
) -> fx.Node:
    """The means of |rebuilt - kept|^2 and |kept|^2, with those of one more sample in them."""

    def call(target: Any, *args: Any) -> fx.Node:
        node = graph.call_function(target, args)
        node.meta["val"] = target(*fx.map_arg(args, _value))
        return node

    def total(values: Sequence[fx.Node]) -> fx.Node:
        squares = [call(_ATEN.mul.Tensor, value, value) for value in values]
        first, *others = [call(_ATEN.sum.default, square) for square in squares]
        for other in others:
            first = call(_ATEN.add.Tensor, first, other)
        return call(_ATEN.unsqueeze.default, first, 0)

    wrong = [call(_ATEN.sub.Tensor, rebuilt, kept) for rebuilt, kept in pairs]
    sums = call(_ATEN.cat.default, [total(wrong), total([kept for _, kept in pairs])])
    old = call(_ATEN.mul.Tensor, before, _DECAY)
    return call(_ATEN.add.Tensor, old, call(_ATEN.mul.Tensor, sums, 1 - _DECAY))


def _value(node: fx.Node) -> Tensor:
    value = cast("Tensor", node.meta["val"])
    return torch.empty(value.shape, dtype=value.dtype, device="meta")


def _argument(graph: fx.Graph, name: str, spec: TensorSpec) -> fx.Node:
    node = graph.placeholder(name)
    node.meta["val"] = torch.empty(spec.shape, dtype=spec.torch_dtype, device="meta")
    return node


def _copied(module: fx.GraphModule) -> tuple[fx.Graph, dict[fx.Node, fx.Node]]:
    """A copy of a graph without its output."""
    graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    for node in module.graph.nodes:
        if node.op != "output":
            copies[node] = graph.node_copy(node, copies.__getitem__)
            copies[node].meta = {key: node.meta[key] for key in KEPT_META if key in node.meta}
    return graph, copies


def _results(module: fx.GraphModule) -> Sequence[fx.Node]:
    return cast("Sequence[fx.Node]", module.graph.output_node().args[0])
