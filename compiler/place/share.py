"""`share`: which stages with a tied weight live together on one region, decided by price.

Stages --share--> Sharing
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import inf, isinf

from ...backend.errors import InfeasibleError
from ..mapping.map import map_kernels
from ..mapping.pricing import Known
from ..mapping.sharing import SharedGroup, can_share
from ..plan.program import Stages
from ..plan.training import Training
from ..stages.skip_streams import edge_bytes
from ..stages.tied_stages import joined_stages
from ..targets.target import Target
from .place import estimated_interval


@dataclass(frozen=True)
class SharedChoice:
    """Stages that tie a weight, by name: whether they share a region, the cycles between two
    samples if they do and if they do not (infinite if that does not fit), and the bytes of a
    sample that they would stream, onwards and back."""

    stages: tuple[str, ...]
    is_shared: bool
    shared_cycles: float
    apart_cycles: float
    stream_bytes: int

    def __str__(self) -> str:
        names, how = " and ".join(self.stages), "one region" if self.is_shared else "apart"
        together, apart = _cycles(self.shared_cycles), _cycles(self.apart_cycles)
        streamed = f"a stream of {self.stream_bytes:,} bytes a sample"
        return f"{names}: {how}; {together} on one region, {apart} with {streamed}"


@dataclass(frozen=True)
class Sharing:
    """The groups of stages that share a region, and what was weighed for each that could."""

    groups: tuple[SharedGroup, ...] = ()
    choices: tuple[SharedChoice, ...] = ()

    def text(self) -> str:
        """One line per group that was weighed."""
        return "\n".join(map(str, self.choices)) or "no stages tie a weight that they could share"


@dataclass(frozen=True)
class Share:
    """Put stages that tie a weight on one region, where that gives a shorter interval.

    before: stage 0 streams %w to stage 9         after: stages 0 and 9 on one region, with one %w

    A region lies where its first stage or where its last one would. `map` does not price again
    what is `known` from here.
    """

    target: Target
    training: Training = field(default_factory=Training)
    known: Known = field(default_factory=Known)

    def __call__(self, stages: Stages) -> Sharing:
        return share(stages, self.target, self.training, self.known)


def share(stages: Stages, target: Target, training: Training, known: Known) -> Sharing:
    """Decides group by group, with those before as decided."""
    groups: tuple[SharedGroup, ...] = ()
    choices: list[SharedChoice] = []
    candidates = [g for g in joined_stages(stages) if can_share(stages, g, training)]

    def interval(chosen: tuple[SharedGroup, ...], below: float = inf) -> float:
        try:
            kernels = map_kernels(stages, target, training, chosen, known)
            return estimated_interval(stages, kernels, below)
        except InfeasibleError:
            return inf

    apart = interval(groups) if candidates else inf
    for members in candidates:
        together, best = inf, groups
        for at in (members[0], members[-1]):
            option = *groups, SharedGroup(members, at)
            found = interval(option, below=together)
            if found < together:
                together, best = found, option
        names = tuple(stages.stages[number].name for number in members)
        moved = sum(_bytes_between(stages, members))
        is_shared = together < apart
        choices.append(SharedChoice(names, is_shared, together, apart, moved))
        groups, apart = (best, together) if is_shared else (groups, apart)
    return Sharing(groups, tuple(choices))


def _bytes_between(stages: Stages, members: Sequence[int]) -> Iterator[int]:
    for source, sink in stages.dag.edges:
        if source in members and sink in members:
            yield sum(edge_bytes(stages, source, sink))


def _cycles(cycles: float) -> str:
    return "no room" if isinf(cycles) else f"{cycles:,.0f} cycles a sample"
