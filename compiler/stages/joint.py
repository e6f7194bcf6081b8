"""A stage's joint graph: outputs and gradients for (parameters, state, inputs, output gradients).

The subgraph of a stage runs on fake tensors, then autograd differentiates it; what both call is
written down (tracing.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.node import map_arg
from torch.nn.attention import SDPBackend, sdpa_kernel

from ...backend.errors import UnsupportedError
from ..capture.custom_backward.call import CustomCall
from ..capture.recurrent_layers import step_by_step
from ..capture.tracing import Trace
from ..plan.program import TensorSpec
from .decompositions import before_autograd, decompositions

Specs = tuple[TensorSpec, ...]


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


def trace_joint(subgraph: Subgraph) -> tuple[fx.Graph, tuple[bool, ...]]:
    """The joint graph, with a tangent for every output a gradient could arrive at, and which of
    all outputs do have a gradient.

    Its results are (*outputs, *new_forward_state, *parameter_grads, *input_grads,
    *new_backward_state), gradients of those only that need one.
    """
    trace = Trace(decompositions())
    with FakeTensorMode(), torch.enable_grad():
        arguments = _Arguments.of(subgraph)
        for role, values in vars(arguments).items():
            for number, value in enumerate(values, 1):
                trace.placeholder(f"{role}_{number}", value)
        with trace:
            results = _run(subgraph.module.graph, arguments.of_forward, trace)
            outputs = results[: len(subgraph.outputs)]
            is_read = subgraph.output_is_read
            gradients = _gradients(outputs, is_read, arguments, trace)
    flags = zip(outputs, is_read, strict=True)
    needs_grad = tuple(value.requires_grad and read for value, read in flags)
    return trace.finish([*results, *gradients]), needs_grad


@dataclass(frozen=True)
class _Arguments:
    """Fake tensors by role, leaves of autograd where they need a gradient; a tangent for each
    output that is read."""

    parameters: list[Tensor]
    forward_state: list[Tensor]
    backward_state: list[Tensor]
    inputs: list[Tensor]
    tangents: list[Tensor]

    @staticmethod
    def of(subgraph: Subgraph) -> _Arguments:
        read = zip(subgraph.outputs, subgraph.output_is_read, strict=True)
        control = subgraph.backward_state
        return _Arguments(
            parameters=_fakes(subgraph.parameters, subgraph.trainable),
            forward_state=_fakes(subgraph.forward_state),
            backward_state=_fakes(control, [True] * len(control)),
            inputs=_fakes(subgraph.inputs, subgraph.input_needs_grad),
            tangents=_fakes([spec for spec, is_read in read if is_read]),
        )

    @property
    def of_forward(self) -> list[Tensor]:
        return [*self.parameters, *self.forward_state, *self.backward_state, *self.inputs]


def _fakes(specs: Sequence[TensorSpec], needed: Sequence[bool] = ()) -> list[Tensor]:
    needed = needed or [False] * len(specs)
    return [
        torch.empty(spec.shape, dtype=spec.torch_dtype, requires_grad=needs_grad)
        for spec, needs_grad in zip(specs, needed, strict=True)
    ]


def _run(graph: fx.Graph, arguments: Sequence[Tensor], trace: Trace) -> list[Tensor]:
    """What the graph returns, attention written out as products and a soft-max."""
    given = iter(arguments)
    values: dict[fx.Node, Any] = {}
    with sdpa_kernel(SDPBackend.MATH):
        for node in graph.nodes:
            if node.op == "placeholder":
                values[node] = next(given)
            elif node.op == "call_function":
                trace.origin = node.meta.get("origin")
                values[node] = _called(node, values, trace)
    trace.origin = None
    return [values[node] for node in graph.output_node().args[0]]  # type: ignore[union-attr]


def _called(node: fx.Node, values: dict[fx.Node, Any], trace: Trace) -> Any:
    """The value of a node; what fails says where it comes from."""
    args: Any
    args, named = map_arg((node.args, node.kwargs), values.__getitem__)
    target: Any = step_by_step().get(node.target, node.target)
    target = before_autograd(target) or target
    if isinstance(target, CustomCall):
        for foreign, value in target.stand_ins(args):
            trace.stand_in(foreign, value)
    try:
        return target(*args, **named)
    except (RuntimeError, NotImplementedError, TypeError, ValueError, IndexError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UnsupportedError(
            f"tracing {node.meta.get('origin') or node.name}",
            expected="an operator that torch can trace and differentiate on one sample",
            got=f"{node.target}: {reason[0]}",
            change="express this line of the model with other operators",
        ) from error


def _gradients(
    outputs: Sequence[Tensor], is_read: Sequence[bool], arguments: _Arguments, trace: Trace
) -> list[Tensor]:
    """Gradients of (parameters, inputs) that need one, then the new backward state."""
    arriving = [value for value, read in zip(outputs, is_read, strict=True) if read]
    pairs = zip(arriving, arguments.tangents, strict=True)
    pairs = [(value, tangent) for value, tangent in pairs if value.requires_grad]
    leaves = [v for v in (*arguments.parameters, *arguments.inputs) if v.requires_grad]
    wanted = [*leaves, *arguments.backward_state]
    found: Sequence[Tensor | None] = [None] * len(wanted)
    if pairs and wanted:
        reached, tangents = zip(*pairs, strict=True)
        trace.number_backward(reached)
        found = _differentiate(reached, wanted, tangents)
    defaults = [torch.zeros_like] * len(leaves) + [_unchanged] * len(arguments.backward_state)
    return [
        default(value) if gradient is None else gradient
        for value, gradient, default in zip(wanted, found, defaults, strict=True)
    ]


def _unchanged(state: Tensor) -> Tensor:
    return state


def _differentiate(
    reached: Sequence[Tensor], wanted: Sequence[Tensor], tangents: Sequence[Tensor]
) -> tuple[Tensor | None, ...]:
    try:
        return torch.autograd.grad(reached, wanted, tangents, allow_unused=True)
    except (RuntimeError, NotImplementedError) as error:
        raise UnsupportedError(
            "tracing the backward of a stage",
            expected="operators that torch can differentiate on one sample",
            got=str(error).strip().splitlines()[0],
            change="express the model's use of this operator with others",
        ) from error
