"""A slice of the sweep over torch's operator database, and what the judge tells apart."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("expecttest")  # what torch's database is loaded with
pytest.importorskip("jax")

from weft.bench.operators import judge, sweep
from weft.bench.operators.judge import Answer, Verdict
from weft.bench.operators.probe import Probe

SLICE = ["nn.functional.softshrink", "view_as", "linalg.solve", "norm", "normal"]


@pytest.fixture(scope="module")
def rows():
    return list(sweep.rows(sweep.operators(SLICE), samples=1, jax_samples=1))


def test_a_slice_is_right(rows):
    assert [row.operator for row in rows] == sorted(SLICE, key=[*sweep.operators()].index)
    assert {row.verdict.kind for row in rows} == {"right"}
    by_jax = {row.operator: row.verdict.jax for row in rows}
    assert by_jax.pop("normal") == ""  # which draws: the witness alone judges
    assert set(by_jax.values()) == {"right"}


def test_rows_survive_a_file_and_are_not_run_again(rows, tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(row.line() + "\n" for row in rows) + '{"cut off')
    assert sweep.read(path) == rows
    assert list(sweep.rows(sweep.operators(SLICE), 1, 1, rows)) == []


def test_an_operator_without_a_kernel_is_refused_by_name():
    (row,) = sweep.rows(sweep.operators(["kthvalue"]), samples=1, jax_samples=0)
    assert row.verdict == Verdict("refused", "operator aten.kthvalue.default")
    total = sweep.summary([row])
    assert (total.samples, total.refused, total.passed) == (1, 1, False)


@pytest.mark.parametrize("kind", ["loss", "output 0", "gradient of half_0"])
def test_another_number_is_wrong(kind):
    entry = sweep.operators(["sin"])["sin"]
    sample = next(iter(entry.sample_inputs("cpu", torch.float64, requires_grad=False)))
    probe, answer = judge.answered(iter([Probe(entry.op, sample, [True])]))
    changed = {
        "loss": lambda: Answer(answer.loss + 1e-6, answer.outputs, answer.gradients),
        "output 0": lambda: Answer(answer.loss, (-answer.outputs[0],), answer.gradients),
        "gradient of half_0": lambda: Answer(
            answer.loss, answer.outputs, {n: 2 * g for n, g in answer.gradients.items()}
        ),
    }
    verdict = judge.judge(probe, changed[kind](), judge.wide_target(), with_jax=True)
    assert verdict == Verdict("wrong", kind)
    assert judge.judge(probe, answer, judge.wide_target(), with_jax=True).jax == "right"
