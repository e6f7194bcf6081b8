"""What a training run gave, as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...runtime.training.trainer import RunReport


def run_data(run: RunReport) -> dict[str, Any]:
    """The result of a run as plain data; losses are left out."""
    from ...runtime.training.logs import pass_record

    recent = run.losses[-256:]
    return {
        "executor": run.executor,
        "mode": run.mode,
        "optimizer": dict(run.optimizer),
        "activations": run.activations,
        "epochs": run.epochs,
        "samples": len(run.losses),
        "first_loss": run.first_loss,
        "resumed_at": run.resumed_at,
        **{name: value for score in run.last_scores for name, value in score.values.items()},
        "accuracies": [list(pair) for pair in run.accuracies],
        "skipped_updates": dict(run.skipped),
        "new_maps": [new.data() for new in run.new_maps],
        "rebuilding_errors": dict(run.rebuilding_errors),
        "refused_growth": dict(run.refused_growth),
        "passes": [pass_record(ended) for ended in run.passes],
        "final_loss": float(recent.mean()) if len(recent) else None,
        "samples_per_s": run.samples_per_s,
        "compile_s": run.compile_s,
        "train_s": run.train_s,
        "data_wait_s": run.data_wait_s,
        "state_bytes": run.state_bytes,
        "temporary_bytes": run.temporary_bytes,
    }
