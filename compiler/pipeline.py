"""The whole path in one function that reads as a sentence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from .capture import Loss, capture
from .cut import cut
from .emit import Labels, emit
from .graph import Graph
from .map import map_kernels
from .place.place import place
from .plan.plan import Plan
from .program import Stages
from .targets.load import load_target
from .targets.target import Target


@dataclass(frozen=True)
class Options:
    """How to compile.

    `masks` maps parameter names to boolean tensors, True where a weight is kept.
    `optimizer_states` is the number of state tensors the optimizer keeps per parameter (1 for
    SGD with momentum, 2 for AdamW). `recipe` is stored in the plan as it is. `on_step` is told
    the name of each step as it begins.
    """

    masks: Mapping[str, Tensor] = field(default_factory=dict)
    optimizer_states: int = 1
    name: str | None = None
    recipe: Mapping[str, object] = field(default_factory=dict)
    on_step: Callable[[str], None] | None = None


def compile_model(
    model: nn.Module,
    example_inputs: tuple[Tensor, ...],
    loss: Loss | None = None,
    target: str | Target = "wse2",
    options: Options | None = None,
) -> Plan:
    """Lower a torch model to a dataflow plan for `target`.

    `example_inputs` is one sample (batch dimension 1): the model's inputs and, if `loss` is given,
    the target of `loss(prediction, target)` last. Without `loss` the model returns its own.

    Raises UnsupportedError for a model that cannot be captured or an operator without a cost,
    InfeasibleError for a plan that does not fit, and UserError for other mistakes in the input.
    """
    options = options or Options()
    step = options.on_step or (lambda name: None)
    machine = load_target(target) if isinstance(target, str) else target
    step("capture")
    graph = capture(model, example_inputs, loss)
    step("cut into stages")
    stages = cut(graph)
    step("map kernels")
    kernels = map_kernels(stages, options.masks, machine, optimizer_states=options.optimizer_states)
    step("place")
    placement = place(stages, kernels)
    step("emit")
    labels = Labels(model=options.name or type(model).__name__, recipe=options.recipe)
    return emit(stages, placement, _tensors(model, graph, stages, options), options.masks, labels)


def _tensors(model: nn.Module, graph: Graph, stages: Stages, options: Options) -> dict[str, Tensor]:
    """The tensors the stages use, pruned; none for a model on the meta device."""
    known = dict(graph.constants)
    known |= dict(model.named_parameters(remove_duplicate=False))
    known |= dict(model.named_buffers(remove_duplicate=False))
    bound = {name for stage in stages.stages for name in stage.tensors}
    found = {name: known[name].detach() for name in sorted(bound)}
    return {
        name: _pruned(tensor, options.masks.get(name))
        for name, tensor in found.items()
        if tensor.device.type != "meta"
    }


def _pruned(tensor: Tensor, mask: Tensor | None) -> Tensor:
    return tensor if mask is None else torch.where(mask, tensor, 0)
