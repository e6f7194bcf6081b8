"""Mixed precision: what is rounded to bfloat16, and where. Every executor runs what this makes.

    Stages --in_bfloat16--> Stages

- The operands and the result of every product (matrix products, convolutions) are bfloat16.
- What leaves a stage is bfloat16: outputs, gradients of inputs, and what its forward saves for its
  backward; so that is what all FIFOs hold.
- All else inside a stage is float32, and so are parameters (stashed ones too) and their gradients,
  hence optimizer state, and normalization state.
- Statistics stay float32 where they are saved: the sums a stage makes and what a normalization
  gives beside its result. They are few, and the backward subtracts them from what is close to them.
- So does all that the stage of the loss gives and saves: it is read in the same tick.
- Inputs from the host keep their type.
- So do streams of reversible layers, which are rebuilt from what left a stage: a chain in bfloat16
  loses a tenth of its input after 54 blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import fx
from torch.utils._pytree import tree_map

from ...backend.errors import UserError
from ...compiler.plan.program import HOST, Source, Stage, StageProgram, Stages, TensorSpec
from ...compiler.plan.program_graph import KEPT_META, graph_module, is_view, packet_name
from ...compiler.plan.program_text import keyed
from .statistics import statistics

PRODUCTS = frozenset(
    {
        "aten.mm",
        "aten.bmm",
        "aten.addmm",
        "aten.baddbmm",
        "aten.convolution",
        "aten.convolution_backward",
        "weft.routed_mm",
        "weft.routed_mm_weight",
    }
)
_WIDE, _NARROW = torch.float32, torch.bfloat16
_CAST = torch.ops.aten._to_copy.default


def in_precision(stages: Stages, precision: Literal["float32", "bfloat16"] | None) -> Stages:
    """`stages` as `training.precision` wants them; None leaves them as they are.

    Raises UserError unless all parameters are float32.
    """
    if precision is not None:
        _check_parameters(stages)
    return in_bfloat16(stages) if precision == "bfloat16" else stages


def activation_type(stages: Stages) -> str:
    """The type of the real numbers that stages pass on; of the loss where there is one stage."""
    outputs = [spec for stage in stages.stages for spec in stage.program.outputs]
    return next(spec.dtype for spec in outputs if spec.torch_dtype.is_floating_point)


def _check_parameters(stages: Stages) -> None:
    for stage in stages.stages:
        for name, spec in zip(stage.parameters, stage.program.parameters, strict=True):
            if spec.dtype != "float32":
                raise UserError(
                    f"training.precision, parameter '{name}'",
                    expected="a plan whose parameters are float32",
                    got=spec.dtype,
                    change="compile the model in float32, or leave training.precision out",
                )


def in_bfloat16(stages: Stages) -> Stages:
    """`stages` of float32 in mixed precision."""
    made: dict[object, StageProgram] = {}
    return replace(stages, stages=tuple(_rounded(stages, stage, made) for stage in stages.stages))


def _rounded(stages: Stages, stage: Stage, made: dict[object, StageProgram]) -> Stage:
    """The stage in mixed precision; equal programs at equal places are made once."""
    is_loss = stage.index == stages.loss.stage
    outputs = (Source(stage.index, number) for number, _ in enumerate(stage.program.outputs))
    wide = _Wide(
        tuple(source.stage == HOST or source in stages.rebuilt for source in stage.inputs),
        tuple(is_loss or source in stages.rebuilt for source in outputs),
        is_loss,
    )
    key = stage.program.key, wide
    if key not in made:
        made[key] = _program(stage.program, wide)
    return replace(stage, program=made[key])


@dataclass(frozen=True)
class _Wide:
    """Which inputs and outputs of a stage keep their type, and whether all that it saves does."""

    inputs: tuple[bool, ...]
    outputs: tuple[bool, ...]
    saved: bool


def _program(program: StageProgram, wide: _Wide) -> StageProgram:
    inputs, outputs = (
        tuple(spec if is_wide else _narrow(spec) for spec, is_wide in zip(specs, own, strict=True))
        for specs, own in ((program.inputs, wide.inputs), (program.outputs, wide.outputs))
    )
    saved = tuple(
        spec if wide.saved or is_kept else _narrow(spec)
        for spec, is_kept in zip(program.saved, _kept_wide(program), strict=True)
    )
    of = {"output": outputs, "input": inputs}
    trained = _those(program.parameters, program.trainable)
    forward = _rewritten(
        program.forward,
        (*program.parameters, *program.forward_state, *inputs),
        (*outputs, *program.forward_state, *saved),
    )
    backward = _rewritten(
        program.backward,
        (
            *(*program.parameters, *program.backward_state, *saved),
            *_those(outputs, program.output_needs_grad),
            *(of[kind][number] for kind, number in program.arriving),
        ),
        (
            *(*trained, *_those(inputs, program.input_needs_grad), *program.backward_state),
            *(inputs[number] for number in program.rebuilt),
        ),
    )
    narrow = replace(
        program, forward=forward, backward=backward, inputs=inputs, outputs=outputs, saved=saved
    )
    return keyed(narrow)


def _kept_wide(program: StageProgram) -> list[bool]:
    """Of each saved value, whether it is a statistic, or an input that is given back."""
    inputs = program.forward.graph.find_nodes(op="placeholder")[-len(program.inputs) :]
    results: Any = program.forward.graph.output_node().args[0]
    given_back = {inputs[number] for number in program.rebuilt}
    saved = results[len(results) - len(program.saved) :]
    pairs = zip(saved, statistics(program), strict=True)
    return [is_statistic or node in given_back for node, is_statistic in pairs]


def _narrow(spec: TensorSpec) -> TensorSpec:
    return replace(spec, dtype="bfloat16") if spec.dtype == "float32" else spec


def _those(specs: Sequence[TensorSpec], chosen: Sequence[bool]) -> list[TensorSpec]:
    return [spec for spec, is_chosen in zip(specs, chosen, strict=True) if is_chosen]


def _rewritten(
    module: fx.GraphModule, taken: Sequence[TensorSpec], given: Sequence[TensorSpec]
) -> fx.GraphModule:
    """The graph with arguments `taken` and results `given`, and narrow products within."""
    casts, specs = _Casts(fx.Graph()), iter(taken)
    known: dict[fx.Node, fx.Node] = {}
    for node in module.graph.nodes:
        if node.op == "output":
            results: Any = node.args[0]
            rounded = [
                casts.to(known[result], spec.torch_dtype)
                for result, spec in zip(results, given, strict=True)
            ]
            casts.graph.output(tuple(rounded))
        elif node.op == "placeholder":
            known[node] = casts.placeholder(node, next(specs).torch_dtype)
        else:
            known[node] = casts.call(node, known)
    return graph_module(casts.graph)


class _Casts:
    """A graph in the making: its casts between the two types, each made once."""

    def __init__(self, graph: fx.Graph) -> None:
        self.graph = graph
        self._narrow: dict[fx.Node, fx.Node] = {}

    def placeholder(self, node: fx.Node, dtype: torch.dtype) -> fx.Node:
        """An argument of type `dtype`, and what the graph computes with: float32 if it is real."""
        new = self.graph.node_copy(node)
        new.meta = {**_meta(node), "val": _as(node.meta["val"], dtype)}
        return self._widened(new)

    def call(self, node: fx.Node, known: dict[fx.Node, fx.Node]) -> fx.Node:
        """A call; the operands and results of a product are narrow."""
        if packet_name(node) not in PRODUCTS:
            new = self.graph.node_copy(node, known.__getitem__)
            is_part = isinstance(node.meta["val"], torch.Tensor) and _is_part_of_product(node)
            value = _as(node.meta["val"], _NARROW) if is_part else node.meta["val"]
            new.meta = {**_meta(node), "val": value}
            return self._widened(new) if is_part else new
        new = self.graph.node_copy(node, lambda used: self.to(known[used], _NARROW))
        new.meta = {**_meta(node), "val": tree_map(lambda v: _as(v, _NARROW), node.meta["val"])}
        return self._widened(new) if isinstance(new.meta["val"], torch.Tensor) else new

    def to(self, node: fx.Node, dtype: torch.dtype) -> fx.Node:
        """`node` as `dtype`; what is neither of the two types stays as it is."""
        value = node.meta["val"]
        if dtype != _NARROW or value.dtype != _WIDE:
            return node
        if node not in self._narrow:
            rounded = self._view(node) if is_view(node) else self._cast(node, _NARROW)
            self._narrow[node] = rounded
        return self._narrow[node]

    def _view(self, node: fx.Node) -> fx.Node:
        """The view of the rounded operand: a transpose stays next to the product that reads it."""
        operand = self.to(node.all_input_nodes[0], _NARROW)
        new = self.graph.node_copy(node, lambda _: operand)
        new.meta = {**node.meta, "val": _as(node.meta["val"], _NARROW)}
        return new

    def _widened(self, node: fx.Node) -> fx.Node:
        """`node` as float32, remembering that rounding this gives `node` again."""
        if node.meta["val"].dtype != _NARROW:
            return node
        wide = self._cast(node, _WIDE)
        self._narrow[wide] = node
        return wide

    def _cast(self, node: fx.Node, dtype: torch.dtype) -> fx.Node:
        new = self.graph.call_function(_CAST, (node,), {"dtype": dtype})
        new.meta = {**node.meta, "val": _as(node.meta["val"], dtype)}
        return new


def _is_part_of_product(node: fx.Node) -> bool:
    """Whether a node takes one result of a product with several, a convolution's backward."""
    source = node.all_input_nodes[0] if node.all_input_nodes else None
    return source is not None and packet_name(node) == "" and packet_name(source) in PRODUCTS


def _as(value: Any, dtype: torch.dtype) -> Any:
    """A fake tensor as `dtype`, unless it holds no real numbers."""
    is_real = isinstance(value, torch.Tensor) and value.dtype in (_WIDE, _NARROW)
    return value.to(dtype) if is_real else value


def _meta(node: fx.Node) -> dict[str, Any]:
    return {key: node.meta[key] for key in KEPT_META if key in node.meta}
