"""What a run writes down while it goes on: metrics.jsonl, TensorBoard scalars."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from ...backend.pacing import PacedPass
from ...backend.packages import package
from ..checkpoint import named

LoggedValue = float | int | None | list[dict[str, int | float | str]]
LoggedRecord = Mapping[str, LoggedValue]
LogFunction = Callable[[LoggedRecord], None]
"""Told of each chunk: samples (trained so far), epoch, loss (the mean of the losses that came out),
learning_rate, those of DECAYS that the rule has, skipped_updates (so far), samples_per_s; where
masks change, sparsity, the share of the masked weights that are zero, and where they grow in
room only refused_growth, how many weights had none since the run began or went on; after a
test test_accuracy, test_loss and the scores asked for, and validation_accuracy and so on where a
part is held out; new_maps, a list of the stages whose masks were found to have outgrown the map,
where there are. With training.rebuilding_error the largest rebuilding_error of any stage, and
rebuilding_errors, a list of (stage, error). Where a pass of a self-paced sampler ends, what
`pass_record` says of it."""

DECAYS = ("momentum", "beta_1", "beta_2")
"""Constants of an update rule that each record has."""

METRICS_FILE = "metrics.jsonl"


def pass_record(ended: PacedPass) -> dict[str, LoggedValue]:
    """A pass of a self-paced sampler: its number, how many samples it took and left out, their mean
    losses as last known, and what it took of each class and of each cluster."""
    return {
        "pass": ended.number,
        "pass_samples": ended.samples,
        "pass_left_out": ended.left_out,
        "pass_mean_loss": ended.mean_loss_taken,
        "pass_mean_loss_left_out": ended.mean_loss_left_out,
        "pass_classes": [{"class": c, "samples": n} for c, n in ended.by_class.items()],
        "pass_clusters": [{"cluster": c, "samples": n} for c, n in ended.by_cluster.items()],
    }


def metrics_file(directory: Path, samples: int = 0) -> LogFunction:
    """Appends each record as a line of metrics.jsonl.

    A run that starts at `samples` keeps the lines up to there and drops what follows: lines of
    samples that it trains again, and one that a killed process did not finish.
    """
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / METRICS_FILE
    kept = [line for line in _lines(path) if _samples(line) <= samples] if samples else []
    path.write_text("".join(f"{line}\n" for line in kept))

    def log(record: LoggedRecord) -> None:
        line = json.dumps({k: _json_value(v) for k, v in record.items()}) + "\n"
        try:
            with path.open("a") as file:
                file.write(line)
        except OSError as error:
            raise named(error, path) from error

    return log


def tensorboard(directory: Path, samples: int = 0) -> LogFunction:
    """Writes each number of a record as a TensorBoard scalar of the same name.

    Raises UserError without the tensorboard package.
    """
    board = package("torch.utils.tensorboard", "TensorBoard scalars", "weft[tensorboard]")
    writer = board.SummaryWriter(str(directory), purge_step=samples + 1 if samples else None)

    def log(record: LoggedRecord) -> None:
        step = record["samples"]
        for name, value in record.items():
            if name != "samples" and isinstance(value, int | float):
                writer.add_scalar(name, value, step)
        writer.flush()

    return log


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


def _samples(line: str) -> float:
    try:
        return json.loads(line)["samples"]
    except (ValueError, KeyError, TypeError):
        return math.inf


def _json_value(value: LoggedValue) -> LoggedValue:
    """JSON has no NaN and no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
