"""Normalizations: what is only applied again needs no sums."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from weft.backend.nn.online_norm import OnlineNorm
from weft.compiler.pipeline import Options, compile_model
from weft.compiler.plan.plan import Plan


def _compiled(*, recompute: bool) -> Plan:
    torch.manual_seed(0)
    norm = nn.Sequential(nn.Conv2d(3, 8, 3), OnlineNorm(8), nn.ReLU(), nn.Conv2d(8, 8, 3))
    model = nn.Sequential(norm, nn.Flatten(), nn.Linear(8 * 64, 4))
    sample = torch.zeros(1, 3, 12, 12), torch.zeros(1, dtype=torch.long)
    options = Options(recompute=recompute, granularity="block", witness=False)
    return compile_model(model, sample, F.cross_entropy, options=options)


def test_a_normalization_that_is_done_again_sums_nothing():
    """It has the statistics from before the sample; those after it are not asked for again."""
    stages = _compiled(recompute=True).document.stages
    found = [o for s in stages for o in s.operators if o.operator == "weft.online_norm.default"]
    first = next(o for o in found if o.phase == "forward")
    again = next(o for o in found if o.phase == "backward")
    assert first.steps
    assert not again.steps
    assert again.network_cycles == 0
    assert 0 < again.compute_cycles < first.compute_cycles


def test_the_statistics_of_the_sample_are_summed_where_they_are_kept():
    stages = _compiled(recompute=False).document.stages
    found = [o for s in stages for o in s.operators if o.operator == "weft.online_norm.default"]
    assert [o.phase for o in found] == ["forward"]
    assert found[0].steps
