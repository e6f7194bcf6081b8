"""Capture: a torch model and its loss become one functional ATen graph.

Uses `torch.export` in non-strict mode, which traces fake tensors: no weight is read, and a model
on the meta device is captured as well as one with real weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind, TensorArgument
from torch.nn.modules.batchnorm import _BatchNorm

from ...backend.errors import UnsupportedError, UserError
from ..plan.program import TensorSpec
from ..plan.program_graph import spec_of
from .functional import functional_updates
from .fx_tools import forget_checks, forget_copies, forget_devices, forget_strides
from .graph import Graph, backward_state_positions
from .mixture_of_experts import batched_experts
from .origin import origin_of
from .randomness import key_random_operators
from .recurrent_layers import part_layers
from .regions import inline_regions
from .repeats import export_repeated
from .sample import Loss, OneSample, Sample, apart, arguments, check_sample
from .source_lines import lines_noted

Updates = Mapping[str, fx.Node]
"""Placeholder name of a buffer -> the node that computes its next value."""

_CHANGE = (
    "run model(*inputs) eagerly with them first; then see the torch.export documentation on"
    " data-dependent control flow"
)
_ON_TWO_DEVICES = "found two different devices"
_CHANGE_DEVICE = (
    "its code makes a tensor on a device of its own choice: build the model and the inputs on the"
    " CPU instead, or let that line take the device of an input"
)


@dataclass(frozen=True)
class Capture:
    """Trace the model and its loss on one sample, without reading a weight.

    before: class Net(nn.Module):                   after: %x, %target: inputs; %w: "head.weight"
                def forward(self, x):                      %linear = aten.linear(%x, %w)
                    return self.head(x)                    %loss = aten.cross_entropy_loss(%linear,
            loss = F.cross_entropy                                                         %target)
    """

    loss: Loss | None = None

    def __call__(self, model: nn.Module, example_inputs: Sample) -> Graph:
        return capture(model, example_inputs, self.loss)


def capture(model: nn.Module, example_inputs: Sample, loss: Loss | None) -> Graph:
    """The graph of `loss(model(*example_inputs[:-1]), example_inputs[-1])` in training mode.

    Example inputs by keyword are a mapping, with the loss's argument under 'target'. With
    `loss=None` the model gets all example inputs and returns its own scalar loss: alone, first in
    a tuple, or as 'loss' of a mapping. The batch dimension of the example inputs must be 1: weft
    trains one sample at a time. The model is left in the mode it came in.

    Raises UserError for a loss that is not a scalar or inputs that are not single samples, and
    UnsupportedError for batch normalization and where torch.export cannot capture the model.
    """
    check_sample(example_inputs, loss)
    _refuse_batch_normalization(model)
    with _training(model):
        exported, updates = export_sample(OneSample(model, loss), apart(example_inputs))
    return graph_of(exported, updates, model)


def graph_of(exported: ExportedProgram, updates: Updates, model: nn.Module) -> Graph:
    """The graph of an exported sample of `model`, with nothing random and no device left in it."""
    graph = key_random_operators(part_layers(_to_graph(exported, updates, model)))
    forget_devices(graph.module.graph)
    _check_scalar_loss(graph)
    return graph


def _refuse_batch_normalization(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm):
            raise UnsupportedError(
                f"module {name or type(model).__name__}",
                expected="a normalization that is defined for one sample at a time",
                got=f"{type(module).__name__}, which needs the statistics of a batch",
                change='swap it: weft.nn.replace_norms(model, "online")',
            )


def _frozen(model: nn.Module) -> frozenset[str]:
    parameters = model.named_parameters(remove_duplicate=False)
    return frozenset(name for name, parameter in parameters if not parameter.requires_grad)


@contextmanager
def _training(model: nn.Module):
    modes = {module: module.training for module in model.modules()}
    model.train()
    try:
        with batched_experts(model):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def export_sample(sample: OneSample, example_inputs: Sample) -> tuple[ExportedProgram, Updates]:
    """The functional program, and the next value of each placeholder that it updates.

    Raises UnsupportedError where torch.export cannot make one.
    """
    try:
        exported = _exported(sample, example_inputs)
        updates = functional_updates(exported.graph, _buffers(exported))
        if updates is not None:
            return exported, updates
        exported = exported.run_decompositions({})
        return exported, _buffer_mutations(exported)
    except UserError:
        raise
    except Exception as error:  # torch.export raises many types; all mean "cannot be captured"
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise UnsupportedError(
            f"capturing {type(sample.model).__name__}",
            expected="a model torch.export can trace on these example inputs",
            got=f"{type(error).__name__}: {reason[0]}",
            change=_CHANGE_DEVICE if _ON_TWO_DEVICES in reason[0] else _CHANGE,
        ) from error


def _exported(sample: OneSample, example_inputs: Sample) -> ExportedProgram:
    """The training graph; repeated blocks are traced twice only, if that gives the same graph."""
    try:
        return export_repeated(sample, partial(_export, sample, example_inputs))
    except Exception:  # whatever it is, the model may still be one that can be traced as a whole
        return _export(sample, example_inputs)


def _export(sample: OneSample, example_inputs: Sample) -> ExportedProgram:
    with lines_noted():
        exported = torch.export.export(sample, *arguments(example_inputs), strict=False)
    inline_regions(exported.graph_module)
    return exported


def _buffers(exported: ExportedProgram) -> frozenset[str]:
    specs = exported.graph_signature.input_specs
    return frozenset(spec.arg.name for spec in specs if spec.kind is InputKind.BUFFER)


def _buffer_mutations(exported: ExportedProgram) -> Updates:
    signature = exported.graph_signature
    placeholder = {name: key for key, name in signature.inputs_to_buffers.items()}
    return {
        placeholder[str(spec.target)]: node
        for spec, node in zip(signature.output_specs, _results(exported), strict=True)
        if spec.kind is OutputKind.BUFFER_MUTATION and isinstance(node, fx.Node)
    }


def _results(exported: ExportedProgram) -> tuple[Any, ...]:
    return exported.graph.output_node().args[0]  # type: ignore[return-value]


def _to_graph(exported: ExportedProgram, updates: Updates, model: nn.Module) -> Graph:
    module, signature = exported.graph_module, exported.graph_signature
    first_name = _first_names(model)
    parameters: dict[str, str] = {}
    buffers: dict[str, str] = {}
    inputs: list[str] = []
    for spec in signature.input_specs:
        placeholder = spec.arg.name
        if spec.kind is InputKind.PARAMETER:
            parameters[placeholder] = first_name[_own_name(spec.target)]
        elif spec.kind in (InputKind.BUFFER, InputKind.CONSTANT_TENSOR):
            buffers[placeholder] = _own_name(spec.target)
        elif isinstance(spec.arg, TensorArgument):
            inputs.append(placeholder)
    results = _user_outputs(exported)
    module.graph.output_node().args = ((*results, *updates.values()),)
    forget_checks(module.graph)
    forget_copies(module.graph)
    _expose_backward_state(module.graph)
    forget_strides(module.graph)
    for node in module.graph.nodes:
        node.meta["origin"] = origin_of(node, strip="model")
    return Graph(
        module=module,
        parameters=parameters,
        frozen=_frozen(model),
        buffers=buffers,
        inputs=tuple(inputs),
        input_specs=_specs(module, inputs),
        state_updates={buffers[name]: node.name for name, node in updates.items()},
        constants={
            _own_name(name): value
            for name, value in exported.constants.items()
            if isinstance(value, Tensor)
        },
        loss=results[0].name,
        predictions=tuple(node.name for node in results[1:]),
    )


def _first_names(model: nn.Module) -> dict[str, str]:
    """Every name of a parameter -> its first: tied parameters have several."""
    first: dict[int, str] = {}
    names: dict[str, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        names[name] = first.setdefault(id(parameter), name)
    return names


def _expose_backward_state(graph: fx.Graph) -> None:
    """Hand u and v in as they are: a module detaches its buffers, cutting their gradient."""
    owner: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        for position in backward_state_positions(node):
            state = _undetached(node.args[position])
            if owner.setdefault(state, node) is not node:
                raise _used_twice(node)
            node.update_arg(position, state)
    graph.eliminate_dead_code()


def _used_twice(node: fx.Node) -> UnsupportedError:
    return UnsupportedError(
        f"module {origin_of(node, strip='model')}",
        expected="a normalization with streaming statistics that is called once per sample",
        got="a second call, whose statistics would depend on the first one's",
        change="give each call a module of its own",
    )


def _undetached(node: Any) -> fx.Node:
    while node.op == "call_function":
        node = node.all_input_nodes[0]
    return node


def _own_name(target: str | None) -> str:
    """The tensor's name in the user's model: `OneSample` added one level."""
    return str(target).removeprefix("model.")


def _user_outputs(exported: ExportedProgram) -> list[fx.Node]:
    """The nodes of the loss and the predictions."""
    kinds = [spec.kind for spec in exported.graph_signature.output_specs]
    results = zip(kinds, _results(exported), strict=True)
    return [
        node
        for kind, node in results
        if kind is OutputKind.USER_OUTPUT and isinstance(node, fx.Node)
    ]


def _specs(module: fx.GraphModule, names: Iterable[str]) -> tuple[TensorSpec, ...]:
    nodes: Mapping[str, fx.Node] = {node.name: node for node in module.graph.nodes}
    return tuple(spec_of(nodes[name].meta["val"]) for name in names)


def _check_scalar_loss(graph: Graph) -> None:
    value = graph.node(graph.loss).meta["val"]
    if value.numel() != 1 or not value.is_floating_point():
        raise UserError(
            "loss",
            expected="a floating-point scalar",
            got=f"shape {tuple(value.shape)}, {value.dtype}",
            change="pass loss=function(prediction, target) that returns a scalar",
        )
