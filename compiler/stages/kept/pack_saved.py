"""Saved activations in 8 bits: a forward keeps a rounded copy, which its backward reads.

    forward(w, x) -> y, saved h             forward(w, x) -> y, saved q, s   q = h / s in 8 bits
    backward(w, h, grad) -> ...             backward(w, q, s, grad): h = q * s; ...

The forward itself is exact. Consecutive elements form groups, each with a scale of its own, so that
the largest of a group takes the largest number of the format: nothing overflows, and zeros stay
zeros, as masks of activations must (Mesa, arXiv:2111.11124; fp8: COAT, arXiv:2410.19313).
What is small (statistics, state), no real number, or given back to earlier stages stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd
from typing import Any, Literal, cast

import torch
from torch import Tensor, fx

from ...plan.program import StageProgram, Stages, TensorSpec
from ...plan.program_graph import KEPT_META, graph_module, spec_of
from ...plan.program_text import keyed

_ATEN = torch.ops.aten
_LEAST_ELEMENTS = 1024
"""Fewer are statistics, labels and the like. [elements]"""
_TINY = 1e-30
"""The scale of a group of zeros, whatever it is."""

Packing = Literal["int8", "fp8"]


@dataclass(frozen=True)
class _Format:
    dtype: torch.dtype
    largest: float
    group: int


_FORMATS: dict[Packing, _Format] = {
    "int8": _Format(torch.int8, 127.0, 64),
    "fp8": _Format(torch.float8_e4m3fn, 448.0, 16),
}


@dataclass(frozen=True)
class PackSaved:
    """Keep what stages save in 8 bits, by groups of 64 (int8) or 16 elements (fp8).

    before: forward(w, x) -> y, saved h             after: forward(w, x) -> y, saved q, s
            backward(w, h, grad)                           backward(w, q, s, grad): h = q * s; ...
    """

    packing: Packing = "int8"

    def __call__(self, stages: Stages) -> Stages:
        return pack_saved(stages, self.packing)


def pack_saved(stages: Stages, packing: Packing) -> Stages:
    """All stages but the last, whose backward follows its forward at once."""
    made: dict[str, StageProgram] = {}
    form = _FORMATS[packing]
    for stage in stages.stages[:-1]:
        key = stage.program.key
        made.setdefault(key, packed_program(stage.program, form))
    *own, last = stages.stages
    packed = (replace(stage, program=made[stage.program.key]) for stage in own)
    return replace(stages, stages=(*packed, last))


def packed_program(program: StageProgram, form: _Format) -> StageProgram:
    """`program` with its large saved values in 8 bits; itself if it has none."""
    forward, results = _copied(program.forward)
    backward, gradients = _copied(program.backward)
    first = len(results) - len(program.saved)
    exact = _exact(program, forward)
    saved: list[fx.Node] = []
    pairs = zip(results[first:], _saved_arguments(program, backward), program.saved, strict=True)
    for node, argument, spec in pairs:
        group = gcd(spec.elements, form.group)
        if node in exact or not _is_worth_it(spec, group):
            saved.append(node)
        else:
            parts = _pack(forward, node, group, form)
            _unpack(backward, argument, parts)
            saved += parts
    if len(saved) == len(program.saved):
        return program
    forward.output((*results[:first], *saved))
    backward.output(tuple(gradients))
    changed = replace(
        program,
        forward=graph_module(forward),
        backward=graph_module(backward),
        saved=tuple(spec_of(node.meta["val"]) for node in saved),
    )
    return keyed(changed)


def _exact(program: StageProgram, forward: fx.Graph) -> set[fx.Node]:
    """Parameters, state, and inputs that the backward gives back."""
    given = forward.find_nodes(op="placeholder")
    first = len(given) - len(program.inputs)
    return {*given[:first], *(given[first + number] for number in program.rebuilt)}


def _saved_arguments(program: StageProgram, backward: fx.Graph) -> list[fx.Node]:
    first = len(program.parameters) + len(program.backward_state)
    return backward.find_nodes(op="placeholder")[first : first + len(program.saved)]


def _is_worth_it(spec: TensorSpec, group: int) -> bool:
    """Whether a value is of real numbers, large, and smaller in 8 bits with its scales."""
    size = spec.torch_dtype.itemsize
    packed = spec.elements + spec.elements // group * size
    is_real = spec.torch_dtype.is_floating_point
    return is_real and spec.elements >= _LEAST_ELEMENTS and packed < spec.size_bytes


class _Calls:
    """Adds calls to a graph, with the values that they give."""

    def __init__(self, graph: fx.Graph, origin: object) -> None:
        self.graph, self.origin = graph, origin

    def __call__(self, target: Any, *args: Any, **named: Any) -> fx.Node:
        node = self.graph.call_function(target, args, named)
        values = cast("tuple[Any, ...]", fx.map_arg(args, _value))
        node.meta["val"] = target(*values, **named)
        if self.origin is not None:
            node.meta["origin"] = self.origin
        return node


def _pack(graph: fx.Graph, node: fx.Node, group: int, form: _Format) -> tuple[fx.Node, fx.Node]:
    """A value in groups, in 8 bits, and the scale of each group."""
    call = _Calls(graph, node.meta.get("origin"))
    groups = call(_ATEN.reshape.default, node, [_value(node).numel() // group, group])
    largest = call(_ATEN.amax.default, call(_ATEN.abs.default, groups), [1], True)
    scale = call(_ATEN.clamp_min.default, call(_ATEN.mul.Tensor, largest, 1 / form.largest), _TINY)
    share = call(_ATEN.div.Tensor, groups, scale)
    if not form.dtype.is_floating_point:
        share = call(_ATEN.round.default, share)
    inside = call(_ATEN.clamp.default, share, -form.largest, form.largest)
    return call(_ATEN._to_copy.default, inside, dtype=form.dtype), scale


def _unpack(graph: fx.Graph, argument: fx.Node, parts: tuple[fx.Node, fx.Node]) -> None:
    """What reads an argument reads the product of what was kept of it."""
    value, readers = _value(argument), list(argument.users)
    placed = []
    for number, part in enumerate(parts):
        with graph.inserting_before(argument):
            placed.append(graph.placeholder(f"{argument.name}_packed_{number}"))
        placed[-1].meta["val"] = _value(part)
    first = next((node for node in graph.nodes if node.op == "call_function"), None)
    call = _Calls(graph, argument.meta.get("origin"))
    with graph.inserting_before(first) if first else graph.inserting_after(argument):
        wide = call(_ATEN._to_copy.default, placed[0], dtype=value.dtype)
        product = call(_ATEN.mul.Tensor, wide, placed[1])
        whole = call(_ATEN.reshape.default, product, list(value.shape))
    for reader in readers:
        reader.replace_input_with(argument, whole)
    graph.erase_node(argument)


def _value(node: fx.Node) -> Tensor:
    value = cast("Tensor", node.meta["val"])
    return torch.empty(value.shape, dtype=value.dtype, device="meta")


def _copied(module: fx.GraphModule) -> tuple[fx.Graph, list[fx.Node]]:
    """A copy of a graph without its output, and what that returns."""
    graph, copies = fx.Graph(), dict[fx.Node, fx.Node]()
    for node in module.graph.nodes:
        if node.op == "output":
            results = cast("Sequence[fx.Node]", node.args[0])
            return graph, [copies[result] for result in results]
        copies[node] = graph.node_copy(node, copies.__getitem__)
        copies[node].meta = {key: node.meta[key] for key in KEPT_META if key in node.meta}
    raise AssertionError("a graph ends in its output")
