"""What the stages cost on machines that differ in nothing that mapping reads.

before: 10 clocks, the same mesh      after: mapped once
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import fields, replace
from typing import TypeVar

from ..plan.program import Stages
from ..plan.training import Training
from ..targets.reads import values_of
from ..targets.target import Target
from .choices import Kernels
from .pricing import Known
from .sharing import SharedGroup

KEPT = 4
V = TypeVar("V")
_ABOUT = {"name", "vendor", "year", "description", "power", "advertised", "provenance", "ranges"}
_BY_THE_SECOND = {"clock_hz", "clock_max_hz", "host"}
"""On one wafer they set the host's cycles for a sample, and nothing else that is read."""
_READ = tuple(f.name for f in fields(Target) if f.name not in _ABOUT)
_READ_ON_ONE_WAFER = tuple(name for name in _READ if name not in _BY_THE_SECOND)


def reads_the_clock(stages: Stages, target: Target) -> bool:
    """Whether cycles depend on the clock: where bytes pass between wafers, or lie with the host."""
    return target.wafers > 1 or any(stage.off_wafer for stage in stages.stages)


def what_is_read(stages: Stages, target: Target) -> Hashable:
    """All that mapping and placing read of a target, but for the host's cycles for a sample."""
    names = _READ if reads_the_clock(stages, target) else _READ_ON_ONE_WAFER
    return values_of(target, names)


def known_kernels(
    known: Known,
    stages: Stages,
    training: Training,
    groups: tuple[SharedGroup, ...],
    target: Target,
    make: Callable[[], Kernels],
) -> Kernels:
    """What was mapped for a machine that is alike in all that is read; mapped if there is none. The
    `KEPT` used last are kept."""
    own = (id(stages), id(training), groups, what_is_read(stages, target))
    found = known.kernels.pop(own, None)
    kernels = make() if found is None else replace(found[-1], target=target)
    keep_last(known.kernels, own, (stages, training, kernels), KEPT)
    return kernels


def keep_last(kept: dict[Hashable, V], own: Hashable, value: V, most: int) -> None:
    """Keep a value as the one used last, and at most so many of those used before."""
    kept[own] = value
    while len(kept) > most:
        del kept[next(iter(kept))]
