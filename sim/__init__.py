"""A plan in time: throughput, latency, utilisation, and the reason for every idle cycle."""

from .model.report import SimReport
from .recording import Slice, timeline
from .simulate import LEVELS, simulate

__all__ = ["LEVELS", "SimReport", "Slice", "simulate", "timeline"]
