"""What does not fit, as text: numbers, the largest contributor and the best lever first."""

from __future__ import annotations

from weft.compiler.plan.infeasible import Contributor, InfeasibleReport, ProposedLever

REPORT = InfeasibleReport(
    "stage 'a'",
    "wafer",
    demand=150,
    bound=100,
    unit="PEs",
    contributors=(Contributor("small", 10), Contributor("large", 140)),
    try_levers=lambda: (
        ProposedLever("halve it", 120, 100),
        ProposedLever("other bytes", 110, 100, "bytes of the fullest PE"),
        ProposedLever("recompute", 90, 100),
    ),
)


def test_the_largest_and_the_best_come_first() -> None:
    lines = REPORT.text().splitlines()
    assert "demand 150 PEs, bound 100, gap 50" in lines[1]
    assert [line.split()[-1] for line in lines[3:5]] == ["large", "small"]
    assert [line.split("PEs")[-1].strip() for line in lines[6:8]] == [
        "recompute (fits)",
        "halve it (still 20 too many)",
    ]
    assert "other bytes" in lines[8]  # a stage that does not fit a PE is further away


def test_the_error_proposes_what_fits() -> None:
    error = REPORT.error()
    assert error.change == "recompute"
    assert "50 too many" in str(error)


def test_levers_are_tried_when_they_are_read() -> None:
    tried = []

    def levers() -> list[ProposedLever]:
        tried.append(1)
        return [ProposedLever("half the weights", 50, 60), ProposedLever("a larger wafer", 80, 60)]

    contributors = (Contributor("weights", 100),)
    error = InfeasibleReport("stage 1", "wse2", 100, 60, "bytes", contributors, levers).error()
    assert (error.where, error.got) == ("stage 1 on wse2", "100 bytes (40 too many)")
    assert tried == []
    assert "change:   half the weights" in str(error)
    assert "still 20 too many" in error.report
    assert tried == [1]
