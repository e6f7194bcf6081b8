"""`weft bench coverage`: which architectures compile to a sound plan of what they compute, and why
the others do not."""

from __future__ import annotations

import fnmatch
import json
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

from ..backend.errors import UnknownNameError, UserError, WitnessError
from ..compiler.capture.capture import capture
from ..compiler.capture.sample import OneSample, apart
from ..compiler.emit.emit import Labels
from ..compiler.pipeline import lower
from ..compiler.plan.check import check
from ..compiler.plan.program import Stages
from ..compiler.plan.training import Training
from ..compiler.stages.cut import cut
from ..compiler.targets.target import Target
from ..compiler.witness.witness import Witness
from .models import language, vision
from .models.case import Case

Build = Callable[[], Case]

REQUIRED_SHARE = 0.95
"""Of the models, those that must compile to a sound plan."""


@dataclass(frozen=True)
class ModelRow:
    """How one model fared, in seconds of processor time; `reason` is empty if its plan is sound, or
    if only its stages were made and they agree with the model (not `has_plan`).

    `witness` is what the model itself was run in and held against; of its `gradients`, `zeros` were
    zero. `is_defect`: it failed by a mistake of weft, not for a reason that weft gives.
    """

    name: str
    seconds: float
    stages: int = 0
    distinct: int = 0
    witness: str = ""
    gradients: int = 0
    zeros: int = 0
    has_plan: bool = False
    reason: str = ""
    is_defect: bool = False

    def text(self) -> str:
        """One line of the table."""
        return (
            f"{self.name:40} {self.stages:6} {self.distinct:8} {self.seconds:8.1f}"
            f"  {self.witness or '-':9} {self.gradients:9} {self.zeros:5}"
            f"  {self.reason or ('sound' if self.has_plan else 'agrees')}"
        )

    def line(self) -> str:
        """As a line of JSON."""
        return json.dumps(asdict(self))


class _OutOfTime(BaseException):
    """Not an Exception, so that nothing on the way takes it for a failure of the model."""


HEADER = (
    f"{'model':40} {'stages':>6} {'distinct':>8} {'seconds':>8}  {'witness':9} {'gradients':>9}"
    f" {'zeros':>5}  result"
)


def cases() -> dict[str, Build]:
    """All models of the coverage run by name: 'timm/...' and 'transformers/...'."""
    found: dict[str, Build] = {f"timm/{name}": partial(vision.case, name) for name in vision.NAMES}
    for name in language.CONFIGURATIONS:
        found[f"transformers/{name}"] = partial(language.case, name)
    return found


def select(patterns: Sequence[str]) -> list[str]:
    """The names of `cases` that match a pattern ('timm/res*'); all of them without patterns.

    Raises UnknownNameError for a pattern that matches none.
    """
    known = list(cases())
    for pattern in patterns:
        if not fnmatch.filter(known, pattern):
            raise UnknownNameError("model", pattern, known, "weft bench coverage --list")
    wanted = patterns or ["*"]
    return [name for name in known if any(fnmatch.fnmatchcase(name, p) for p in wanted)]


def coverage(names: Iterable[str], target: Target | None, limit_s: int = 120) -> Iterator[ModelRow]:
    """Hold the stages of each model against the model, compile it for `target`, and check its plan;
    one row per model as it is done. Without a target only its stages are made."""
    known = cases()
    for name in names:
        yield _row(name, known[name], target, limit_s)


def read(path: Path) -> dict[str, ModelRow]:
    """The latest row of each model of an earlier run; none if there was none."""
    lines = path.read_text().splitlines() if path.exists() else []
    rows = [ModelRow(**json.loads(line)) for line in lines if line.endswith("}")]
    return {row.name: row for row in rows}


def passed(rows: Sequence[ModelRow]) -> bool:
    """Whether enough plans are sound, and what failed did so for a reason that weft gives."""
    sound = sum(not row.reason for row in rows)
    return sound >= REQUIRED_SHARE * len(rows) and not any(row.is_defect for row in rows)


def _row(name: str, build: Build, target: Target | None, limit_s: int) -> ModelRow:
    started = time.process_time()
    row = ModelRow(name, 0.0)
    try:
        with _time_limit(limit_s):
            case = build()
            started = time.process_time()
            graph = capture(case.model, case.sample, case.loss)
            stages = cut(graph)
            keys = {stage.program.key for stage in stages.stages}
            row = replace(row, stages=len(stages), distinct=len(keys))
            sample = OneSample(case.model, case.loss)
            verdict = Witness(sample, apart(case.sample), graph)(stages)
            gradients = verdict.counts.get("gradient", 0)
            row = replace(row, witness=verdict.level, gradients=gradients, zeros=verdict.zeros)
            if target is not None:
                violations = _violations(stages, target, name)
                row = replace(row, has_plan=True, reason=violations, is_defect=bool(violations))
    except WitnessError as error:
        row = replace(row, witness="DISAGREES", reason=str(error), is_defect=True)
    except UserError as error:
        row = replace(row, reason=f"{type(error).__name__}: {error.where}: {error.got}")
    except _OutOfTime:
        row = replace(row, reason=f"not done after {limit_s} s of processor time")
    except Exception as error:  # a defect of weft: the run goes on and the row says so
        reason = f"DEFECT {type(error).__name__}: {_first_line(error)}"
        row = replace(row, reason=reason, is_defect=True)
    return replace(row, seconds=time.process_time() - started)


def _violations(stages: Stages, target: Target, name: str) -> str:
    """Lowers the stages; the first violation the checker finds, if any."""
    plan = lower(stages, target, Training(), Labels(name))
    found = check(plan.document, target, plan.programs)
    return f"{len(found)} violations, first: {found[0]}" if found else ""


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [""])[0][:200]


@contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    """Raises _OutOfTime after so many seconds of processor time."""

    def stop(signum: int, frame: object) -> None:
        raise _OutOfTime

    previous = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, previous)
