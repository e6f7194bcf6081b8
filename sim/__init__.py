"""A plan in time: throughput, latency, utilisation, and the reason for every idle cycle.

Reading order: simulate (one plan, one level, one report), model/ (what levels share), analytic/ and
event/ (stage by stage), fabric/ (PE by PE), machine/ (mechanisms of published kernels), validation/
(published measurements), page/ (reports and traces).
"""

from .event.recording import Slice, timeline
from .model.report import SimReport
from .simulate import LEVELS, simulate

__all__ = ["LEVELS", "SimReport", "Slice", "simulate", "timeline"]
