"""What became of a point: figures, or why there are none."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ...compiler.plan.document import Demand


@dataclass(frozen=True)
class Simulated:
    """A plan's figures. `pes` are those of its regions, `memory_share` is of the fullest PE.

    `error_bars` has low and high of the cycles, the rate and the latency; `assumed` names those
    that rest on assumed constants alone.
    """

    throughput_samples_per_s: float
    interval_cycles: float
    latency_s: float
    pes: int
    wafers: int
    stages: int
    memory_share: float
    bound_by: str
    error_bars: dict[str, list[float]]
    assumed: list[str]


@dataclass(frozen=True)
class Outcome:
    """Figures; or, where there is no plan, the reason, with demand and bound where it is size, and
    with what to change where it is not."""

    figures: Simulated | None
    reason: str = ""
    change: str = ""
    demand: Demand | None = None

    def to_dict(self) -> dict[str, Any]:
        """One flat object for JSON."""
        data: dict[str, Any] = {"fits": self.figures is not None}
        data |= {} if self.figures is None else asdict(self.figures)
        said = {"reason": self.reason, "change": self.change}
        data |= {name: text for name, text in said.items() if text}
        if self.demand is not None:
            data |= {
                "demand": self.demand.amount,
                "bound": self.demand.bound,
                "unit": self.demand.unit,
            }
        return data
