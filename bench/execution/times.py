"""Times of all loops on one network, in turns.

All train with SGD and momentum at batch size 1, see `Update`. In every round each loop trains on
the same number of samples, one loop after the other, so another load of the machine slows all
alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median

from ...backend.cores import usable_cores
from ..resident import Resident
from .cases import TimedCase
from .compilations import Compilations
from .loops import Train, TrainingLoop, loops_of


@dataclass(frozen=True)
class LoopTimes:
    """One loop on one network.

    `us` is the median time per sample over rounds and `least_cpu_us` the least processor time of
    the process, which another load of the machine disturbs least. `against_eager` and `against_jax`
    are medians of the rounds' ratios of time per sample to that of the loop named, as
    `against_batches` is to torch with BatchNorm in batches; `cpu_against_eager`, `cpu_against_jax`
    and `cpu_against_none`, to the pipeline without compensation, are ratios of least processor
    times; None without that loop.

    `compile_s` is elapsed. `state_bytes` is what training keeps on the device from sample to
    sample, FIFOs included, `temporary_bytes` what XLA's program needs beside its arguments,
    `peak_bytes` the most this process ever held until the loop was ready, all earlier loops
    included. `compiled` programs were compiled by XLA in the timed rounds, and by
    `grown_bytes` more was held by the process after the last than after the first of them.

    A round of the case has `case_samples`; a loop in batches does `samples`, a whole batch.
    """

    network: str
    update: str
    device: str
    cores: int
    case_samples: int
    loop: str
    stages: int
    rounds: int
    samples: int
    us: float
    samples_per_s: float
    against_eager: float
    against_jax: float | None
    against_batches: float | None
    least_cpu_us: float
    cpu_against_eager: float
    cpu_against_jax: float | None
    cpu_against_none: float | None
    compile_s: float
    state_bytes: int | None
    temporary_bytes: int | None
    peak_bytes: int
    compiled: int
    grown_bytes: int | None

    @property
    def key(self) -> tuple[object, ...]:
        """Of which loop, and how it was measured."""
        place = self.network, self.update, self.device, self.cores, self.case_samples
        return (*place, self.loop)


def keys_of(case: TimedCase, device: str, with_torch_xla: bool) -> list[tuple[object, ...]]:
    """Those of the rows that `measure` gives where no time is up."""
    place = case.name, case.update.name, device, usable_cores(), case.samples
    return [(*place, loop) for loop in loops_of(case, device, with_torch_xla)]


@dataclass
class _Rounds:
    """Seconds per sample, one entry per round; programs compiled; what the process held."""

    elapsed: list[float]
    processor: list[float]
    compiled: int
    grown_mib: float

    def add(self, train: Train, samples: int, compilations: Compilations) -> None:
        before, held = compilations.count, Resident.now().own_mib or 0.0
        wall, processor = time.perf_counter(), time.process_time()
        train()
        self.elapsed.append((time.perf_counter() - wall) / samples)
        self.processor.append((time.process_time() - processor) / samples)
        self.compiled += compilations.count - before
        if len(self.elapsed) > 1:  # the first round's arrays are there for the next to reuse
            self.grown_mib += (Resident.now().own_mib or 0.0) - held


def measure(
    case: TimedCase,
    rounds: int,
    device: str = "cpu",
    until: float | None = None,
    with_torch_xla: bool = False,
    row_limit: float | None = None,
    begins: Callable[[str], None] = lambda name: None,
) -> list[LoopTimes]:
    """Time all loops on one network, `rounds` rounds each after one to warm up.

    From time.monotonic() `until` on no loop is made any more and no second round begun; loops that
    were not made have no row. No second round is begun either once the rounds have taken
    `row_limit` seconds a loop. `begins` is told each loop as it is made, and when rounds begin.
    """
    loops: dict[str, TrainingLoop] = {}
    for name, make in loops_of(case, device, with_torch_xla).items():
        if loops and _is_late(until):
            break
        begins(f"{case.name}: {name}")
        loops[name] = make()
        loops[name].train()
    begins(f"{case.name}: rounds")
    if row_limit is not None:
        end = time.monotonic() + row_limit * len(loops)
        until = end if until is None else min(until, end)
    times = {name: _Rounds([], [], 0, 0.0) for name in loops}
    with ExitStack() as stack:
        compilations = stack.enter_context(Compilations())
        for number in range(rounds):
            if number and _is_late(until):
                break
            for name, loop in loops.items():
                times[name].add(loop.train, loop.samples, compilations)
    return [_row(case, device, name, loop, times) for name, loop in loops.items()]


def _row(
    case: TimedCase, device: str, name: str, loop: TrainingLoop, times: dict[str, _Rounds]
) -> LoopTimes:
    own = times[name]
    elapsed = {other: _ratio(own.elapsed, found.elapsed) for other, found in times.items()}
    processor = {other: min(own.processor) / min(found.processor) for other, found in times.items()}
    knows_memory = Resident.now().own_mib is not None
    return LoopTimes(
        network=case.name,
        update=case.update.name,
        device=device,
        cores=usable_cores(),
        case_samples=case.samples,
        loop=name,
        stages=loop.stages,
        rounds=len(own.elapsed),
        samples=loop.samples,
        us=1e6 * median(own.elapsed),
        samples_per_s=1 / median(own.elapsed),
        against_eager=elapsed["eager"],
        against_jax=elapsed.get("jax"),
        against_batches=elapsed.get("batches"),
        least_cpu_us=1e6 * min(own.processor),
        cpu_against_eager=processor["eager"],
        cpu_against_jax=processor.get("jax"),
        cpu_against_none=processor.get("pipelined"),
        compile_s=loop.compile_s,
        state_bytes=loop.state_bytes,
        temporary_bytes=loop.temporary_bytes,
        peak_bytes=loop.peak_bytes,
        compiled=own.compiled,
        grown_bytes=round(own.grown_mib * 2**20) if knows_memory else None,
    )


def _is_late(until: float | None) -> bool:
    return until is not None and time.monotonic() >= until


def _ratio(times: Sequence[float], others: Sequence[float]) -> float:
    return median(mine / other for mine, other in zip(times, others, strict=True))
