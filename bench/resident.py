"""What a process holds in memory, as Linux counts it."""

from __future__ import annotations

import resource
from dataclasses import dataclass
from pathlib import Path

_MIB = 1024**2
_ROLLUP = Path("/proc/self/smaps_rollup")


@dataclass(frozen=True)
class Resident:
    """`peak_mib` is the most the process ever held; `own_mib` is what it holds now that is no
    page of a file, which every process that maps the same libraries shares. None where the system
    does not tell."""

    peak_mib: float
    own_mib: float | None

    @staticmethod
    def now() -> Resident:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MIB
        if not _ROLLUP.exists():
            return Resident(peak, None)
        fields = dict(line.split(":", 1) for line in _ROLLUP.read_text().splitlines()[1:])
        return Resident(peak, int(fields["Anonymous"].split()[0]) * 1024 / _MIB)

    def text(self) -> str:
        """Both, in words."""
        own = "" if self.own_mib is None else f", {self.own_mib:.0f} MiB of them no file's"
        return f"{self.peak_mib:.0f} MiB{own}"
