"""Who is told of a run while it trains, and which files its metrics go to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ...backend.errors import UserError
from ...backend.optim import Settings
from ..checkpoint import Checkpoint
from ..jax.shards.processes import is_first
from .logs import LogFunction, metrics_file, tensorboard
from .report import Progress


@dataclass(frozen=True)
class Reporting:
    """The callbacks of a run and the directory of its metrics, by default that of checkpoints."""

    on_start: Callable[[Settings], None] | None = None
    on_progress: Callable[[Progress], None] | None = None
    log: Path | None = None
    tensorboard: bool = False

    def logs(self, checkpoints: Path | None, start: Checkpoint | None) -> list[LogFunction]:
        """The files of metrics, open; none in processes but the first.

        Raises UserError if TensorBoard scalars have no directory.
        """
        directory = self.log or checkpoints
        if directory is None:
            if self.tensorboard:
                raise UserError(
                    "TensorBoard scalars",
                    expected="a directory to write them to",
                    got="neither log nor checkpoint",
                    change="give one of them",
                )
            return []
        if not is_first():
            return []
        samples = 0 if start is None else start.header.samples
        logs = [metrics_file(directory, samples)]
        return logs + ([tensorboard(directory, samples)] if self.tensorboard else [])
