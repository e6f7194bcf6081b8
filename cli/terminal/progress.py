"""A training run while it goes on, and what it gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from .console import LiveLine

if TYPE_CHECKING:
    from ...backend.optim import Settings
    from ...runtime.checkpoint import Score
    from ...runtime.training.trainer import Progress, RunReport


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
        typer.echo(f"  {self._label}: {optimizer_text(optimizer)}", err=True)

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
        return (
            f"  {self._label}: {progress.samples:,}/{progress.total:,} samples"
            f"  loss {progress.loss:.4f}{tested}  {progress.samples_per_s:,.0f} samples/s{skipped}"
            f"{maps}"
        )


def optimizer_text(optimizer: Settings) -> str:
    """The constants of an update rule in one line: "sgdm, learning rate 1e-05, ..."."""
    values = dict(optimizer)
    name = values.pop("optimizer")
    flags = {n: v for n, v in values.items() if isinstance(v, bool)}
    shown = [f"{_words(n)} {_constant(v)}" for n, v in values.items() if n not in flags]
    return ", ".join([str(name), *shown, *[_words(n) for n, v in flags.items() if v]])


def _words(name: str) -> str:
    return name.replace("_", " ")


def _constant(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.6g}"


def run_facts(run: RunReport) -> list[tuple[str, str]]:
    """The result of a run as (name, readable value)."""
    samples = len(run.losses)
    since = f" since sample {run.first_loss:,}" if run.first_loss else ""
    return [
        *[fact for score in run.last_scores for fact in score_facts(score)],
        ("optimizer", optimizer_text(run.optimizer)),
        ("speed", f"{run.samples_per_s:,.0f} samples/s with the {run.executor} executor"),
        (
            "run",
            f"{samples:,} samples{since} in {_epochs(run.epochs)}, {run.mode}:"
            f" {run.compile_s:.1f} s compiling, {run.train_s:.1f} s training and testing,"
            f" {run.data_wait_s:.1f} s of them waiting for data",
        ),
        *_memory_facts(run),
        *_skipped_facts(run),
        *[("new map needed", str(new)) for new in run.new_maps],
        *[("growth refused", f"{n:,} weights of {name}") for name, n in run.refused_growth.items()],
    ]


def score_facts(score: Score) -> list[tuple[str, str]]:
    """The result of a test as (name, readable value): "test accuracy", "94.00 %" and so on."""
    nats = "" if score.accuracy is None else " nats per label"
    shares = ("accuracy", "dice")
    return [
        (
            name.replace("_", " "),
            f"{value * 100:.2f} %"
            if name.endswith(shares) or "_top" in name
            else f"{value:.4f}{nats * name.endswith('_loss')}",
        )
        for name, value in score.values.items()
    ]


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def _memory_facts(run: RunReport) -> list[tuple[str, str]]:
    if run.state_bytes is None or run.temporary_bytes is None:
        return []
    kept, beside = (f"{size:,}" for size in (run.state_bytes, run.temporary_bytes))
    return [("memory", f"{kept} bytes of weights, states and FIFOs, {beside} of XLA's temporaries")]


def _skipped_facts(run: RunReport) -> list[tuple[str, str]]:
    if not run.skipped:
        return []
    stage = max(run.skipped, key=lambda name: run.skipped[name])
    text = f"{sum(run.skipped.values()):,} (not finite); most at {stage}: {run.skipped[stage]:,}"
    return [("skipped updates", text)]


def run_data(run: RunReport) -> dict[str, Any]:
    """The result of a run as plain data; losses are left out."""
    recent = run.losses[-256:]
    return {
        "executor": run.executor,
        "mode": run.mode,
        "optimizer": dict(run.optimizer),
        "activations": run.activations,
        "epochs": run.epochs,
        "samples": len(run.losses),
        "first_loss": run.first_loss,
        **{name: value for score in run.last_scores for name, value in score.values.items()},
        "accuracies": [list(pair) for pair in run.accuracies],
        "skipped_updates": dict(run.skipped),
        "new_maps": [new.data() for new in run.new_maps],
        "refused_growth": dict(run.refused_growth),
        "final_loss": float(recent.mean()),
        "samples_per_s": run.samples_per_s,
        "compile_s": run.compile_s,
        "train_s": run.train_s,
        "data_wait_s": run.data_wait_s,
        "state_bytes": run.state_bytes,
        "temporary_bytes": run.temporary_bytes,
    }
