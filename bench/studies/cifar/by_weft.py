"""A run at batch size 1: `weft.train`, with checkpoints, so that it goes on where it stopped."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from safetensors.torch import save_file

from ....backend.errors import DivergedError
from ....compiler.plan.plan import Plan
from ....compiler.recipes.build import compile_recipe
from ....runtime.checkpoint import found_in
from ....runtime.data import Splits
from ....runtime.training.interrupt import Interrupted
from ....runtime.training.keeping import Keeping
from ....runtime.training.report import Progress, RunReport
from ....runtime.training.reporting import Reporting
from ....runtime.training.run import Run
from ..training import RunSetting
from .kept import Clock, RunOutcome
from .recipe import cifar_recipe

_EVERY = 5000
"""Samples between checkpoints."""


def run_by_weft(setting: RunSetting, epochs: int, data: Splits, folder: Path) -> RunOutcome:
    """Train and score; `folder` has the checkpoints meanwhile, and the weights in the end.

    Raises KeyboardInterrupt when the process is asked to stop.
    """
    plan = compile_recipe(cifar_recipe(setting, epochs))
    clock = Clock(folder / "seconds")
    delay = plan.stages.delay(0) if setting.mode == "pipelined" else 0
    seen = [0]

    def on_progress(progress: Progress) -> None:
        clock.keep()
        seen[0] = progress.samples

    try:
        own = data if setting.part == "test" else _untested(data)
        report = _trained(plan, own, folder / "run", Reporting(on_progress=on_progress))
    except DivergedError:
        return RunOutcome(seen[0], None, None, clock.seconds, delay)
    save_file(dict(report.tensors), folder / "weights.safetensors")
    shutil.rmtree(folder / "run")
    score = report.last_scores[-1]
    assert score.part == setting.part
    return RunOutcome(seen[0], score.accuracy, score.loss, clock.seconds, delay)


def _trained(plan: Plan, data: Splits, directory: Path, reporting: Reporting) -> RunReport:
    goes_on = bool(found_in(directory))
    keeping = Keeping(
        checkpoint=None if goes_on else directory,
        every=_EVERY,
        keep=1,
        resume=directory if goes_on else None,
    )
    try:
        return Run(plan, data, keeping=keeping, reporting=reporting).train()
    except Interrupted as stop:  # what it advises is for `weft train`
        raise KeyboardInterrupt("interrupted; the same command goes on from here") from stop


def _untested(data: Splits) -> Splits:
    """Without the test part, which a search does not read."""
    return replace(data, test=None)
