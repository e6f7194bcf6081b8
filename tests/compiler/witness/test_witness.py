"""The model itself is held against its stages when it is compiled."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
import weft
from torch import nn
from weft.backend.errors import UserError
from weft.compiler.capture.sample import OneSample
from weft.compiler.pipeline import Options
from weft.compiler.witness.witness import Verdict, level_of

SAMPLE = torch.tensor([[0.5, -1.0, 2.0, 0.1]]), torch.tensor([1])


class Counting(nn.Module):
    """A buffer that moves, dropout, state kept in attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 6), nn.Linear(6, 3)
        self.register_buffer("mean", torch.zeros(6))
        self.calls, self.kept = 0, []

    def forward(self, x):
        h = F.dropout(torch.tanh(self.first(x)), 0.5)
        self.calls += 1
        self.kept.append(h)
        y = self.second(h - self.mean)
        self.mean = 0.9 * self.mean + 0.1 * h.detach().mean(0)
        return y


def compiled(model, *, sample=SAMPLE, **options):
    """The plan, and the verdict of its witness."""
    found: list[Verdict] = []

    def note(run):
        if run.name == "witness":
            found.append(run.artefact)

    plan = weft.compile(model, sample, F.cross_entropy, "wse2", Options(on_end=note, **options))
    return plan, found[0] if found else None


def test_what_is_compared_is_counted_and_written_into_the_plan():
    plan, verdict = compiled(Counting())
    assert plan.document.witness == verdict.level == "float64"
    assert verdict.counts["gradient"] == 4
    assert verdict.counts["draw"] == verdict.counts["buffer"] == verdict.counts["output"] == 1
    assert verdict.distance < 1e-14


def test_the_model_is_afterwards_as_it_was():
    torch.manual_seed(0)
    model = Counting()
    model.first.weight.grad = torch.ones(6, 4)
    before = copy.deepcopy(model.state_dict())
    torch.manual_seed(7)
    compiled(model)
    assert torch.equal(torch.rand(3), torch.rand(3, generator=torch.Generator().manual_seed(7)))
    assert (model.calls, model.kept) == (0, [])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.first.weight.dtype is torch.float32
    assert torch.equal(model.first.weight.grad, torch.ones(6, 4))
    assert model.first.bias.grad is None


def test_without_a_witness_the_plan_says_so():
    plan, verdict = compiled(Counting(), witness=False)
    assert verdict is None
    assert plan.document.witness == "off"


def test_a_model_without_numbers_gets_some():
    plan, verdict = compiled(
        nn.Sequential(nn.Linear(4, 6), nn.LayerNorm(6), nn.Linear(6, 3)).to("meta"),
        sample=tuple(value.to("meta") for value in SAMPLE),
    )
    assert plan.document.witness == "float64"
    assert verdict.counts["gradient"] == 6
    assert not plan.tensors


def test_large_models_are_run_in_single_precision_or_not_at_all():
    def level(width, device):
        with torch.device(device):
            return level_of(OneSample(nn.Linear(width, width), None))

    assert level(4400, "meta") == "float64"
    assert level(4500, "meta") == "float32"
    assert level(24000, "meta") == "structure"


def test_another_model_stands_in_for_one_that_is_too_large():
    with torch.device("meta"):
        model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    other = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    sample = tuple(value.to("meta") for value in SAMPLE)
    assert compiled(model, sample=sample, witness_model=other)[1].distance < 1e-14


def test_masks_in_force_do_not_count_as_a_difference():
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))
    weft.sparsity.Sparsifier(model, torch.optim.SGD(model.parameters(), 0.1), 0.5)
    zeros = int((model[0].weight == 0).sum())
    plan, _ = compiled(model)
    assert plan.document.witness == "float64"
    assert int((model[0].weight == 0).sum()) == zeros


def test_evaluated_parts_and_frozen_parts_stay_so():
    model = nn.Sequential(nn.Linear(4, 6), nn.Dropout(0.5), nn.Linear(6, 3))
    model[1].eval()
    model[0].requires_grad_(False)
    _, verdict = compiled(model)
    assert verdict.counts["draw"] == 0
    assert verdict.counts["gradient"] == 2


def test_a_model_that_draws_the_same_for_every_sample_is_refused():
    class Seeded(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 3)

        def forward(self, x):
            torch.manual_seed(0)
            return self.inner(F.dropout(x, 0.5))

    with pytest.raises(UserError, match="seed"):
        compiled(Seeded())
