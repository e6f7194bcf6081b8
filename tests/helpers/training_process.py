"""A training run in a process of its own, to be killed."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path

import weft
from weft.runtime.checkpoint import found_in

from .plans_to_train import small_data


def train(
    plan: Path, directory: Path, executor: str, epochs: int, every: int, news: Connection
) -> None:
    """Resumes if there is something to resume from; tells of each chunk."""
    weft.train(
        weft.load(plan),
        small_data(),
        executor=executor,
        epochs=epochs,
        checkpoint=directory,
        every=every,
        resume=directory if found_in(directory) else None,
        on_progress=lambda progress: news.send(progress.samples),
    )
