"""One probe: whether weft takes it, and whether executors compute what eager torch does."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("expecttest")  # what torch's database is loaded with


pytest.importorskip("jax")


from weft.bench.operators import judge, sweep
from weft.bench.operators.judge import Answer, SampleVerdict
from weft.bench.operators.probe import Probe


def test_an_operator_without_a_kernel_is_refused_by_name():
    (row,) = sweep.rows(sweep.operators(["kthvalue"]), samples=1, jax_samples=0)
    assert row.verdict == SampleVerdict("refused", "operator aten.kthvalue.default")
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
    assert verdict == SampleVerdict("wrong", kind)
    assert judge.judge(probe, answer, judge.wide_target(), with_jax=True).jax == "right"
