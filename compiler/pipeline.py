"""The whole path in one function that reads as a sentence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from ..backend.errors import InfeasibleError
from .capture.graph import Graph
from .capture.sample import Loss, Sample
from .emit.emit import Labels
from .fit.fit import fit, report
from .fit.fitted_recipe import fitted_recipe
from .fit.setting import Fitting, Limits, Setting
from .passes import Balance, Capture, Coarsen, Cut, Emit, Group, Map, Place, Recompute
from .passes.base import Driver, PassRun, ignore
from .plan.plan import Plan
from .plan.program import Stages
from .stages.coarsen import Granularity
from .stages.group import Assignment
from .targets.load import load_target
from .targets.target import Target


@dataclass(frozen=True)
class Options:
    """How to compile.

    `masks` maps parameter names to boolean tensors, True where a weight is kept; those of
    `dynamic` parameters will change while training.
    `optimizer_states` is the number of state tensors the optimizer keeps per parameter (1 for
    SGD with momentum, 2 for AdamW). A stage is what `granularity` says, except that each module
    which one of the globs `stages` matches ("layers.*") is one; with `recompute` stages do their
    forward again in the backward where that saves memory (docs/stages.md). `limits` are those of
    granularity 'auto'. With `fit` 'auto' recompute, coarser stages and more wafers are tried in
    this order until the model fits. `recipe` is stored in the plan as it is. `on_begin` is told the
    name of each pass as it begins, `on_end` what it made and what that took.
    """

    masks: Mapping[str, Tensor] = field(default_factory=dict)
    dynamic: Collection[str] = ()
    optimizer_states: int = 1
    granularity: Granularity = "finest"
    stages: tuple[str, ...] = ()
    recompute: bool = False
    limits: Limits = field(default_factory=Limits)
    fit: Literal["auto"] | None = None
    name: str | None = None
    recipe: Mapping[str, object] = field(default_factory=dict)
    on_begin: Callable[[str], None] = ignore
    on_end: Callable[[PassRun], None] = ignore


def compile_model(
    model: nn.Module,
    example_inputs: Sample,
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
    options = replace(options, name=options.name or type(model).__name__)
    graph = Driver(options.on_begin, options.on_end)(Capture(loss), model, example_inputs)
    tensors = dict(model.named_parameters(remove_duplicate=False))
    tensors |= dict(model.named_buffers(remove_duplicate=False))
    return compile_graph(graph, {**graph.constants, **tensors}, target, options)


def compile_graph(
    graph: Graph, tensors: Mapping[str, Tensor], target: str | Target, options: Options
) -> Plan:
    """Lower a captured graph; `tensors` are its parameters and buffers by name.

    Those on the meta device and those that are missing are left out of the plan.
    """
    machine = load_target(target) if isinstance(target, str) else target
    masks, states, dynamic = options.masks, options.optimizer_states, options.dynamic
    run = Driver(options.on_begin, options.on_end)
    finest = run(Group(), graph)
    fitting = Fitting(graph, finest, masks, states, dynamic)
    setting, pulled = _setting(options, machine), ()
    if options.fit == "auto":
        setting, pulled = fit(fitting, setting)
    stages = _cut(graph, finest, fitting.coarsening(setting), setting.recompute, run)
    try:
        kernels = run(Map(setting.target, masks, states, dynamic), stages)
        placement = run(Balance(masks, dynamic, states), stages, run(Place(), stages, kernels))
    except InfeasibleError as error:
        raise report(fitting, setting).error() from error
    name = options.name or "model"
    recipe = fitted_recipe(options.recipe, machine, setting) if pulled else options.recipe
    labels = Labels(name, granularity=setting.granularity, fit=pulled, recipe=recipe)
    return run(Emit(labels, masks), stages, placement, _bound(stages, tensors, masks))


def _setting(options: Options, target: Target) -> Setting:
    is_auto = options.granularity == "auto"
    return Setting(
        target=target,
        blocks=options.granularity == "block",
        globs=options.stages,
        limits=options.limits if is_auto else None,
        recompute=options.recompute,
    )


def cut_graph(graph: Graph, options: Options, run: Driver) -> Stages:
    """The stages of a captured graph, as the options want them but for no target in particular:
    granularity 'auto', which asks the target, counts as the finest."""
    coarsening = Coarsen(options.granularity == "block", options.stages)
    return _cut(graph, run(Group(), graph), coarsening, options.recompute, run)


def _cut(
    graph: Graph, finest: Assignment, coarsening: Coarsen, recompute: bool, run: Driver
) -> Stages:
    stages = run(Cut(), graph, run(coarsening, finest))
    return run(Recompute(), stages) if recompute else stages


def _bound(
    stages: Stages, tensors: Mapping[str, Tensor], masks: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The tensors the stages use, pruned; none for a model on the meta device."""
    bound = {name for stage in stages.stages for name in stage.tensors} & tensors.keys()
    return {
        name: _pruned(tensors[name].detach(), masks.get(name))
        for name in sorted(bound)
        if tensors[name].device.type != "meta"
    }


def _pruned(tensor: Tensor, mask: Tensor | None) -> Tensor:
    return tensor if mask is None else torch.where(mask, tensor, 0)
