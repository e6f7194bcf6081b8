"""Which numbers a witness computes with: those of the model, or seeded ones where it has none."""

from __future__ import annotations

import torch
from helpers.witnessed import SAMPLE, compiled
from torch import nn
from weft.compiler.capture.sample import OneSample
from weft.compiler.witness.values import values_of


def test_a_model_without_numbers_gets_some():
    plan, verdict = compiled(
        nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 3)).to("meta"),
        sample=tuple(value.to("meta") for value in SAMPLE),
    )
    assert plan.document.witness == "float64"
    assert verdict.counts["gradient"] == 6
    assert not plan.tensors


def test_another_model_stands_in_for_one_that_is_too_large():
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    other = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    sample = tuple(value.to("meta") for value in SAMPLE)
    assert compiled(model, sample=sample, witness_model=other)[1].distance < 1e-14


def test_state_of_equal_elements_gets_positive_noise():
    model = nn.BatchNorm1d(4)
    model.register_buffer("count", torch.zeros(()))
    model.register_buffer("table", torch.arange(3.0))
    found = values_of(OneSample(model, None), (torch.ones(1, 4),), torch.float64).buffers
    for name, centre in (("running_mean", 0), ("running_var", 1)):
        assert (found[name] > centre).all()
        assert (found[name] < centre + 0.25).all()
        assert len(set(found[name].tolist())) == 4
    assert float(found["count"]) == 0.0
    assert found["table"].tolist() == [0.0, 1.0, 2.0]
