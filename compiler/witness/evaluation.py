"""Forwards for evaluation: what training multiplies with at random has its mean.

    %drawn = weft.uniform(%key, shape)
    %kept = %drawn < 0.9, as float                 ->      0.9 everywhere
    %whole = floor(%drawn + 0.9)                   ->      0.9 everywhere
    %slope = %drawn * 0.2 + 0.1, of a rectifier    ->      0.2 everywhere

So dropout and stochastic depth become the identity (up to rounding: they multiply by 0.9 / 0.9), as
in torch's `model.eval()`. Draws in any other form stay: they are part of what a model predicts.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import fx

from ..plan.program import StageProgram, Stages
from ..plan.program_graph import extract, packet_name

_ATEN = torch.ops.aten


def without_draws(stages: Stages) -> Stages:
    """The stages with forwards whose masks are their means; not meant for training."""
    programs = {stage.program.key: stage.program for stage in stages.stages}
    quiet = {
        key: replace(program, forward=evaluation_forward(program))
        for key, program in programs.items()
    }
    return replace(
        stages,
        stages=tuple(replace(stage, program=quiet[stage.program.key]) for stage in stages.stages),
    )


def evaluation_forward(program: StageProgram) -> fx.GraphModule:
    """The program's forward with means in place of random masks; itself if it has none."""
    uniform = torch.ops.weft.uniform.default
    graph = program.forward.graph
    if not graph.find_nodes(op="call_function", target=uniform):
        return program.forward
    results: Any = graph.output_node().args[0]
    copy = extract(graph.find_nodes(op="placeholder"), results)
    for node in list(copy.graph.nodes):
        mean = _mean(node)
        if mean is not None:
            _fill(node, mean)
        slope = _mean_slope(node)
        if slope is not None:
            _fill_slope(node, slope)
    copy.graph.eliminate_dead_code()
    return copy


def _mean(node: fx.Node) -> Any:
    """The mean of a node that is 1 with some probability and else 0: a number, a node, or None."""
    below = node.all_input_nodes[0] if node.all_input_nodes else node
    if packet_name(node) == "aten._to_copy" and packet_name(below) == "aten.lt":
        is_real = node.meta["val"].dtype.is_floating_point
        return below.args[1] if is_real and _is_drawn(below.args[0]) else None
    if packet_name(node) == "aten.floor" and packet_name(below) == "aten.add":
        drawn = [operand for operand in below.args if _is_drawn(operand)]
        shift = [operand for operand in below.args if not _is_drawn(operand)]
        is_plain = len(drawn) == 1 and not below.kwargs and isinstance(shift[0], float)
        return shift[0] if is_plain else None
    return None


def _mean_slope(node: fx.Node) -> float | None:
    """Of a node that is 1 where something is positive and elsewhere a slope, drawn evenly."""
    if packet_name(node) != "aten.where" or not all(isinstance(a, fx.Node) for a in node.args):
        return None
    arguments: Any = node.args
    positive, one, slope = arguments
    is_one = packet_name(one) == "aten.full_like" and one.args == (slope, 1)
    return _mean_of_draw(slope) if is_one and packet_name(positive) == "aten.gt" else None


def _mean_of_draw(node: Any) -> float | None:
    """Of a draw, or of one times a number plus a number; None of anything else."""
    if _is_drawn(node):
        return 0.5
    name = packet_name(node) if isinstance(node, fx.Node) else ""
    if name not in ("aten.add", "aten.mul"):
        return None
    mean, number = _mean_of_draw(node.args[0]), node.args[1]
    if mean is None or not isinstance(number, int | float):
        return None
    return mean + number if name == "aten.add" else mean * number


def _fill_slope(node: fx.Node, mean: float) -> None:
    """Let a node choose between 1 and a slope that is not drawn."""
    arguments: Any = node.args
    positive, one, slope = arguments
    with node.graph.inserting_before(node):
        kind = {"dtype": slope.meta["val"].dtype}
        filled = node.graph.call_function(_ATEN.full_like.default, (positive, mean), kind)
    filled.meta = dict(slope.meta)
    node.args = (positive, one, filled)


def _is_drawn(node: Any) -> bool:
    """Whether a node is what `weft.uniform` drew, as any type of real number."""
    while isinstance(node, fx.Node) and packet_name(node) == "aten._to_copy":
        node = node.args[0]
    source = node.args[0] if isinstance(node, fx.Node) and node.args else None
    return isinstance(source, fx.Node) and packet_name(source) == "weft.uniform"


def _fill(node: fx.Node, mean: Any) -> None:
    """Make a mask its mean, in its shape and type."""
    value = node.meta["val"]
    if isinstance(mean, fx.Node):
        node.target, node.args = _ATEN.expand.default, (mean, list(value.shape))
        node.kwargs = {}
        return
    node.target, node.args = _ATEN.full_like.default, (node.all_input_nodes[0], float(mean))
    node.kwargs = {"dtype": value.dtype}
