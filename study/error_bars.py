"""The measured rows behind error bars: each with its prediction, and that without its set.

A row's held-out prediction uses constants that are fitted anew on all rows but those of its set
(holdout.refit). Of a set that has a constant of its own, which no other set determines, one half of
the rows is fitted with the others and predicts the other half, both ways.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from ..compiler.plan.evidence import EvidenceRow
from ..compiler.targets import Target, load_target
from ..sim.validation.tables import TableRow, shipped_rows
from .holdout import Fitting, HeldOut, measured_points
from .published import KERNELS
from .training import KERNELS as TRAINING_KERNELS
from .training import reason_against

_TARGETS = ("wse2", "wse3")
_SELF_DETERMINED = ("reduce", "sparse_speedup", "gemv_chain", "summa", "shift", "decode")
"""Sets with a constant of their own. That of `shift` is in the skew of `gemm` too, but there other
constants can take its place: fitted so it is half of what blocking exchanges take."""


def measured_rows(on_set: Callable[[str], None] = lambda name: None) -> Iterator[EvidenceRow]:
    """All rows that come with weft; ten minutes. `on_set` is told which set is next."""
    for name in _TARGETS:
        machine = load_target(name)
        fitting = Fitting(machine)
        points = measured_points(shipped_rows(), name)
        for group in dict.fromkeys(point.set_name for point in points):
            on_set(group)
            own = [point for point in points if point.set_name == group]
            others = [point for point in points if point.set_name != group]
            values = held_out(fitting, own, others)
            table = [row for row in shipped_rows(group) if row.kernel in KERNELS]
            table = [row for row in table if not row.left_open]
            for row, value in zip(_rows(machine, table), values, strict=True):
                yield replace(row, held_out=value)
    on_set("training")
    yield from _training_rows()


def held_out(fitting: Fitting, own: Sequence[HeldOut], others: Sequence[HeldOut]) -> list[float]:
    """Predictions of a set's numbers with constants that others determine, or others and half."""
    if own[0].set_name not in _SELF_DETERMINED:
        fitted = fitting.refit(others)
        return [point.simulate(fitted) for point in own]
    halves = [[point for point in own if point.row % 2 == half] for half in (0, 1)]
    fits = [fitting.refit([*others, *half]) for half in halves]
    return [point.simulate(fits[1 - point.row % 2]) for point in own]


def _training_rows() -> Iterator[EvidenceRow]:
    """Runs of whole plans: no constant was fitted on one."""
    for kernel in TRAINING_KERNELS:
        table = [row for row in shipped_rows() if row.kernel == kernel.name]
        usable = [row for row in table if not reason_against(row.row)]
        yield from _rows(load_target(kernel.target), usable)


def _rows(machine: Target, table: Sequence[TableRow]) -> Iterator[EvidenceRow]:
    """With the constants of the target, held out or not."""
    kernels = KERNELS | {kernel.name: kernel for kernel in TRAINING_KERNELS}
    for entry in table:
        kernel = kernels[entry.kernel]
        figures = dict(zip(kernel.measured, kernel.figures(machine, entry.row), strict=True))
        for quantity in kernel.measured:
            if not entry.row.columns.get(quantity):
                continue
            yield EvidenceRow(
                set_name=entry.set_name,
                kernel=kernel.name,
                quantity=quantity,
                settings=entry.settings(kernel.measured),
                target=machine.name,
                kind=entry.row.columns.get("kind") or "",
                unit="cycles" if quantity.startswith("cycles") else "rate",
                measured=entry.row.number(quantity),
                predicted=figures[quantity].value,
                held_out=figures[quantity].value,
                terms=figures[quantity].terms,
            )
