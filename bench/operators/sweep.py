"""All differentiable operators of torch's database: how many samples are right, refused, wrong."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ...compiler.targets.target import Target
from .judge import Answer, SampleVerdict, answered, judge, wide_target
from .probe import DTYPE, Probe, probes, unseeded

REQUIRED_SHARE = 0.8
"""Of the samples, those that must be taken."""


@dataclass(frozen=True)
class OperatorRow:
    """One sample of an operator: its verdict, and seconds of processor time."""

    operator: str
    sample: int
    verdict: SampleVerdict
    seconds: float

    def line(self) -> str:
        """As a line of JSON."""
        return json.dumps({**asdict(self), "verdict": asdict(self.verdict)})

    @staticmethod
    def of_line(line: str) -> OperatorRow:
        """The row of a line of JSON."""
        found = json.loads(line)
        return OperatorRow(**{**found, "verdict": SampleVerdict(**found["verdict"])})


def operators(names: Sequence[str] = ()) -> dict[str, Any]:
    """The differentiable operators of the database that compute in float64, by name and variant;
    of `names` those that are given."""
    from torch.testing._internal.common_methods_invocations import op_db

    able = [entry for entry in op_db if entry.supports_autograd and DTYPE in entry.dtypes]
    found = {".".join(filter(None, (e.name, e.variant_test_name))): e for e in able}
    return {name: entry for name, entry in found.items() if not names or name in names}


def rows(
    entries: dict[str, Any], samples: int, jax_samples: int, known: Sequence[OperatorRow] = ()
) -> Iterator[OperatorRow]:
    """Judge up to `samples` samples of each operator, the first `jax_samples` also by JAX; those
    that are `known` already are left out."""
    done = {(row.operator, row.sample) for row in known}
    target = wide_target()
    for name, entry in entries.items():
        for place, (number, sample) in enumerate(_chosen(entry, samples)):
            if (name, number) not in done:
                yield _row(name, entry, number, sample, target, place < jax_samples)


def read(path: Path) -> list[OperatorRow]:
    """The rows of an earlier run; none if there was none."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [OperatorRow.of_line(line) for line in lines if line.endswith("}")]


def _chosen(entry: Any, samples: int) -> list[tuple[int, Any]]:
    """Evenly many of the operator's samples, the first and the last among them."""
    torch.manual_seed(0)
    listed = list(entry.sample_inputs("cpu", DTYPE, requires_grad=False))
    last, count = len(listed) - 1, min(samples, len(listed))
    numbers = [round(last * n / max(count - 1, 1)) for n in range(count)]
    return [(number, listed[number]) for number in dict.fromkeys(numbers)]


def _row(
    name: str, entry: Any, number: int, sample: Any, target: Target, with_jax: bool
) -> OperatorRow:
    started = time.process_time()
    torch.manual_seed(0)
    with unseeded():
        found = _answered(entry, sample)
        verdict = judge(found[0], found[1], target, with_jax) if found else SampleVerdict("none")
    return OperatorRow(name, number, verdict, time.process_time() - started)


def _answered(entry: Any, sample: Any) -> tuple[Probe, Answer] | None:
    try:
        return answered(probes(entry.op, sample))
    except RuntimeError:  # tensors that are not dense cannot be copied
        return None


@dataclass(frozen=True)
class VerdictCounts:
    """Counts of samples, of all that eager torch differentiates."""

    operators: int
    samples: int
    right: int
    refused: int
    wrong: int
    by_jax: int
    jax_right: int
    jax_wrong: int
    reasons: tuple[tuple[str, int], ...]

    @property
    def passed(self) -> bool:
        """Whether none is wrong and enough are taken."""
        return not self.wrong + self.jax_wrong and self.right >= REQUIRED_SHARE * self.samples


def summary(found: Sequence[OperatorRow]) -> VerdictCounts:
    """Counts of rows, and the reasons of refusals, the most frequent first."""
    judged = [row for row in found if row.verdict.kind != "none"]
    kinds = Counter(row.verdict.kind for row in judged)
    asked = [row.verdict.jax for row in judged if row.verdict.jax]
    refused = Counter(row.verdict.reason for row in judged if row.verdict.kind == "refused")
    return VerdictCounts(
        operators=len({row.operator for row in judged}),
        samples=len(judged),
        right=kinds["right"],
        refused=kinds["refused"],
        wrong=kinds["wrong"],
        by_jax=len(asked),
        jax_right=asked.count("right"),
        jax_wrong=sum(said.startswith("wrong") for said in asked),
        reasons=tuple(refused.most_common()),
    )
