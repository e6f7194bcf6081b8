"""One floating-point type for a whole computation, whatever types its operators ask for."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import weft
from torch import nn
from weft.compiler.capture.sample import OneSample
from weft.compiler.witness.witness import level_of


def test_large_models_are_run_in_single_precision_or_not_at_all():
    def level(width, device):
        with torch.device(device):
            return level_of(OneSample(nn.Linear(width, width), None))

    assert level(4400, "meta") == "float64"
    assert level(4500, "meta") == "float32"
    assert level(24000, "meta") == "structure"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("eps", [None, 0.1, 1e-5])
def test_the_epsilon_of_rms_norm_is_of_the_type_that_it_computes_in(dtype, eps):
    """Which it is, eager torch says: of a vector as small as the default one's root."""
    model = nn.Sequential(nn.Linear(8, 8), nn.RMSNorm(8, eps=eps), nn.Linear(8, 4)).to(dtype)
    sample = torch.randn(1, 8, dtype=dtype), torch.randn(1, 4, dtype=dtype)
    plan = weft.compile(model, sample, F.mse_loss, "wse2")
    assert plan.document.witness == "float64"
    nodes = [n for s in plan.stages.stages for n in s.program.forward.graph.nodes]
    (own,) = [n.args[1] for n in nodes if n.target is torch.ops.aten.add.Scalar]
    x = torch.full((1, 8), 3e-4, dtype=dtype)
    wide = x.double() * (x.double() ** 2).mean().add(own).rsqrt()
    torch.testing.assert_close(F.rms_norm(x, (8,), eps=eps), wide.to(dtype))
