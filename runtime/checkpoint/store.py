"""The checkpoints of a run: DIR/step-000001280, ..., the last few kept."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ...backend.errors import CheckpointFileError, UserError
from ...compiler.plan.plan import Plan
from . import file
from .file import HEADER_FILE, SCRATCH_PREFIX, Checkpoint, Header
from .score import Score

PLAN_DIRECTORY = "plan"
"""The plan of the run lies beside its checkpoints, so that they can be drained anywhere."""

_PREFIX = "step-"


@dataclass(frozen=True)
class Store:
    """Where a run writes its checkpoints, every how many samples, and how many it keeps.

    `header` is the part that stays the same for the whole run. Of several processes in a run one
    `writes`; the others only know where.
    """

    directory: Path
    header: Header
    writes: bool = True

    def write(
        self,
        samples: int,
        scores: tuple[Score, ...],
        tensors: Mapping[str, Tensor],
        order: Mapping[str, Tensor] | None = None,
    ) -> Path:
        """Write the checkpoint of `samples`; remove those of later samples and the oldest.

        `tensors` are an executor's snapshot, `order` is the state of the samples' order.

        Later ones are left from a course that this run, which started before them, does not take.
        """
        path = self.directory / f"{_PREFIX}{samples:09d}"
        if not self.writes:
            return path
        header = replace(self.header, samples=samples, scores=scores)
        file.write(path, header, tensors, order or {})
        found = found_in(self.directory)
        here = found.index(path)
        for old in (*found[: max(0, here + 1 - self.header.keep)], *found[here + 1 :]):
            file.remove(old)
        return path

    def prepare(self, plan: Plan, is_same_run: bool) -> None:
        """Make the directory with the plan in it; clear what a killed process left unfinished.

        Raises UserError for a directory with the checkpoints of another run.
        """
        if not is_same_run and found_in(self.directory):
            raise UserError(
                f"checkpoint directory {self.directory}",
                expected="a directory without checkpoints",
                got=f"one with {len(found_in(self.directory))} of an earlier run",
                change=f"continue that run with --resume {self.directory}, or choose another",
            )
        if not self.writes:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        for pattern in (f"{SCRATCH_PREFIX}*", f".{PLAN_DIRECTORY}.*"):
            for left in self.directory.glob(pattern):
                shutil.rmtree(left, ignore_errors=True)
        if not is_same_run or not (self.directory / PLAN_DIRECTORY).is_dir():
            plan.save(self.directory / PLAN_DIRECTORY)


def plan_fingerprint(plan: Plan) -> str:
    """SHA-256 of what a checkpoint depends on: the plan's stages and its masks."""
    found = hashlib.sha256(plan.document.fingerprint.encode())
    for name, mask in sorted(plan.masks.items()):
        found.update(f"{name} {tuple(mask.shape)}\n".encode())
        found.update(np.packbits(mask.cpu().numpy()).tobytes())
    return found.hexdigest()


def digest_of(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of tensors by name."""
    found = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return found.hexdigest()


def found_in(directory: Path) -> list[Path]:
    """The checkpoints of a directory, oldest first."""
    steps = [path for path in directory.glob(f"{_PREFIX}*") if _is_step(path)]
    return sorted(steps, key=_samples)


def newest(path: Path) -> Checkpoint:
    """The checkpoint `path`, or the newest one in the directory `path`.

    Raises UserError if there is none, and CheckpointFileError for a damaged one; the message
    offers the newest of those before it that is whole.
    """
    chosen = path if (path / HEADER_FILE).is_file() or _is_step(path) else None
    steps = found_in(path if chosen is None else path.parent)
    if chosen is None:
        chosen = steps[-1] if steps else None
    if chosen is None:
        raise UserError(
            f"checkpoints in {path}",
            expected=f"a directory with checkpoints, {_PREFIX}NUMBER",
            got="none there" if path.is_dir() else "no such directory",
            change="give the directory that --checkpoint of weft train named",
        )
    try:
        return file.read(chosen)
    except CheckpointFileError as error:
        earlier = steps[: steps.index(chosen)] if chosen in steps else []
        raise _with_offer(error, earlier) from error


def _is_step(path: Path) -> bool:
    prefix, number = path.name[: len(_PREFIX)], path.name[len(_PREFIX) :]
    return prefix == _PREFIX and number.isdecimal() and path.is_dir()


def _samples(path: Path) -> int:
    return int(path.name.removeprefix(_PREFIX))


def _with_offer(error: CheckpointFileError, earlier: list[Path]) -> CheckpointFileError:
    """The same error; what to change is to take the newest good one of `earlier`."""
    offer = _newest_whole(earlier)
    change = f"resume from the previous good one: --resume {offer}"
    if offer is None:
        change = "train from the start: no earlier checkpoint here is whole"
    return CheckpointFileError(error.where, expected=error.expected, got=error.got, change=change)


def newest_whole(directory: Path) -> Path | None:
    """The newest checkpoint of a directory that can be read, if there is one."""
    return _newest_whole(found_in(directory))


def _newest_whole(steps: list[Path]) -> Path | None:
    return next((path for path in reversed(steps) if _is_whole(path)), None)


def _is_whole(path: Path) -> bool:
    try:
        file.read(path)
    except CheckpointFileError:
        return False
    return True
