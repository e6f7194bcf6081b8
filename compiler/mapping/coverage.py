"""All operators of a model that have no kernel, at once, and the share of arithmetic that has one.

Stages --coverage--> Coverage
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ..kernels.registry import KERNELS
from ..kernels.roles import calls, operator_of
from ..plan.program import Stages
from ..plan.work import macs_of


@dataclass(frozen=True)
class Uncovered:
    """An operator without a kernel: how often a sample needs it, its MACs, where it comes from."""

    operator: str
    uses: int
    macs: int
    places: tuple[str, ...]

    @property
    def needs(self) -> str:
        """What would cover it."""
        return f"a family and a cost for {self.operator} in compiler/kernels/registry.py"


@dataclass(frozen=True)
class KernelCoverage:
    """Of all operators of a training step: those without a kernel, most used first."""

    operators: int
    uncovered: tuple[Uncovered, ...]
    macs: int
    macs_covered: int

    @property
    def share(self) -> float:
        """MACs that have a kernel over all MACs; 1 for a model without any."""
        return self.macs_covered / self.macs if self.macs else 1.0

    def text(self) -> str:
        """A report: one line per operator and place."""
        lines = [
            f"{self.operators - len(self.uncovered)} of {self.operators} operators have a kernel;"
            f" {self.share:.1%} of {self.macs:,} MACs per sample are covered"
        ]
        for operator in self.uncovered:
            lines.append(f"  {operator.operator}: {operator.uses} uses; add {operator.needs}")
            lines += [f"    {place}" for place in operator.places]
        return "\n".join(lines)


def coverage(stages: Stages) -> KernelCoverage:
    """Look every operator of every stage up in the table of kernels; nothing is priced."""
    uses: Counter[str] = Counter()
    macs: Counter[str] = Counter()
    places: dict[str, dict[str, None]] = {}
    for stage in stages.stages:
        for graph in (stage.program.forward.graph, stage.program.backward.graph):
            for node in calls(graph):
                name = operator_of(node)
                uses[name] += 1
                macs[name] += macs_of(node)
                if name not in KERNELS:
                    place = str(stage.origin_of(node) or f"stage {stage.name}")
                    places.setdefault(name, {})[place] = None
    uncovered = sorted(places, key=lambda name: (-macs[name], -uses[name], name))
    return KernelCoverage(
        operators=len(uses),
        uncovered=tuple(Uncovered(n, uses[n], macs[n], tuple(places[n])) for n in uncovered),
        macs=macs.total(),
        macs_covered=macs.total() - sum(macs[name] for name in places),
    )
