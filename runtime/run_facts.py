"""What a training run gave, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..backend.optim import settings_text

if TYPE_CHECKING:
    from .checkpoint import Score

Run = Any
"""A `RunReport` of training, which has itself in words by these functions."""


def run_facts(run: Run) -> list[tuple[str, str]]:
    """The result of a run as (name, readable value)."""
    rate = f"{run.samples_per_s:,.0f} samples/s with the {run.executor} executor"
    return [
        *[fact for score in run.last_scores for fact in score_facts(score)],
        ("optimizer", settings_text(run.optimizer)),
        ("speed", rate if run.trained else "nothing was left to train"),
        *_resumed_facts(run),
        (
            "run",
            f"{run.trained:,} samples in {_epochs(run.epochs)}, {run.mode}:"
            f" {run.compile_s:.1f} s compiling, {run.train_s:.1f} s training and testing"
            f"{wait_text(run.data_wait_s, run.train_s)}",
        ),
        *_memory_facts(run),
        *_skipped_facts(run),
        *_rebuilding_facts(run),
        *_pass_facts(run),
        *[("new map needed", str(new)) for new in run.new_maps],
        *[("growth refused", f"{n:,} weights of {name}") for name, n in run.refused_growth.items()],
    ]


def wait_text(waited_s: float, train_s: float) -> str:
    """How long training waited for data, where that is 1 % of the time or more."""
    if waited_s < 0.01 * train_s or not waited_s:
        return ""
    return f", {waited_s:.1f} s of them waiting for data"


def score_facts(score: Score) -> list[tuple[str, str]]:
    """The result of a test as (name, readable value): "test accuracy", "94.00 %" and so on."""
    nats = "" if score.accuracy is None else " nats per label"
    shares = ("accuracy", "dice")
    return [
        (
            name.replace("_", " "),
            f"{value * 100:.2f} %"
            if name.endswith(shares) or "_top" in name
            else f"{value * 100:.2f} points"
            if name.endswith("accuracy_spread")
            else f"{value:.4f}{nats * name.endswith('_loss')}",
        )
        for name, value in score.values.items()
    ]


def _epochs(count: int) -> str:
    return "1 epoch" if count == 1 else f"{count} epochs"


def _resumed_facts(run: Run) -> list[tuple[str, str]]:
    """Where a resumed run begins, and whose losses it has besides."""
    if not run.resumed_at:
        return []
    flying = run.resumed_at - run.first_loss
    also = f", {flying:,} of them in flight: this run has their losses, too" if flying else ""
    return [("resumed", f"after {run.resumed_at:,} samples{also}")]


def _rebuilding_facts(run: Run) -> list[tuple[str, str]]:
    if not run.rebuilding_errors:
        return []
    worst = max(run.rebuilding_errors, key=lambda stage: run.rebuilding_errors[stage])
    share = run.rebuilding_errors[worst]
    return [("rebuilding error", f"at most {share:.2%} of what a stage read, in {worst}")]


def _pass_facts(run: Run) -> list[tuple[str, str]]:
    if not run.passes:
        return []
    last, classes = run.passes[-1], run.passes[-1].by_class.values()
    took = f"the last took {last.samples:,} of {last.samples + last.left_out:,} samples"
    each = f"{min(classes):,} to {max(classes):,} of each class"
    return [("passes", f"{len(run.passes)} of the self-paced sampler: {took}, {each}")]


def _memory_facts(run: Run) -> list[tuple[str, str]]:
    if run.state_bytes is None or run.temporary_bytes is None:
        return []
    kept, beside = (f"{size:,}" for size in (run.state_bytes, run.temporary_bytes))
    return [("memory", f"{kept} bytes of weights, states and FIFOs, {beside} of XLA's temporaries")]


def _skipped_facts(run: Run) -> list[tuple[str, str]]:
    if not run.skipped:
        return []
    stage = max(run.skipped, key=lambda name: run.skipped[name])
    text = f"{sum(run.skipped.values()):,} (not finite); most at {stage}: {run.skipped[stage]:,}"
    return [("skipped updates", text)]
