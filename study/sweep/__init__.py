"""What if: one recipe under many settings, each compiled and simulated.

Reading order: axes (what varies), points (which combinations), evaluate (a recipe's outcome),
log (one line a point, resumed), workers (processes, Ray), run (each point once), search (Optuna),
front (what nothing beats), page (scale and pictures: all of it to look at).
"""

from __future__ import annotations

from .axes import Axis, parse_axis
from .evaluate import Outcome, evaluate
from .front import Objective, pareto_front, parse_objective
from .log import Sweep, SweepLog
from .points import file_points, grid_points, random_points
from .run import sweep
from .search import search
from .workers import Point, workers

__all__ = [
    "Axis",
    "Objective",
    "Outcome",
    "Point",
    "Sweep",
    "SweepLog",
    "evaluate",
    "file_points",
    "grid_points",
    "pareto_front",
    "parse_axis",
    "parse_objective",
    "random_points",
    "search",
    "sweep",
    "workers",
]
