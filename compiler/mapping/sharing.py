"""Prices of several stages on one region, in which the weights that they tie lie once.

The stages take turns, so their cycles add up, as does what they hold; they have their workspace in
the same place. The region has one tiling: one of the stage that multiplies with the tied weight,
whose table then lies as a weight does, or the other way round. Versions and gradients that are on
their way from one of the stages to another rest where the weight lies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..kernels import linear
from ..kernels.held.memory import Post
from ..kernels.layout import StageLayout, WeightMatrix, find_layout
from ..kernels.nonzeros import WeightTiles
from ..kernels.optimizer import UpdateStep
from ..kernels.roles import operator_of, tensors_of
from ..kernels.stage import StageTable, price_stage, stage_tilings
from ..machine.arrays import Ints
from ..machine.tilings import MULTICAST, Tilings
from ..plan.infeasible import InfeasibleReport
from ..plan.program import Source, Stages
from ..plan.training import Training
from ..stages.tied_stages import ResidentStage, can_lend, resident, ties_of
from ..targets.target import Target
from .choices import Choice, LazyChoices, Sizes, StageKernel
from .pareto import pareto
from .pricing import GroupKernels, Known, choice_at, post_of


@dataclass(frozen=True)
class SharedGroup:
    """Stages on one region, which lies at the place of stage `at` in the pipeline."""

    stages: tuple[int, ...]
    at: int


def can_share(stages: Stages, group: Sequence[int], training: Training) -> bool:
    """Whether all weights that the group ties are matrices of plain products, with out features
    first as linear layers have them, or look-ups, and no mask is on any weight of it: where a mask
    is, each of the stages has its own order of features. Stages of reversible layers do not share.
    """
    if any(name in training.masks for n in group for name in stages.stages[n].parameters):
        return False
    own = [stages.stages[n] for n in group]
    if not can_lend(stages, group):
        return False
    if any(training.tiling_of(stage) for stage in own):
        return False
    if any(stage.program.arriving or stage.program.rebuilt for stage in own):
        return False
    found = [_User.of(resident(stages, group, number)) for number in group]
    axes = _axes(found) if all(user.is_plain for user in found) else {}
    return bool(axes) and all(m.in_axis == 1 and m.in_positions for m in axes.values())


def shared_kernel(
    stages: Stages,
    group: SharedGroup,
    target: Target,
    training: Training,
    passing: Sequence[int],
    known: Known | None = None,
) -> StageKernel:
    """The Pareto set of a group, priced once for all places that it may lie at.

    Raises InfeasibleError if no tiling of it fits a PE's memory.
    """
    passed = tuple(passing[number] for number in group.stages)
    own = id(stages), group.stages, passed, training.pe_memory
    found = (known or Known()).groups(
        own, target, lambda one: _priced_group(stages, group.stages, one, training, passing)
    )
    at = group.stages.index(group.at)
    return replace(found.kernels[at], guests=(*found.kernels[:at], *found.kernels[at + 1 :]))


def _priced_group(
    stages: Stages,
    members: Sequence[int],
    target: Target,
    training: Training,
    passing: Sequence[int],
) -> GroupKernels:
    users = [_User.of(resident(stages, members, number)) for number in members]
    posts = [post_of(stages, number, passing) for number in members]
    ways = [
        _priced(stages, members, users, posts, target, training, turned) for turned in (False, True)
    ]
    height, width, interval, held, streams = (
        np.concatenate(column) for column in zip(*map(_sizes, ways), strict=True)
    )
    most = training.bytes_of(target)
    fits = np.flatnonzero(held <= most)
    if not len(fits):
        raise _report(stages, members, target, int(held.min()), most).error()
    kept = fits[pareto(height[fits], width[fits], interval[fits])]
    sizes = Sizes(*(of[kept] for of in (height, width, interval, held, streams)))
    kernels = tuple(
        StageKernel(number, LazyChoices(sizes, _maker(ways, user, kept)))
        for user, number in enumerate(members)
    )
    size_bytes = sum(table.size_bytes for way in ways for table in way.tables)
    return GroupKernels(stages, kernels, size_bytes)


@dataclass(frozen=True)
class _Way:
    """A group under many tilings with its weights lying one way: a table of each stage, and what
    rests between it and later ones."""

    users: Sequence[_User]
    posts: Sequence[Post]
    tilings: Tilings
    tables: Sequence[StageTable]
    rings: Sequence[Ints]

    def choice(self, user: int, index: int) -> Choice:
        """One tiling of one of the stages."""
        stage = self.users[user].resident.stage
        choice = choice_at(self.tables[user], index, self.posts[user], stage)
        fifo = choice.memory.skip_fifo_bytes + int(self.rings[user][index])
        return replace(choice, memory=replace(choice.memory, skip_fifo_bytes=fifo))


def _priced(
    stages: Stages,
    group: Sequence[int],
    users: Sequence[_User],
    posts: Sequence[Post],
    target: Target,
    training: Training,
    turned: bool,
) -> _Way:
    """The group with tied weights as their products have them, or `turned`: in features over the
    columns of PEs, so that a region is wide where it was high."""
    axes = {name: _turned(m) if turned else m for name, m in _axes(users).items()}
    lead = next(user for user in users if user.products)
    ends = lead.layout.in_features, lead.layout.out_features
    into, out = ends[::-1] if turned else ends
    tilings = stage_tilings(replace(lead.layout, in_features=into, out_features=out), target)
    tilings = tilings.where(tilings.algorithm == MULTICAST)
    step = UpdateStep.of(training, stages)
    rest = tilings, target, step, training.in_sequence
    tables = [user.table(axes, *rest) for user in users]
    ring = _Ring(stages, group, tilings, axes, dict(zip(group, users, strict=True)))
    return _Way(users, posts, tilings, tables, [ring.bytes_from(number) for number in group])


def _turned(matrix: WeightMatrix) -> WeightMatrix:
    return replace(
        matrix,
        in_axis=1 - matrix.in_axis,
        in_features=matrix.out_features,
        out_features=matrix.in_features,
    )


def _sizes(way: _Way) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """Height, width, interval, bytes on the fullest PE, and cycles of streams."""
    held = np.maximum.reduce([table.memory.workspace for table in way.tables])
    for table, post, ring in zip(way.tables, way.posts, way.rings, strict=True):
        held = held + table.memory.total(post) - table.memory.workspace + ring
    cycles = sum(table.total_cycles() for table in way.tables)
    streams = sum((table.stream_cycles for table in way.tables), np.zeros(1, np.int64))
    interval = np.maximum(cycles, streams)
    return way.tilings.height, way.tilings.width, interval, held, streams


def _maker(ways: Sequence[_Way], user: int, kept: Ints) -> Callable[[int], Choice]:
    def make(number: int) -> Choice:
        index = int(kept[number])
        count = len(ways[0].tilings)
        way = ways[index >= count]
        return way.choice(user, index - count * (index >= count))

    return make


@dataclass(frozen=True)
class _User:
    """A stage of a group with its layout; `products` are the tied weights it multiplies with."""

    resident: ResidentStage
    layout: StageLayout
    products: Mapping[str, WeightMatrix]

    @classmethod
    def of(cls, found: ResidentStage) -> _User:
        layout = find_layout(found.stage.program)
        tied = {i: layout.matrices[i] for i in found.tied if i in layout.matrices}
        names = found.stage.parameters
        return cls(found, layout, {names[i]: m for i, m in tied.items() if m.in_positions})

    def factors(self, position: int) -> tuple[tuple[int, int], ...]:
        """Elements and bytes of an element of both factors of the product that gives the gradient
        of a lent parameter, input `position` of the stage; none if it is no product."""
        index = self.resident.positions.get(position)
        nodes = [n for n, i in self.layout.backward.gradient.items() if i == index]
        if len(nodes) != 1 or operator_of(nodes[0]) != "aten.mm.default":
            return ()
        found = [tensors_of(factor)[0] for factor in linear.factors(nodes[0])]
        return tuple((tensor.numel(), tensor.element_size()) for tensor in found)

    @property
    def is_plain(self) -> bool:
        own = [self.layout.matrices.get(index) for index in self.resident.tied]
        every = self.layout.matrices.values()
        return None not in own and all(m.taps == 1 and not m.is_batch for m in every)

    def table(
        self,
        axes: Mapping[str, WeightMatrix],
        tilings: Tilings,
        target: Target,
        step: UpdateStep,
        in_sequence: bool,
    ) -> StageTable:
        stage = self.resident.stage
        matrices = dict(self.layout.matrices)
        for index in self.resident.tied:
            matrices[index] = _lying_as(matrices[index], axes[stage.parameters[index]])
        layout = replace(self.layout, matrices=matrices, lent=self.resident.lent)
        weights = {
            index: WeightTiles(m.out_features, m.in_features, m.taps)
            for index, m in matrices.items()
        }
        of = stage, stage.program, layout, weights, target, step, tilings, in_sequence
        return price_stage(*of)


def _axes(users: Sequence[_User]) -> dict[str, WeightMatrix]:
    """How each tied weight lies: as its first product has it, else as the first look-up does."""
    found: dict[str, WeightMatrix] = {}
    for user in users:
        names = user.resident.stage.parameters
        found |= {names[index]: user.layout.matrices[index] for index in user.resident.tied}
    for user in reversed(users):
        found |= user.products
    return found


def _lying_as(own: WeightMatrix, other: WeightMatrix) -> WeightMatrix:
    """A tied weight as its region has it, with the positions of one of its users."""
    return replace(
        own, in_axis=other.in_axis, in_features=other.in_features, out_features=other.out_features
    )


@dataclass(frozen=True)
class _Ring:
    """What rests in a region on its way between two of its stages, under many tilings.

    A reader d stages after the owner of a weight, or of another value, reads the version of d ticks
    before: d + 1 of them rest. Its gradient waits d ticks for the owner's: a weight's either where
    the weight lies, or as the two factors of its product, which is then done when it is needed.
    """

    stages: Stages
    group: Sequence[int]
    tilings: Tilings
    axes: Mapping[str, WeightMatrix]
    users: Mapping[int, _User]

    def bytes_from(self, number: int) -> Ints:
        """Bytes on the fullest PE of all that a stage has sent or will get back."""
        total = np.zeros(len(self.tilings), np.int64)
        for output in range(len(self.stages.stages[number].program.outputs)):
            readers = self.stages.readers.get(Source(number, output), ())
            inside = [(reader, p) for reader, p in readers if reader in self.group]
            if inside:
                held = self._held(number, output)
                total = total + held * (1 + max(reader - number for reader, _ in inside))
                for reader, p in inside:
                    total = total + self._gradients(reader, p, reader - number, held)
        return total

    def _gradients(self, reader: int, position: int, ticks: int, held: Ints) -> Ints:
        if not self.stages.stages[reader].program.input_needs_grad[position]:
            return 0 * held
        factors = self.users[reader].factors(position)
        if not factors:
            return ticks * held
        dealt = sum(self.tilings.share(n) * size for n, size in factors)
        return np.minimum(ticks * held, ticks * dealt + held)

    def _held(self, number: int, output: int) -> Ints:
        """Bytes of one sample of an output on the fullest PE: a tied weight lies as it does."""
        stage = self.stages.stages[number]
        spec = stage.program.outputs[output]
        size = spec.torch_dtype.itemsize
        tied = [t for t in ties_of(self.stages) if (t.owner, t.output) == (number, output)]
        if not tied:
            return self.tilings.share(spec.elements) * size
        matrix = self.axes[stage.parameters[tied[0].index]]
        tilings = self.tilings
        return matrix.tiles.tile_size(tilings.in_split, tilings.out_split) * size


def _report(
    stages: Stages, members: Sequence[int], target: Target, demand: int, most: int
) -> InfeasibleReport:
    names = " and ".join(stages.stages[number].name for number in members)
    subject = f"one region for {names}"
    return InfeasibleReport(subject, target.name, demand, most, "bytes per PE", ())
