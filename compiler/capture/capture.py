"""Capture: a torch model and its loss become one functional ATen graph.

Uses `torch.export` in non-strict mode, which traces fake tensors: no weight is read, and a model
on the meta device is captured as well as one with real weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, fx, nn
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind, TensorArgument
from torch.nn.modules.batchnorm import _BatchNorm

from ...backend.errors import UnsupportedError, UserError
from ...backend.nn.lora.layers import adapted_paths
from ..plan.program import TensorSpec
from ..plan.program_graph import spec_of
from .custom_backward.insert import insert_calls
from .custom_backward.parameters import hook_parameters
from .export import Traced, export_sample
from .fx_tools import (
    forget_checks,
    forget_copies,
    forget_devices,
    forget_sparse_gradients,
    forget_strides,
)
from .graph import Graph, backward_state_positions
from .guards.module_tree import check_modules
from .mixture_of_experts import routed_experts
from .origin import origin_of
from .randomness import key_random_operators
from .real_rotary import real_rotary
from .recurrent_layers import own_gru, part_layers
from .reversible.halves import join_halves
from .reversible.updates import not_undone, reversible_updates
from .sample import Loss, OneSample, Sample, apart, check_sample
from .unreached import unreached


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
    check_sample(model, example_inputs, loss)
    check_modules(model)
    sample = OneSample(model, loss)
    with training(model):
        _refuse_batch_normalization(model)
        return graph_of(export_sample(sample, apart(example_inputs)), sample)


def graph_of(traced: Traced, sample: OneSample) -> Graph:
    """The graph of an exported sample, with nothing random and no device left in it."""
    graph = hook_parameters(_to_graph(traced, sample), own_tensors(sample))
    graph = key_random_operators(part_layers(graph))
    forget_devices(graph.module.graph)
    _check_scalar_loss(graph)
    return replace(graph, frozen=graph.frozen | unreached(graph))


def own_tensors(sample: OneSample) -> dict[str, Tensor]:
    """Parameters and buffers of a model, and of its loss as 'loss.name', by all their names."""
    found: dict[str, Tensor] = dict(sample.named_parameters(remove_duplicate=False))
    found |= dict(sample.named_buffers(remove_duplicate=False))
    return {own_name(name): value for name, value in found.items()}


def own_name(target: str | None) -> str:
    """The tensor's name in the user's model: `OneSample` added one level."""
    return str(target).removeprefix("model.")


@contextmanager
def training(model: nn.Module) -> Iterator[None]:
    """A model in training mode, as far as its modules are: those in evaluation mode stay so.

    A model that is in evaluation mode as a whole is put in training mode. Afterwards all modules
    are in the mode they came in.
    """
    modes = {module: module.training for module in model.modules()}
    if not model.training:
        model.train()
    try:
        with routed_experts(model), real_rotary(model), own_gru():
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _refuse_batch_normalization(model: nn.Module) -> None:
    for name, module in model.named_modules():
        if isinstance(module, _BatchNorm) and (module.training or module.running_mean is None):
            raise UnsupportedError(
                f"module {name or type(model).__name__}",
                expected="a normalization that is defined for one sample at a time",
                got=f"{type(module).__name__}, which needs the statistics of a batch",
                change='swap it: weft.nn.replace_norms(model, "online"), from the command line'
                " --set normalization.kind=online; or keep it as it is trained: module.eval() in a"
                " model in training mode",
            )


def _to_graph(traced: Traced, sample: OneSample) -> Graph:
    exported, updates = traced.exported, traced.updates
    module, signature = exported.graph_module, exported.graph_signature
    insert_calls(module.graph, traced.calls)
    first_name = _first_names(sample)
    parameters: dict[str, str] = {}
    buffers: dict[str, str] = {}
    inputs: list[str] = []
    for spec in signature.input_specs:
        placeholder = spec.arg.name
        if spec.kind is InputKind.PARAMETER:
            parameters[placeholder] = first_name[own_name(spec.target)]
        elif spec.kind in (InputKind.BUFFER, InputKind.CONSTANT_TENSOR):
            buffers[placeholder] = own_name(spec.target)
        elif isinstance(spec.arg, TensorArgument):
            inputs.append(placeholder)
    results = _user_outputs(exported)
    module.graph.output_node().args = ((*results, *updates.values()),)
    forget_checks(module.graph)
    forget_copies(module.graph)
    forget_sparse_gradients(module.graph)
    _expose_backward_state(module.graph)
    forget_strides(module.graph)
    for node in module.graph.nodes:
        node.meta["origin"] = origin_of(node, strip="model")
    reversible = reversible_updates(sample.model, module.graph)
    left = not_undone(sample.model, reversible, module.graph)
    if reversible:
        join_halves(module.graph)
    return Graph(
        module=module,
        parameters=parameters,
        frozen=_frozen(sample),
        buffers=buffers,
        inputs=tuple(inputs),
        input_specs=_specs(module, inputs),
        state_updates={buffers[name]: node.name for name, node in updates.items()},
        constants={
            own_name(name): value
            for name, value in exported.constants.items()
            if isinstance(value, Tensor)
        },
        loss=results[0].name,
        predictions=tuple(node.name for node in results[1:]),
        reversible=reversible,
        not_undone=left,
        adapted=adapted_paths(sample.model),
    )


def _first_names(sample: OneSample) -> dict[str, str]:
    """Every name of a parameter -> its first: tied parameters have several."""
    first: dict[int, str] = {}
    names: dict[str, str] = {}
    for name, parameter in sample.named_parameters(remove_duplicate=False):
        own = own_name(name)
        names[own] = first.setdefault(id(parameter), own)
    return names


def _frozen(sample: OneSample) -> frozenset[str]:
    parameters = sample.named_parameters(remove_duplicate=False)
    return frozenset(own_name(name) for name, value in parameters if not value.requires_grad)


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


def _user_outputs(exported: ExportedProgram) -> list[fx.Node]:
    """The nodes of the loss and the predictions."""
    kinds = [spec.kind for spec in exported.graph_signature.output_specs]
    results = zip(kinds, exported.graph.output_node().args[0], strict=True)  # type: ignore[arg-type]
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
