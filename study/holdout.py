"""How well the model predicts rows that its constants were not fitted on.

The fitted constants of a target are found again by least squares of relative errors on some rows,
and the other rows are simulated with them. The constants of the target file itself are only the
point to start from. Cycles are linear in the constants but for maxima and roundings: the slopes
there, by differences, serve all rounds and all fits (a simplified Gauss-Newton method).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

import numpy as np
from numpy.typing import NDArray

from ..compiler.targets import Target, load_target
from ..sim.validation.tables import TableRow, shipped_rows
from .published import KERNELS

_TARGET = "wse3"
_PREDICTABLE = ("gemv", "gemm", "fmach")
_SIZES = (("gemv", "p", 208), ("gemm", "p", 208), ("gemm", "tile", 3), ("fmach", "tile", 8))
"""Sets, and a size at which they are cut in two; a tile's size is its longest side."""
_ROUNDS = 4
_STEP = 0.03
"""Cycles of plans are whole: a smaller step would not be seen."""
_DAMPING = 1e-6

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Holdout:
    """Errors of one set when the constants were fitted on other rows."""

    fitted_on: str
    set_name: str
    rows: int
    median_error: float
    worst_error: float


@dataclass(frozen=True, eq=False)
class HeldOut:
    """One measured number, the row of its set that it is from, and the way to simulate it."""

    set_name: str
    row: int
    columns: Mapping[str, str]
    simulate: Callable[[Target], float]
    value: float


def holdouts(target: Target | None = None) -> tuple[Holdout, ...]:
    """Of the sets that constants are fitted on every other row predicts the rest, both ways; then
    every set is predicted by the others; then small sizes predict large ones and the reverse.

    A set whose kernels alone determine a constant (shift, summa, decode, gemv_chain) is not left
    out: nothing else says what it is.
    """
    fitting = Fitting(target or load_target(_TARGET))
    rows = shipped_rows()
    fitted_sets = {row.set_name for row in rows if row.fitted}
    points = measured_points(row for row in rows if row.set_name in fitted_sets)
    found = []
    for number, name in enumerate(("odd rows", "even rows")):
        fitted = fitting.refit([p for p in points if p.row % 2 == number])
        rest = [p for p in points if p.row % 2 != number]
        found += [_errors(name, fitted, group) for group in _by_set(rest).values()]
    for left_out in _PREDICTABLE:
        fitted = fitting.refit([p for p in points if p.set_name != left_out])
        group = [p for p in points if p.set_name == left_out]
        found.append(_errors("the other sets", fitted, group))
    for size in _SIZES:
        found += _extrapolated(fitting, points, *size)
    return tuple(found)


def _extrapolated(
    fitting: Fitting, points: Sequence[HeldOut], set_name: str, column: str, cut: int
) -> Iterator[Holdout]:
    """Rows of a set up to a size predict the larger ones and the reverse, beside all other sets."""
    own = [point for point in points if point.set_name == set_name]
    small = [point for point in own if _size(point, column) <= cut]
    large = [point for point in own if _size(point, column) > cut]
    for name, left_out in ((f"{column} to {cut}", large), (f"{column} above {cut}", small)):
        fitted = fitting.refit([point for point in points if point not in left_out])
        yield _errors(name, fitted, left_out)


def _size(point: HeldOut, column: str) -> int:
    return max(int(text) for name, text in point.columns.items() if name.startswith(column))


def measured_points(rows: Iterable[TableRow], target: str = _TARGET) -> list[HeldOut]:
    """Every measured number of the rows that were measured on the target."""
    count: Counter[str] = Counter()
    points = []
    for row in rows:
        points += _measured(row, count[row.set_name], target)
        count[row.set_name] += 1
    return points


def _measured(row: TableRow, number: int, target: str) -> list[HeldOut]:
    kernel = KERNELS.get(row.kernel)
    if kernel is None or kernel.target != target or row.left_open:
        return []

    def simulation(index: int) -> Callable[[Target], float]:
        return lambda target: kernel.simulate(target, row.row)[index]

    return [
        HeldOut(row.set_name, number, row.row.columns, simulation(index), row.row.number(column))
        for index, column in enumerate(kernel.measured)
        if row.row.columns.get(column)
    ]


def _by_set(points: Sequence[HeldOut]) -> dict[str, list[HeldOut]]:
    groups: dict[str, list[HeldOut]] = {}
    for point in points:
        groups.setdefault(point.set_name, []).append(point)
    return groups


def _errors(fitted_on: str, target: Target, points: Sequence[HeldOut]) -> Holdout:
    errors = [abs(point.simulate(target) / point.value - 1) for point in points]
    name = points[0].set_name
    return Holdout(fitted_on, name, len(points), median(errors), max(errors))


class Fitting:
    """Fits of the fitted constants of one target; what is known of a point serves all of them."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.names = fitted_constants(target)
        self._start = np.array([float(constant_of(target, name)) for name in self.names])
        self._errors: dict[HeldOut, float] = {}
        self._slopes: dict[HeldOut, Floats] = {}

    def refit(self, points: Sequence[HeldOut]) -> Target:
        """The target with its fitted constants found again on `points` alone.

        A constant that no point depends on keeps its value.
        """
        self._learn([point for point in points if point not in self._slopes])
        values, errors = self._start, np.array([self._errors[point] for point in points])
        slopes = np.stack([self._slopes[point] for point in points])
        normal = slopes.T @ slopes
        normal += _DAMPING * np.diag(np.diag(normal) + 1e-12)
        for number in range(_ROUNDS):
            if number:
                errors = _residuals(self._with(values), points)
            values = np.maximum(values - np.linalg.solve(normal, slopes.T @ errors), 0.0)
        return self._with(values)

    def _learn(self, points: Sequence[HeldOut]) -> None:
        """Their errors with the target as it is, and how these change with each constant."""
        base = _residuals(self.target, points)
        steps = np.maximum(np.abs(self._start), 1.0) * _STEP
        changed = [
            (_residuals(self._with(self._start + step), points) - base) / step.sum()
            for step in np.diag(steps)
        ]
        self._errors |= zip(points, base, strict=True)
        self._slopes |= zip(points, np.array(changed).T, strict=True)

    def _with(self, values: Floats) -> Target:
        return with_constants(self.target, self.names, values)


def refit(target: Target, points: Sequence[HeldOut]) -> Target:
    """`Fitting.refit` for one fit alone."""
    return Fitting(target).refit(points)


def fitted_constants(target: Target) -> tuple[str, ...]:
    """Dotted names of the constants that are marked as fitted."""
    return tuple(c.name for c in target.constants() if c.confidence == "fitted")


def constant_of(target: Target, name: str) -> float:
    """The value behind a dotted name."""
    block, constant = name.split(".")
    return getattr(getattr(target, block), constant)


def with_constants(target: Target, names: Sequence[str], values: Floats) -> Target:
    """The target with other values."""
    for name, value in zip(names, map(float, values), strict=True):
        block, constant = name.split(".")
        target = replace(target, **{block: replace(getattr(target, block), **{constant: value})})
    return target


def _residuals(target: Target, points: Sequence[HeldOut]) -> Floats:
    return np.array([point.simulate(target) / point.value - 1 for point in points])
