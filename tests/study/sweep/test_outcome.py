"""A point's outcome as one flat object."""

from __future__ import annotations

from weft.study.sweep.outcome import Outcome, Simulated

FIGURES = Simulated(
    2e6, 425.0, 2e-4, 120, 1, 5, 0.5, "compute: s01:a", {"latency_s": [1e-4, 3e-4]}, []
)


def test_figures_lie_beside_what_fits() -> None:
    data = Outcome(FIGURES).to_dict()
    assert data["fits"]
    assert (data["pes"], data["interval_cycles"]) == (120, 425.0)
    assert "reason" not in data


def test_without_figures_there_is_a_reason() -> None:
    assert Outcome(None, "too large", "fewer").to_dict() == {
        "fits": False,
        "reason": "too large",
        "change": "fewer",
    }
