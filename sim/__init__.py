"""A plan in time: throughput, latency, utilisation, and the reason for every idle cycle."""

from .event.recording import Slice, timeline
from .model.report import SimReport
from .simulate import LEVELS, simulate

__all__ = ["LEVELS", "SimReport", "Slice", "simulate", "timeline"]
