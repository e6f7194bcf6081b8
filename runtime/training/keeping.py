"""What a run keeps on disk, and the checkpoint that it goes on from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...backend.errors import UserError
from ...compiler.plan.plan import Plan
from ...compiler.recipes.recipe import Recipe
from ..checkpoint import Checkpoint, Header, Store, newest, plan_fingerprint
from ..data import Splits
from ..jax.shards.processes import is_first


@dataclass(frozen=True)
class Keeping:
    """Directory of checkpoints, samples between them, how many stay, and where a run goes on from.

    None for `every` and `keep` is what the run began with: an epoch, and 3.
    """

    checkpoint: Path | None = None
    every: int | None = None
    keep: int | None = None
    resume: Path | None = None

    def start(self) -> Checkpoint | None:
        """The checkpoint that the run goes on from. Raises CheckpointFileError if it is damaged."""
        return None if self.resume is None else newest(self.resume)

    def directory(self, start: Checkpoint | None) -> Path | None:
        """Where checkpoints go: None if nothing is kept."""
        if self.checkpoint is not None:
            return self.checkpoint
        return None if start is None else start.path.parent

    def header(
        self,
        plan: Plan,
        recipe: Recipe,
        data: Splits,
        executor: str | None,
        start: Checkpoint | None,
    ) -> Header:
        """What all checkpoints of the run say; a resumed run goes on as it was begun.

        Raises UserError unless `start` is of this plan, these data and this executor.
        """
        before = None if start is None else start.header
        header = Header(
            weft_version=plan.document.weft_version,
            plan=plan_fingerprint(plan),
            executor=executor or (before.executor if before else "jax"),
            mode=recipe.pipeline.mode,
            recipe=recipe.model_dump(mode="json"),
            data=data.name,
            data_digest=data.train.digest,
            epoch_samples=len(data.train),
            seed=recipe.seed,
            samples=0,
            scores=(),
            every=_positive("every", self.every) or (before.every if before else len(data.train)),
            keep=_positive("keep", self.keep) or (before.keep if before else 3),
        )
        if start is not None:
            _check_same_run(start, header)
        return header

    def store(self, header: Header, plan: Plan, start: Checkpoint | None) -> Store | None:
        """The directory of checkpoints, made and checked; None if nothing is kept."""
        directory = self.directory(start)
        if directory is None:
            return None
        store = Store(directory, header, writes=is_first())
        store.prepare(plan, is_same_run=start is not None and start.path.parent == directory)
        return store


def _positive(name: str, value: int | None) -> int | None:
    if value is not None and value < 1:
        raise UserError(
            name, expected="a number of at least 1", got=str(value), change=f"correct {name}"
        )
    return value


def _check_same_run(start: Checkpoint, header: Header) -> None:
    """Raises UserError unless the checkpoint is of this plan, these data and this executor."""
    kinds = {
        "plan": "the plan it was made of (same stages, same masks)",
        "data_digest": f"the training data it was made with, '{start.header.data}'",
        "executor": f"executor {start.header.executor}: another one cannot take over in flight",
        "mode": f"mode {start.header.mode}",
        "seed": f"seed {start.header.seed}",
    }
    for name, expected in kinds.items():
        if getattr(start.header, name) != getattr(header, name):
            raise UserError(
                f"resume from {start.path}",
                expected=expected,
                got=f"{name.partition('_')[0]} {str(getattr(header, name))[:16]}",
                change="resume with what the run began with; to go on with something else, take"
                " the weights: weft checkpoint export",
            )
