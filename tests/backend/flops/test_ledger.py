"""The FLOP ledger against published tables and against torch's own counter."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from weft.backend.errors import UserError
from weft.backend.flops import module_ledger, run_flops
from weft.sparsity import configure

MODULES: dict[str, tuple[nn.Module, tuple[Any, ...]]] = {
    "convolutions": (
        nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 8, 3, groups=4),
            nn.ConvTranspose2d(8, 4, 2, stride=2),
            nn.Flatten(),
            nn.Linear(4 * 12 * 12, 5),
        ),
        (torch.zeros(1, 3, 16, 16),),
    ),
    "attention": (
        nn.TransformerEncoderLayer(16, 4, 32, batch_first=True),
        (torch.zeros(1, 10, 16),),
    ),
}


@pytest.mark.parametrize("name", MODULES)
def test_the_sum_agrees_with_torchs_counter(name: str) -> None:
    model, inputs = MODULES[name]
    counter = FlopCounterMode(display=False)
    with counter:
        model(*inputs)
    ledger = module_ledger(model, inputs)
    assert ledger.forward.dense == counter.get_total_flops()
    assert ledger.training.dense == 3 * ledger.forward.dense


def test_a_layer_that_runs_twice_counts_twice_and_nothing_is_computed() -> None:
    layer = nn.Linear(4, 4)
    model = nn.Sequential(layer, layer).to("meta")
    assert module_ledger(model, (torch.zeros(1, 4),)).forward.dense == 2 * 2 * 16


def test_masks_of_no_layer_are_refused() -> None:
    with pytest.raises(UserError, match="nothing"):
        module_ledger(
            nn.Linear(2, 2), (torch.zeros(1, 2),), {"nothing": torch.ones(2, dtype=torch.bool)}
        )


def _linear_run(config: dict[str, Any], steps: int, samples: int) -> tuple[Any, Any]:
    model = nn.Sequential(nn.Linear(10, 10, bias=False))
    ledger = module_ledger(model, (torch.zeros(1, 10),))
    return ledger, run_flops(ledger, configure(config).rules(model), steps, samples)


def test_a_run_with_rigl_agrees_with_the_amortised_form() -> None:
    config = {"algorithm": "rigl", "sparsity": 0.9, "update": {"freq": 100}}
    ledger, run = _linear_run(config, 1000, 7)
    amortised = ledger.with_densities({"0.weight": 0.1}).rigl(99) * 7000
    assert run.effective == pytest.approx(amortised.effective)
    assert run.dense == pytest.approx(amortised.dense)


def test_a_run_under_a_schedule_sums_its_steps() -> None:
    schedule = {"type": "linear", "init": 0.0, "slope": 0.01}
    _, run = _linear_run({"algorithm": "gmp", "sparsity": schedule, "update": {"freq": 10}}, 95, 2)
    kept = [100 - 10 * (step // 10) for step in range(95)]
    assert run.effective == pytest.approx(2 * 3 * 2 * sum(kept))
    _, set_run = _linear_run({"algorithm": "set", "sparsity": 0.5}, 95, 2)
    assert set_run.effective == pytest.approx(2 * 3 * 2 * 50 * 95)
