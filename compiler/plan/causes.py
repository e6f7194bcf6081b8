"""What can set the pace of a plan or of a stage: one list for plans, simulations and reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

CAUSES: Mapping[str, str] = MappingProxyType(
    {
        "compute": "arithmetic on the slowest PE of a stage",
        "memory": "element-wise passes that take all a PE's memory ports can read",
        "network": "broadcasts, sums and borders inside a stage's region",
        "link": "streams between stages on the mesh links that they share",
        "wafer-link": "streams that share the link between two wafers",
        "host": "the machine's way in",
        "loop": "room in FIFOs, or latency, around a loop of stages",
        "fill": "the run is too short to be at the plan's pace",
        "deadlock": "stages that wait for each other for ever",
    }
)
"""By name, what it is. The first three are a stage's own and come with its id."""

STAGE_CAUSES = ("compute", "memory", "network")


@dataclass(frozen=True)
class Bound:
    """Something that needs `cycles` per sample: a cause out of CAUSES, and the stage, the stream
    or the FIFOs where it is."""

    cause: str
    at: str
    cycles: float

    def __str__(self) -> str:
        return f"{self.cause}: {self.at}"
