"""From a checkpoint in flight to the weights alone, which any torch program can load."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import cast

from safetensors.torch import save_file
from torch import Tensor

from ...backend.errors import PlanFileError, UserError
from ...compiler.plan.plan import Plan
from ...compiler.plan.store import load
from ...compiler.recipes.read import make_recipe
from ..executors import make_executor
from ..tick.job import Mode
from ..tick.make_job import make_job
from ..tick.rebuilding_error import without_errors
from ..weights.load import of_model
from .file import Checkpoint
from .store import PLAN_DIRECTORY, plan_fingerprint


def drained(checkpoint: Checkpoint, plan: Path | None = None) -> Plan:
    """The trained plan, once nothing is in flight: its weights, normalization state and masks.

    Every sample that was fed updates every stage; masked weights are zero. `plan` is the plan's
    directory, by default the one beside the checkpoint.
    Raises PlanFileError for a missing plan, UserError for one the checkpoint is not of.
    """
    found = load(_plan_of(checkpoint) if plan is None else plan)
    header = checkpoint.header
    if plan_fingerprint(found) != header.plan:
        raise UserError(
            f"plan of {checkpoint.path}",
            expected="the plan that was trained (same stages, same masks)",
            got="another one",
            change="give the plan of that run with --plan",
        )
    recipe = make_recipe(header.recipe, where=str(checkpoint.path))
    mode = cast(Mode, header.mode)
    job = make_job(found, recipe, recipe.epochs * header.epoch_samples, mode)
    machine = make_executor(header.executor, job, mode)
    machine.restore(checkpoint.tensors)
    machine.flush()
    held = without_errors(machine.tensors())
    tensors = {name: value.contiguous() for name, value in held.items()}
    return replace(found, tensors=tensors, masks=machine.masks())


def export(checkpoint: Checkpoint, file: Path, plan: Path | None = None) -> dict[str, Tensor]:
    """Write the model's tensors of `drained` to a safetensors file, whole or not at all."""
    tensors = of_model(drained(checkpoint, plan).tensors)
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        save_file(tensors, part, {"format": "pt"})  # transformers reads no file without it
        os.replace(part, file)
    finally:
        part.unlink(missing_ok=True)
    return tensors


def _plan_of(checkpoint: Checkpoint) -> Path:
    directory = checkpoint.path.parent / PLAN_DIRECTORY
    if not directory.is_dir():
        raise PlanFileError(
            str(directory),
            expected="the plan that was trained, beside its checkpoints",
            got="no such directory",
            change="give the plan with --plan",
        )
    return directory
