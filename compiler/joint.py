"""A stage's program: its joint forward and backward graph, split where the tangents enter.

The subgraph of a stage is traced with `make_fx` over a function that returns outputs and gradients
for (parameters, state, inputs, output gradients); then the graph is parted into what the forward
computes and what the backward computes from the saved values. A value that depends on the
parameters alone is never saved: the backward computes it from the weights it is given.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, fx
from torch._decomp import core_aten_decompositions, get_decompositions
from torch._functorch._aot_autograd.logging_utils import setup_stacktrace_preservation_hooks
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx._lazy_graph_module import _use_lazy_graph_module
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.traceback import preserve_node_meta
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves

from ..backend.errors import UnsupportedError
from .fxgraph import (
    ancestors,
    extract,
    forget_strides,
    is_view,
    packet_name,
    replace_mutations,
    spec_of,
)
from .graph import backward_state_positions
from .program import Origin, TensorSpec
from .recurrent import step_by_step

Specs = tuple[TensorSpec, ...]

_ALSO_DECOMPOSED = (
    torch.ops.aten._native_batch_norm_legit.no_stats,
    torch.ops.aten.native_batch_norm_backward,
)
"""Batch normalization of weights, which is how weight standardization is written."""

_ROW_MAJOR = {"aten.native_group_norm": 1, "aten.native_group_norm_backward": 2}
"""Operator -> how many of its first operands must be laid out in row-major order."""

_DETACH = torch.ops.aten.detach.default
"""Dropped as it is: decomposing the many of them takes a fifth of a trace."""

_IDENTITIES = frozenset({"aten.alias", "aten.detach", "aten.clone", "aten.lift_fresh_copy"})


@dataclass(frozen=True)
class Subgraph:
    """A stage's forward as captured: inputs by role, then what it computes.

    The placeholders of `module` are (*parameters, *forward_state, *backward_state, *inputs); its
    output is (*outputs, *new_forward_state).
    """

    module: fx.GraphModule
    parameters: Specs
    forward_state: Specs
    backward_state: Specs
    inputs: Specs
    outputs: Specs
    input_needs_grad: tuple[bool, ...]
    output_is_read: tuple[bool, ...]
    trainable: tuple[bool, ...]


@dataclass(frozen=True)
class Parts:
    """Forward and backward graphs, the specs of what is saved between them, who needs gradients."""

    forward: fx.GraphModule
    backward: fx.GraphModule
    saved: Specs
    output_needs_grad: tuple[bool, ...]


def split_joint(subgraph: Subgraph) -> Parts:
    """Trace the joint graph of a stage and part it into forward and backward."""
    _let_origins_survive(subgraph.module.graph)
    joint, needs_grad = _trace(subgraph)
    return _Partition(joint, subgraph, needs_grad).parts()


def _let_origins_survive(graph: fx.Graph) -> None:
    """Of a node's own annotations, re-tracing keeps those in `meta["custom"]`."""
    for node in graph.nodes:
        if "origin" in node.meta:
            node.meta["custom"] = {"origin": node.meta["origin"]}


def _fakes(mode: FakeTensorMode, specs: Specs) -> list[Tensor]:
    with mode:
        return [torch.empty(spec.shape, dtype=spec.torch_dtype) for spec in specs]


def _run(subgraph: Subgraph, parameters, forward_state, backward_state, inputs):
    """The subgraph on detached leaves; returns leaves to differentiate for, and the results."""
    leaves = [
        _leaf(value, trained) for value, trained in zip(parameters, subgraph.trainable, strict=True)
    ]
    control = [_leaf(value, True) for value in backward_state]
    arrivals = [
        _leaf(value, needed)
        for value, needed in zip(inputs, subgraph.input_needs_grad, strict=True)
    ]
    flat = [*leaves, *forward_state, *control, *arrivals]
    with sdpa_kernel(SDPBackend.MATH):  # attention written out: products and a soft-max
        results = _Run(subgraph.module).run(*flat)
    count = len(subgraph.outputs)
    return (leaves, control, arrivals), list(results[:count]), list(results[count:])


class _Run(fx.Interpreter):
    """Runs a captured graph; what fails says where it comes from."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.extra_traceback = False  # lines that would be added to the message

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        return super().call_function(step_by_step().get(target, target), args, kwargs)

    def run_node(self, n: fx.Node) -> Any:
        try:
            return super().run_node(n)
        except (RuntimeError, NotImplementedError, TypeError, ValueError, IndexError) as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise UnsupportedError(
                f"tracing {n.meta.get('origin') or n.name}",
                expected="an operator that torch can trace and differentiate on one sample",
                got=f"{n.target}: {reason[0]}",
                change="express this line of the model with other operators",
            ) from error


def _leaf(value: Tensor, needed: bool) -> Tensor:
    return value.detach().requires_grad_(needed)


def _trace(subgraph: Subgraph) -> tuple[fx.GraphModule, tuple[bool, ...]]:
    """The joint graph, with a tangent for every output a gradient could arrive at, and which of
    all outputs do have a gradient."""
    mode = FakeTensorMode()
    arguments = [
        _fakes(mode, specs)
        for specs in (
            subgraph.parameters,
            subgraph.forward_state,
            subgraph.backward_state,
            subgraph.inputs,
            _tangents(subgraph),
        )
    ]
    needs_grad: list[bool] = []
    with mode, preserve_node_meta(), _use_lazy_graph_module(True):  # its code is never run
        graph = make_fx(
            _joint(subgraph, needs_grad),
            decomposition_table=_decompositions(),
            tracing_mode="real",
        )(*arguments)
    return graph, tuple(needs_grad)


def _tangents(subgraph: Subgraph) -> Specs:
    read = zip(subgraph.outputs, subgraph.output_is_read, strict=True)
    return tuple(spec for spec, is_read in read if is_read)


@lru_cache(maxsize=1)
def _decompositions() -> dict[Any, Callable]:
    table = {**core_aten_decompositions(), **get_decompositions(_ALSO_DECOMPOSED)}
    return {operator: found for operator, found in table.items() if operator is not _DETACH}


def _joint(subgraph: Subgraph, needs_grad: list[bool]) -> Callable:
    """The function to trace; it writes down in `needs_grad` which outputs have a gradient."""

    def joint(parameters, forward_state, backward_state, inputs, tangents):
        with torch.enable_grad():
            leaves, outputs, new_state = _run(
                subgraph, parameters, forward_state, backward_state, inputs
            )
            is_read = subgraph.output_is_read
            needs_grad[:] = [
                value.requires_grad and read for value, read in zip(outputs, is_read, strict=True)
            ]
            arriving = [value for value, read in zip(outputs, is_read, strict=True) if read]
            pairs = [pair for pair in zip(arriving, tangents, strict=True) if pair[0].requires_grad]
            gradients = _gradients(pairs, leaves)
        return [value.detach() for value in (*outputs, *new_state)], gradients

    return joint


def _gradients(pairs: list[tuple[Tensor, Tensor]], leaves) -> list[Tensor]:
    """Gradients of (parameters, inputs) that need one, then the new backward state."""
    parameters, control, arrivals = leaves
    wanted = [value for value in (*parameters, *arrivals) if value.requires_grad] + control
    asked = [value for value in wanted if value.requires_grad]
    found: dict[int, Tensor | None] = {}
    if pairs and asked:
        reached, tangents = zip(*pairs, strict=True)
        setup_stacktrace_preservation_hooks([value.grad_fn for value in reached])
        grads = _differentiate(reached, asked, tangents)
        found = {id(value): grad for value, grad in zip(asked, grads, strict=True)}
    kept = {id(value) for value in control}
    return [_or_default(value, found.get(id(value)), id(value) in kept) for value in wanted]


def _differentiate(
    reached: tuple[Tensor, ...], asked: list[Tensor], tangents: tuple[Tensor, ...]
) -> tuple[Tensor | None, ...]:
    try:
        return torch.autograd.grad(reached, asked, tangents, allow_unused=True)
    except (RuntimeError, NotImplementedError) as error:
        raise UnsupportedError(
            "tracing the backward of a stage",
            expected="operators that torch can differentiate on one sample",
            got=str(error).strip().splitlines()[0],
            change="express the model's use of this operator with others",
        ) from error


def _or_default(value: Tensor, gradient: Tensor | None, is_state: bool) -> Tensor:
    """A state no gradient reached stays; any other value no gradient reached has gradient zero."""
    if gradient is not None:
        return gradient
    return value.detach().clone() if is_state else torch.zeros_like(value)


class _Partition:
    """Parts a joint graph: ancestors of the forward results, and the rest."""

    def __init__(
        self, joint: fx.GraphModule, subgraph: Subgraph, needs_grad: tuple[bool, ...]
    ) -> None:
        self.subgraph, self.needs_grad = subgraph, needs_grad
        replace_mutations(joint.graph)
        _drop_identities(joint.graph)
        _lay_row_major(joint.graph)
        _release_backward_state(joint.graph)
        self.nodes = list(joint.graph.nodes)
        _pass_on_origins(self.nodes)
        self._name_placeholders()
        count = len(subgraph.outputs) + len(subgraph.forward_state)
        flat = list(tree_leaves(self.nodes[-1].args[0]))
        self.results, self.gradients = flat[:count], flat[count:]
        self.weights_only = self._weights_only()
        self.forward_nodes = ancestors(self.results)

    def _name_placeholders(self) -> None:
        placeholders = iter([node for node in self.nodes if node.op == "placeholder"])
        sub = self.subgraph

        def take(count: int) -> list[fx.Node]:
            return [next(placeholders) for _ in range(count)]

        self.parameters = take(len(sub.parameters))
        self.forward_state = take(len(sub.forward_state))
        self.backward_state = take(len(sub.backward_state))
        self.inputs = take(len(sub.inputs))
        arriving = take(sum(sub.output_is_read))
        flags = zip(self.needs_grad, sub.output_is_read, strict=True)
        needed = [needs for needs, is_read in flags if is_read]
        self.tangents = [node for node, needs in zip(arriving, needed, strict=True) if needs]

    def _weights_only(self) -> set[fx.Node]:
        """Nodes that depend on parameters and constants alone (parameters included)."""
        found = set(self.parameters)
        for node in self.nodes:
            if node.op == "call_function" and all(arg in found for arg in node.all_input_nodes):
                found.add(node)
        return found

    def _saved(self) -> list[fx.Node]:
        """What the backward reads of the forward, with views of a saved value redone instead."""
        given = {*self.weights_only, *self.backward_state, *self.tangents}
        saved: set[fx.Node] = set()
        seen: set[fx.Node] = set()
        pending = [node for node in self.gradients if isinstance(node, fx.Node)]
        while pending:
            node = pending.pop()
            if node in seen or node in given:
                continue
            seen.add(node)
            if self._is_saved(node):
                saved.add(node)
            else:
                pending.extend(node.all_input_nodes)
        return [node for node in self.nodes if node in saved]

    def _is_saved(self, node: fx.Node) -> bool:
        if node.op == "placeholder":
            return True
        if node.target is operator.getitem:
            return node.args[0] in self.forward_nodes
        return node in self.forward_nodes and not is_view(node)

    def parts(self) -> Parts:
        saved = self._saved()
        forward = extract(
            [*self.parameters, *self.forward_state, *self.inputs], [*self.results, *saved]
        )
        backward = extract(
            [*self.parameters, *self.backward_state, *saved, *self.tangents], self.gradients
        )
        specs = tuple(spec_of(node.meta["val"]) for node in saved)
        return Parts(forward, backward, specs, self.needs_grad)


def _drop_identities(graph: fx.Graph) -> None:
    """Remove what changes nothing in a functional graph: detach, alias, clone; then dead code."""
    for node in list(graph.nodes):
        if packet_name(node) in _IDENTITIES or _keeps_order(node):
            node.replace_all_uses_with(node.all_input_nodes[0])
    forget_strides(graph)
    graph.eliminate_dead_code()


def _lay_row_major(graph: fx.Graph) -> None:
    """Copies for the operators that torch does not run on permuted tensors."""
    for node in list(graph.nodes):
        for operand in node.all_input_nodes[: _ROW_MAJOR.get(packet_name(node), 0)]:
            if not operand.meta["val"].is_contiguous():
                with graph.inserting_before(node):
                    copy = graph.call_function(torch.ops.aten.clone.default, (operand,))
                copy.kwargs = {"memory_format": torch.contiguous_format}
                copy.meta = {**operand.meta, "val": operand.meta["val"].contiguous()}
                node.replace_input_with(operand, copy)


def _keeps_order(node: fx.Node) -> bool:
    """Whether `as_strided` only gives dimensions of size one another stride."""
    if packet_name(node) not in ("aten.as_strided", "aten.as_strided_"):
        return False
    source, result = node.all_input_nodes[0].meta["val"], node.meta["val"]
    strides = zip(source.shape, source.stride(), node.args[2], strict=False)  # type: ignore[arg-type]
    return source.shape == result.shape and all(
        given == asked for size, given, asked in strides if size > 1
    )


def _release_backward_state(graph: fx.Graph) -> None:
    """The forward must not wait for u and v: put the stand-ins in their place."""
    for node in graph.nodes:
        for position, stand_in in backward_state_positions(node).items():
            node.update_arg(position, node.args[stand_in])


def _pass_on_origins(nodes: Sequence[fx.Node]) -> None:
    """Give each node its origin; a backward node has that of the forward node it differentiates."""
    by_sequence: dict[int, Origin] = {}
    for node in nodes:
        sequence = node.meta.get("seq_nr", -1)
        custom = node.meta.get("custom") or {}
        origin = custom.get("origin") or by_sequence.get(sequence)
        if origin is not None:
            node.meta["origin"] = origin
            by_sequence.setdefault(sequence, origin)
