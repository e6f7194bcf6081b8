"""Capture: a torch model and its loss become one functional ATen graph.

Uses `torch.export` in non-strict mode, which traces fake tensors: no weight is read, and a model
on the meta device is captured as well as one with real weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind
from torch.utils._pytree import tree_leaves

from ..backend.errors import UnsupportedError, UserError
from .fxgraph import forget_strides, spec_of
from .graph import Graph, backward_state_positions
from .origin import origin_of
from .program import TensorSpec

Loss = Callable[[Any, Tensor], Tensor]


def capture(model: nn.Module, example_inputs: tuple[Tensor, ...], loss: Loss | None) -> Graph:
    """The graph of `loss(model(*example_inputs[:-1]), example_inputs[-1])` in training mode.

    With `loss=None` the model gets all example inputs and returns its own scalar loss, alone or
    first in a tuple. The batch dimension of the example inputs must be 1: weft trains one sample
    at a time. The model is left in the mode it came in.

    Raises UserError for a loss that is not a scalar or inputs that are not single samples, and
    UnsupportedError where torch.export cannot capture the model.
    """
    _check_single_sample(example_inputs)
    with _training(model):
        exported = _export(_Sample(model, loss), example_inputs)
    graph = _to_graph(exported)
    _check_scalar_loss(graph)
    return graph


class _Sample(nn.Module):
    """What happens to one sample: prediction and loss."""

    def __init__(self, model: nn.Module, loss: Loss | None) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, *sample: Tensor) -> tuple[Tensor, ...]:
        if self.loss is None:
            return _tensors(self.model(*sample))
        prediction = self.model(*sample[:-1])
        return (self.loss(prediction, sample[-1]), *_tensors(prediction))


def _tensors(value: Any) -> tuple[Tensor, ...]:
    leaves = tree_leaves(value)
    return tuple(leaf for leaf in leaves if isinstance(leaf, Tensor))


@contextmanager
def _training(model: nn.Module):
    modes = {module: module.training for module in model.modules()}
    model.train()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _export(sample: _Sample, example_inputs: tuple[Tensor, ...]) -> ExportedProgram:
    try:
        exported = torch.export.export(sample, example_inputs, strict=False)
        return exported.run_decompositions({})
    except UserError:
        raise
    except Exception as error:  # torch.export raises many types; all mean "cannot be captured"
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UnsupportedError(
            f"capturing {type(sample.model).__name__}",
            expected="a model torch.export can trace on these example inputs",
            got=f"{type(error).__name__}: {reason[0]}",
            change="run model(*inputs) eagerly with them first; then see the torch.export"
            " documentation on data-dependent control flow",
        ) from error


def _to_graph(exported: ExportedProgram) -> Graph:
    module, signature = exported.graph_module, exported.graph_signature
    parameters: dict[str, str] = {}
    buffers: dict[str, str] = {}
    inputs: list[str] = []
    for spec in signature.input_specs:
        placeholder = spec.arg.name
        if spec.kind is InputKind.PARAMETER:
            parameters[placeholder] = _own_name(spec.target)
        elif spec.kind is InputKind.BUFFER:
            buffers[placeholder] = _own_name(spec.target)
        elif spec.kind is InputKind.CONSTANT_TENSOR:
            buffers[placeholder] = str(spec.target)
        else:
            inputs.append(placeholder)
    updates, results = _outputs(signature.output_specs)
    _expose_backward_state(module.graph)
    forget_strides(module.graph)
    for node in module.graph.nodes:
        node.meta["origin"] = origin_of(node, strip="model")
    return Graph(
        module=module,
        parameters=parameters,
        buffers=buffers,
        inputs=tuple(inputs),
        input_specs=_specs(module, inputs),
        state_updates=updates,
        constants={name: t for name, t in exported.constants.items() if isinstance(t, Tensor)},
        loss=results[0],
        predictions=tuple(results[1:]),
    )


def _expose_backward_state(graph: fx.Graph) -> None:
    """Hand u and v in as they are: a module detaches its buffers, cutting their gradient."""
    for node in graph.nodes:
        for position in backward_state_positions(node):
            node.update_arg(position, _undetached(node.args[position]))
    graph.eliminate_dead_code()


def _undetached(node: Any) -> fx.Node:
    while node.op == "call_function":
        node = node.all_input_nodes[0]
    return node


def _own_name(target: str | None) -> str:
    """The tensor's name in the user's model: `_Sample` added one level."""
    return str(target).removeprefix("model.")


def _outputs(specs: Iterable[Any]) -> tuple[dict[str, str], list[str]]:
    updates: dict[str, str] = {}
    results: list[str] = []
    for spec in specs:
        if spec.kind is OutputKind.BUFFER_MUTATION:
            updates[_own_name(spec.target)] = spec.arg.name
        elif spec.kind is OutputKind.USER_OUTPUT:
            results.append(spec.arg.name)
    return updates, results


def _specs(module: fx.GraphModule, names: Iterable[str]) -> tuple[TensorSpec, ...]:
    nodes: Mapping[str, fx.Node] = {node.name: node for node in module.graph.nodes}
    return tuple(spec_of(nodes[name].meta["val"]) for name in names)


def _check_single_sample(example_inputs: tuple[Tensor, ...]) -> None:
    for position, value in enumerate(example_inputs):
        if value.ndim == 0 or value.shape[0] != 1:
            raise UserError(
                f"example input {position}",
                expected="a single sample: a tensor whose first (batch) dimension is 1",
                got=f"shape {tuple(value.shape)}",
                change="pass one sample, e.g. x[:1]; weft trains at batch size 1",
            )


def _check_scalar_loss(graph: Graph) -> None:
    value = graph.node(graph.loss).meta["val"]
    if value.numel() != 1 or not value.is_floating_point():
        raise UserError(
            "loss",
            expected="a floating-point scalar",
            got=f"shape {tuple(value.shape)}, {value.dtype}",
            change="pass loss=function(prediction, target) that returns a scalar",
        )
