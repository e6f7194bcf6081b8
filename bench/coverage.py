"""`weft bench coverage`: which architectures compile to a sound plan, and why the others do not."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from ..backend.errors import UserError
from ..compiler.capture import capture
from ..compiler.cut import cut
from ..compiler.emit import Labels, emit
from ..compiler.map import map_kernels
from ..compiler.place.place import place
from ..compiler.plan.check import check
from ..compiler.program import Stages
from ..compiler.targets.load import load_target
from ..compiler.targets.target import Target
from . import language, vision
from .case import Case

Build = Callable[[], Case]


@dataclass(frozen=True)
class Row:
    """How one model fared; `reason` is empty if its plan is sound."""

    name: str
    seconds: float
    stages: int = 0
    distinct: int = 0
    reason: str = ""

    def text(self) -> str:
        """One line of the table."""
        return (
            f"{self.name:40} {self.stages:6} {self.distinct:8} {self.seconds:8.1f}"
            f"  {self.reason or 'sound'}"
        )


class _OutOfTime(BaseException):
    """Not an Exception, so that nothing on the way takes it for a failure of the model."""


HEADER = f"{'model':40} {'stages':>6} {'distinct':>8} {'seconds':>8}  result"


def cases() -> dict[str, Build]:
    """All models of the coverage run by name: 'timm/...' and 'transformers/...'."""
    found: dict[str, Build] = {f"timm/{name}": partial(vision.case, name) for name in vision.NAMES}
    for name in language.CONFIGURATIONS:
        found[f"transformers/{name}"] = partial(language.case, name)
    return found


def coverage(names: Iterable[str], target: Target, limit_s: int = 120) -> Iterator[Row]:
    """Compile each model for `target` and check its plan; one row per model as it is done."""
    known = cases()
    for name in names:
        yield _row(name, known[name], target, limit_s)


def large_target() -> Target:
    """A machine no listed model is too large for: wse3 with sixteen times the PEs and memory.

    Coverage is about what a model asks of the compiler; what fits one wafer is another question.
    """
    target = load_target("wse3")
    grid = replace(target.grid, rows=4 * target.rows, columns=4 * target.columns)
    sram = replace(target.sram, bytes_per_pe=16 * target.sram.bytes_per_pe)
    return replace(target, grid=grid, sram=sram)


def _row(name: str, build: Build, target: Target, limit_s: int) -> Row:
    started = time.perf_counter()
    row = Row(name, 0.0)
    try:
        with _time_limit(limit_s):
            case = build()
            started = time.perf_counter()
            stages = cut(capture(case.model, case.sample, case.loss))
            keys = {stage.program.key for stage in stages.stages}
            row = replace(row, stages=len(stages), distinct=len(keys))
            row = replace(row, reason=_violations(stages, target, name))
    except UserError as error:
        row = replace(row, reason=f"{type(error).__name__}: {error.where}: {error.got}")
    except _OutOfTime:
        row = replace(row, reason=f"not done after {limit_s} s")
    except Exception as error:  # a defect of weft: the run goes on and the row says so
        row = replace(row, reason=f"DEFECT {type(error).__name__}: {_first_line(error)}")
    return replace(row, seconds=time.perf_counter() - started)


def _violations(stages: Stages, target: Target, name: str) -> str:
    """Places and emits the plan; the first violation the checker finds, if any."""
    placement = place(stages, map_kernels(stages, {}, target))
    plan = emit(stages, placement, {}, {}, Labels(name))
    found = check(plan.document, target, plan.programs)
    return f"{len(found)} violations, first: {found[0]}" if found else ""


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]


@contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    def stop(signum: int, frame: object) -> None:
        raise _OutOfTime

    previous = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)
