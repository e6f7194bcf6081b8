"""A training run while it goes on, in a line on standard error."""

from __future__ import annotations

import math
from collections.abc import Callable

from ...backend.live_line import LiveLine
from ...backend.optim import Settings, settings_text
from .report import Progress


class TrainingLine:
    """Loss, accuracy and samples/s on one live line; it stays when the run has ended."""

    def __init__(self, label: str) -> None:
        self._label, self._line = label, LiveLine()
        self._latest: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        """Show where the run is."""
        self._latest = progress
        self._line(self._text(progress))

    def start(self, optimizer: Settings) -> None:
        """Show what is trained with."""
        self._line(f"  {self._label}: {settings_text(optimizer)}", final=True)

    def beside(
        self,
        on_start: Callable[[Settings], None] | None,
        on_progress: Callable[[Progress], None] | None,
    ) -> tuple[Callable[[Settings], None], Callable[[Progress], None]]:
        """Functions that tell this line, and those given."""

        def started(optimizer: Settings) -> None:
            self.start(optimizer)
            if on_start is not None:
                on_start(optimizer)

        def went_on(progress: Progress) -> None:
            self(progress)
            if on_progress is not None:
                on_progress(progress)

        return started, went_on

    def close(self) -> None:
        """Leave the last state on the screen."""
        if self._latest is not None:
            self._line(self._text(self._latest), final=True)

    def _text(self, progress: Progress) -> str:
        tested = "" if progress.test_loss is None else f"  test loss {progress.test_loss:.4f}"
        if progress.accuracy is not None:
            tested = f"  test {progress.accuracy * 100:.1f} %"
        skipped = f"  {progress.skipped} updates skipped" if progress.skipped else ""
        maps = f"  stages that need a new map: {progress.new_maps}" if progress.new_maps else ""
        has_trained = progress.samples_per_s > 0
        speed = f"  {progress.samples_per_s:,.0f} samples/s" if has_trained else ""
        is_known = has_trained or not math.isnan(progress.loss)
        loss = f"  loss {progress.loss:.4f}" if is_known else ""
        done = f"{progress.samples:,}/{progress.total:,} samples"
        return f"  {self._label}: {done}{loss}{tested}{speed}{skipped}{maps}"
