"""The whole path in one function that reads as a sentence."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from torch import Tensor, nn

from ..backend.errors import InfeasibleError
from .capture.capture import Capture, own_tensors
from .capture.graph import Graph
from .capture.masks_in_force import by_first_name, first_names, masks_in_force
from .capture.sample import Loss, OneSample, Sample, apart
from .driver import Driver, PassRun, ignore, pass_name
from .emit.emit import Emit, Labels
from .fit.fit import fit, report
from .fit.fitted_recipe import fitted_recipe
from .fit.setting import Fitting, Limits, Setting
from .mapping.apart import check_apart
from .mapping.map import Map
from .mapping.pricing import Known
from .place.balance import Balance
from .place.place import Place
from .place.share import Share, Sharing
from .plan.document import Granularity, LeverRecord, Mappings
from .plan.plan import Plan
from .plan.program import Stages
from .plan.stage_record import Tiling
from .plan.training import Mask, Training
from .stages.coarsen import Coarsen
from .stages.cut import Cut
from .stages.group import Group
from .stages.group_updates import GroupUpdates
from .stages.kept.keeping import ActivationKeeping
from .stages.kept.off_wafer import OffWafer
from .stages.kept.pack_saved import Packing, PackSaved
from .stages.kept.reversible import Reversible
from .stages.last_stage import check_heads, states_of_heads
from .stages.recompute import Recompute
from .stages.tied_stages import ties_of
from .targets.load import load_target
from .targets.target import Target
from .witness.inverses import check_inverses
from .witness.witness import Verdict, Witness

_ORDER = (
    *(Capture, Group, GroupUpdates, Coarsen, Cut, Reversible, Recompute, PackSaved, OffWafer),
    *(Witness, Share, Map, Place, Balance, Emit),
)
PASSES = {pass_name(kind): kind for kind in _ORDER}
"""Every pass by its name, which is that of its file, in the order of the pipeline."""


@dataclass(frozen=True)
class Options:
    """How to compile.

    `masks` maps parameter names to boolean tensors, True where a weight is kept, or to a share of
    weights that are zero, whose places are then random; those of `dynamic` parameters will change
    while training. Without any, those that a Sparsifier has in force on the model are taken, of a
    model on the meta device by their share.
    `optimizer_states` is the number of state tensors the optimizer keeps per parameter (1 for
    SGD with momentum, 2 for AdamW); `matrix_rule` and `by_element` are those of `Training`.
    `tilings` says how stages are mapped whose module matches a glob; the mapper chooses for the
    others, of all `mappings` or of those in which products run in sequence ("2021"), and which take
    at most `pe_memory` bytes of a PE. `loads` are the shares of rows that go to each expert of a
    mixture, see `Training`.
    A stage is what `granularity` says, except that each module which one of the globs `stages`
    matches ("layers.*") is one; with `recompute` stages do their forward again in the backward
    where that saves memory, with `reversible` those of reversible layers keep nothing, but for
    every `anchor_every`-th layer, if it is not 0; `packing` 'int8' or 'fp8' keeps what is saved in
    8 bits, and stages with a delay of at least `off_wafer` (if it is not 0) keep it with the host
    (docs/stages.md). `limits` are those of granularity 'auto'. With `fit` 'auto' reversible stages,
    recompute, coarser stages, FIFOs off the wafer and more wafers are tried in this order until the
    model fits. With `witness` the model itself is run once and held against its stages;
    `witness_model` is run in its place, if it is too large or has no weights (docs/models.md). For
    `place_seconds` a faster placement with shorter wires is searched for. `recipe` is stored in the
    plan as it is. `on_begin` is told the name of each pass as it begins, `on_end` what it made and
    what that took.
    """

    masks: Mapping[str, Mask] = field(default_factory=dict)
    dynamic: Collection[str] = ()
    optimizer_states: int = 1
    matrix_rule: str | None = None
    by_element: tuple[str, ...] | None = None
    tilings: Mapping[str, Tiling] = field(default_factory=dict)
    granularity: Granularity = "finest"
    stages: tuple[str, ...] = ()
    recompute: bool = False
    reversible: bool = False
    anchor_every: int = 0
    packing: Packing | None = None
    off_wafer: int = 0
    limits: Limits = field(default_factory=Limits)
    fit: Literal["auto"] | None = None
    mappings: Mappings = "all"
    pe_memory: int | None = None
    loads: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    witness: bool = True
    witness_model: nn.Module | None = None
    place_seconds: float = 0.0
    name: str | None = None
    recipe: Mapping[str, object] = field(default_factory=dict)
    on_begin: Callable[[str], None] = ignore
    on_end: Callable[[PassRun], None] = ignore

    @property
    def training(self) -> Training:
        """What mapping and memory depend on."""
        return Training(
            self.masks,
            frozenset(self.dynamic),
            self.optimizer_states,
            self.matrix_rule,
            self.by_element,
            self.tilings,
            in_sequence=self.mappings == "2021",
            apart=self.mappings == "apart",
            loads=self.loads,
            pe_memory=self.pe_memory,
        )

    @property
    def keeping(self) -> ActivationKeeping:
        """What stages keep for their backward."""
        return ActivationKeeping(
            *(self.recompute, self.reversible, self.anchor_every, self.packing, self.off_wafer)
        )

    @property
    def driver(self) -> Driver:
        """Runs passes and tells `on_begin` and `on_end`."""
        return Driver(self.on_begin, self.on_end)


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
    if options.mappings == "apart":
        check_apart(load_target(target) if isinstance(target, str) else target)
    graph = options.driver(Capture(loss), model, example_inputs)
    options = with_masks_of(model, graph, options)
    tensors = {**graph.constants, **own_tensors(OneSample(model, loss))}
    run = OneSample(options.witness_model or model, loss)
    witness = Witness(run, apart(example_inputs), graph) if options.witness else None
    if witness and (options.reversible or (options.fit and graph.reversible)):
        check_inverses(run, apart(example_inputs))
    return compile_graph(graph, tensors, target, options, witness, states_of_heads(model))


def with_masks_of(model: nn.Module, graph: Graph, options: Options) -> Options:
    """Masks by the graph's names; those in force on the model if none are given."""
    if options.masks:
        masks = by_first_name(model, options.masks)
        return replace(options, masks=masks, dynamic=first_names(model, options.dynamic))
    entries = masks_in_force(model, graph)
    dynamic = frozenset(name for name, entry in entries.items() if entry.is_dynamic)
    shares = {n: e.share_of_zeros for n, e in entries.items()}
    masks = {n: e.mask.cpu() if shares[n] is None else shares[n] for n, e in entries.items()}
    return replace(options, masks=masks, dynamic=dynamic)


def compile_graph(
    graph: Graph,
    tensors: Mapping[str, Tensor],
    target: str | Target,
    options: Options,
    witness: Witness | None = None,
    heads: Collection[str] = (),
) -> Plan:
    """Lower a captured graph; `tensors` are its parameters and buffers by name.

    Those on the meta device and those that are missing are left out of the plan. Its stages are
    held against `witness`, if there is one. The states `heads` may only be the last stage's.
    """
    compiler = GraphCompiler(graph, options)
    if heads:
        check_heads(graph, compiler.fitting.finest(options.reversible), heads)
    chosen = compiler.choose(load_target(target) if isinstance(target, str) else target)
    try:
        return compiler.plan(chosen, tensors, witness)
    except InfeasibleError as error:
        raise report(compiler.fitting, chosen.setting).error() from error


@dataclass(frozen=True)
class Chosen:
    """The setting for a machine, and the levers that were pulled to make it fit."""

    machine: Target
    setting: Setting
    levers: tuple[LeverRecord, ...] = ()


class GraphCompiler:
    """Lowers one captured graph to any number of machines: equal stages are traced once for all,
    priced once for machines that agree in what their prices read, and placed once for those that
    agree in what places read."""

    def __init__(self, graph: Graph, options: Options) -> None:
        self.options, self.training = options, options.training
        self.fitting = Fitting(graph, self.training, options.driver)
        self._cuts: dict[tuple[Coarsen, ActivationKeeping], Stages] = {}
        self.known = Known()

    def choose(self, machine: Target) -> Chosen:
        """The options' setting; with `fit` 'auto' one that fits, or InfeasibleError."""
        setting = _setting(self.options, machine)
        if self.options.fit != "auto":
            return Chosen(machine, setting)
        return Chosen(machine, *fit(self.fitting, setting))

    def plan(
        self,
        chosen: Chosen,
        tensors: Mapping[str, Tensor] = {},
        witness: Witness | None = None,
        run: Driver | None = None,
    ) -> Plan:
        """The plan of a setting, by the options' driver or by `run`. Raises InfeasibleError of the
        stage or wafer that is too small, WitnessError if its stages compute something else than
        the witness."""
        options, setting = self.options, chosen.setting
        run = run or options.driver
        recipe = options.recipe
        if setting.keeping.reversible:
            _say_not_undone(self.fitting.graph)
        if chosen.levers:
            recipe = fitted_recipe(recipe, chosen.machine, setting)
        stages = self.stages(setting)
        verdict = run(witness, self.stages(setting.exact)) if witness else Verdict("off")
        labels = Labels(
            options.name or "model",
            granularity=setting.granularity,
            fit=chosen.levers,
            witness=verdict.level,
            recipe=recipe,
        )
        place = Place(options.place_seconds, self.known)
        target, training = setting.target, self.training
        return lower(stages, target, training, labels, tensors, run, place, self.known)

    def stages(self, setting: Setting) -> Stages:
        """The stages of a setting."""
        return self._cut(self.fitting.coarsening(setting), setting.keeping)

    def stages_for_any_machine(self) -> Stages:
        """As the options want them; granularity 'auto' asks the machine and counts as finest."""
        coarsening = Coarsen(self.options.granularity == "block", self.options.stages)
        return self._cut(coarsening, self.options.keeping)

    def _cut(self, coarsening: Coarsen, keeping: ActivationKeeping) -> Stages:
        if (coarsening, keeping) in self._cuts:
            return self._cuts[coarsening, keeping]
        run, fitting = self.options.driver, self.fitting
        if keeping.off_wafer:
            on_wafer = replace(keeping, off_wafer=0)
            stages = run(OffWafer(keeping.off_wafer), self._cut(coarsening, on_wafer))
        elif keeping.packing is not None:
            stages = run(PackSaved(keeping.packing), self._cut(coarsening, keeping.exact))
        else:
            assignment = run(coarsening, fitting.finest(keeping.reversible))
            stages = run(Cut(fitting.programs), fitting.graph, assignment)
            for step in keeping.passes(fitting.graph):
                stages = run(step, stages)
        self._cuts[coarsening, keeping] = stages
        return stages


def lower(
    stages: Stages,
    target: Target,
    training: Training,
    labels: Labels,
    tensors: Mapping[str, Tensor] = {},
    run: Driver | None = None,
    place: Place | None = None,
    known: Known | None = None,
) -> Plan:
    """The plan of stages: the second half of the sentence, and its only spelling.

    `tensors` are parameters and buffers by name; those that no stage uses are left out. What is
    `known` of other lowerings of this model with this `training` is not priced again.
    """
    run, known = run or Driver(), known or Known()
    shares = run(Share(target, training, known), stages) if ties_of(stages) else Sharing()
    kernels = run(Map(target, training, shares.groups, known), stages)
    placement = run(Balance(training), stages, run(place or Place(), stages, kernels))
    bound = _bound(stages, tensors, training.tensors)
    return run(Emit(labels, training), stages, placement, bound)


def _say_not_undone(graph: Graph) -> None:
    """A warning that names the reversible layers whose stages keep their activations."""
    if graph.not_undone:
        shown = ", ".join(graph.not_undone)
        change = "make them additive updates (AdditiveLayer), each called once per sample"
        text = f"reversible stages: these layers keep their activations: {shown}; {change}"
        warnings.warn(text, stacklevel=4)


def _setting(options: Options, target: Target) -> Setting:
    is_auto = options.granularity == "auto"
    return Setting(
        target=target,
        blocks=options.granularity == "block",
        globs=options.stages,
        limits=options.limits if is_auto else None,
        keeping=options.keeping,
    )


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
