"""A model under any setting: its stages, their prices, and what they need of the machine."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ..capture.graph import Graph
from ..mapping.choices import Kernels
from ..mapping.pricing import Known, Pricing
from ..place.intervals import pes_least
from ..plan.document import Demand
from ..plan.program import Stages
from ..plan.training import Mask, Training
from ..stages.balanced_runs import balanced_bounds
from ..stages.coarsen import Coarsen
from ..stages.cut import cut
from ..stages.group import Assignment, Group
from ..stages.group_updates import GroupUpdates
from ..stages.kept.keeping import ActivationKeeping
from ..stages.program_cache import CutPrograms
from ..targets.target import Target

BYTES, PES = "bytes per PE", "PEs"


@dataclass(frozen=True)
class Limits:
    """Upper limits for stages cut automatically; None is none.

    `max_delay` is that of the first stage, in updates. `activation_memory` is the share of the
    machine's memory that all activation FIFOs together may take.
    """

    max_stages: int | None = None
    max_delay: int | None = None
    activation_memory: float = 0.5

    @property
    def stages(self) -> float:
        """The most stages: a delay of D updates is one of D / 2 + 1 stages."""
        found = [float("inf")]
        found += [] if self.max_stages is None else [self.max_stages]
        found += [] if self.max_delay is None else [self.max_delay // 2 + 1]
        return min(found)


@dataclass(frozen=True)
class Setting:
    """What a model is compiled with, as far as it decides whether it fits.

    `limits` are those of stages cut automatically, or None. `sparsity` is a share of zeros at
    random in every weight without a mask.
    """

    target: Target
    blocks: bool = False
    globs: tuple[str, ...] = ()
    limits: Limits | None = None
    keeping: ActivationKeeping = field(default_factory=ActivationKeeping)
    sparsity: float = 0.0

    @property
    def exact(self) -> Setting:
        """The same with all that is kept as it was made."""
        return replace(self, keeping=self.keeping.exact)

    @property
    def granularity(self) -> str:
        return "auto" if self.limits else "block" if self.blocks else "finest"


@dataclass(frozen=True)
class _Need:
    """What a setting needs of a chain of any length: bytes of the fullest PE, those that are too
    many in all stages, and PEs if there are none too many."""

    bytes: int
    excess_bytes: int
    pes: int


def _applied(step: Callable[..., Any], *given: Any) -> Any:
    return step(*given)


@dataclass
class Fitting:
    """One captured graph, cut and priced under any setting.

    What was cut, traced or priced once is kept: for each distinct stage of all settings once.
    `run` runs the passes that find the finest stages.
    """

    graph: Graph
    training: Training
    run: Callable[..., Any] = _applied
    programs: CutPrograms = field(default_factory=CutPrograms)
    _finest: dict[bool, Assignment] = field(default_factory=dict)
    _cuts: dict[tuple[Coarsen, ActivationKeeping], Stages] = field(default_factory=dict)
    _known: dict[tuple[str, float], Known] = field(default_factory=dict)
    _kernels: dict[Hashable, Kernels] = field(default_factory=dict)
    _needs: dict[Hashable, _Need] = field(default_factory=dict)

    def finest(self, reversible: bool) -> Assignment:
        """The finest stages, or those with one for each update of a reversible layer."""
        if reversible not in self._finest:
            step = GroupUpdates() if reversible else Group()
            self._finest[reversible] = self.run(step, self.graph)
        return self._finest[reversible]

    def coarsening(self, setting: Setting) -> Coarsen:
        """The pass that merges the finest stages as a setting says.

        Automatic cuts are between blocks if there are enough of them, so that equal runs of equal
        blocks stay equal; else between finest stages.
        """
        plain = Coarsen(setting.blocks, setting.globs)
        if setting.limits is None:
            return plain
        in_blocks = Coarsen(True, setting.globs)
        finest = self.finest(setting.keeping.reversible)
        if setting.limits.stages <= len(in_blocks(finest).modules):
            plain = in_blocks
        bounds = _bounds(self.pricing(setting, plain), setting.limits)
        return replace(plain, bounds=bounds)

    def stages(self, setting: Setting, coarsening: Coarsen | None = None) -> Stages:
        """The stages of a setting, or of its stages merged otherwise."""
        merging = coarsening or self.coarsening(setting)
        key = merging, setting.keeping
        if key not in self._cuts:
            assignment = merging(self.finest(setting.keeping.reversible))
            stages = cut(self.graph, assignment, programs=self.programs)
            for step in setting.keeping.passes(self.graph):
                stages = step(stages)
            self._cuts[key] = stages
        return self._cuts[key]

    def pricing(self, setting: Setting, coarsening: Coarsen | None = None) -> Pricing:
        """Prices of the stages of a setting."""
        stages = self.stages(setting, coarsening)
        training = replace(self.training, masks=self._masks(stages, setting))
        known = self._known.setdefault((_machine(setting), setting.sparsity), Known())
        return Pricing(stages, setting.target, training, known)

    def kernels(self, setting: Setting) -> Kernels:
        """All choices of each stage; found once for chains of any length on which stages are cut
        alike. Every stage must fit."""
        key = self._priced_as(setting)
        if key not in self._kernels:
            pricing = self.pricing(setting)
            stages = pricing.stages.stages
            kernels = tuple(pricing.stage_kernel(stage) for stage in stages)
            on_columns = self.training.in_sequence
            self._kernels[key] = Kernels(setting.target, kernels, features_on_columns=on_columns)
        return replace(self._kernels[key], target=setting.target)

    def demand(self, setting: Setting) -> Demand:
        """What the stages of a setting need in their smallest form."""
        key = self._priced_as(setting)
        if key not in self._needs:
            self._needs[key] = self._need(setting)
        need, capacity = self._needs[key], self.training.bytes_of(setting.target)
        if need.excess_bytes:
            return Demand(need.bytes, capacity, BYTES, need.excess_bytes)
        bound = setting.target.all_pes
        return Demand(need.pes, bound, PES, max(0, need.pes - bound))

    def _need(self, setting: Setting) -> _Need:
        pricing, capacity = self.pricing(setting), self.training.bytes_of(setting.target)
        least = [pricing.least_bytes(stage) for stage in pricing.stages.stages]
        excess = sum(max(0, amount - capacity) for amount in least)
        return _Need(max(least), excess, 0 if excess else pes_least(self.kernels(setting)))

    def _priced_as(self, setting: Setting) -> Hashable:
        """Equal for settings with the same prices. More wafers hold more FIFOs, so where these are
        limited a longer chain may have other stages."""
        merging = self.coarsening(setting)
        return merging, setting.keeping, setting.sparsity, _machine(setting)

    def _masks(self, stages: Stages, setting: Setting) -> Mapping[str, Mask]:
        if not setting.sparsity:
            return self.training.masks
        weights = {
            name: setting.sparsity
            for stage in stages.stages
            for name, spec in zip(stage.parameters, stage.program.parameters, strict=True)
            if len(spec.shape) > 1
        }
        return {**weights, **self.training.masks}


def _bounds(pricing: Pricing, limits: Limits) -> tuple[int, ...]:
    stages, target = pricing.stages.stages, pricing.target
    return tuple(
        balanced_bounds(
            [pricing.least_pe_cycles(stage) for stage in stages],
            [stage.program.saved_bytes for stage in stages],
            int(min(limits.stages, len(stages))),
            limits.activation_memory * target.all_pes * target.capacity_bytes,
        )
    )


def _machine(setting: Setting) -> str:
    """The machine, whatever the length of its chain."""
    return setting.target.with_wafers(1, "").hash
