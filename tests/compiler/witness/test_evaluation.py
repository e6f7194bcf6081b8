"""Predictions draw nothing: they are those of `model.eval()`, whatever the executor."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import weft
from torch import Tensor, nn
from weft.compiler.capture.capture import capture
from weft.compiler.stages.cut import cut
from weft.compiler.witness.evaluation import without_draws
from weft.runtime.probe import EXECUTORS


class FlooredPath(nn.Module):
    """Stochastic depth as transformers writes it."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        kept = 0.8 + torch.rand((x.shape[0], 1), dtype=x.dtype)
        return x.div(0.8) * kept.floor_()


class BernoulliPath(nn.Module):
    """Stochastic depth as timm writes it."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * x.new_empty((x.shape[0], 1)).bernoulli_(0.7).div_(0.7)


class Attention(nn.Module):
    """Attention whose shares drop out, over the features as tokens of width 3."""

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.reshape(1, 1, 4, 3)
        p = 0.4 if self.training else 0.0
        return F.scaled_dot_product_attention(tokens, tokens, tokens, dropout_p=p).reshape(1, 12)


class Maps(nn.Module):
    """Dropout of whole channels that keeps mean and variance, over features as two of them."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = nn.FeatureAlphaDropout(0.3)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(x.reshape(1, 2, 2, 3)).reshape(1, 12)


def model() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Linear(9, 12), nn.Dropout(0.5), FlooredPath(), nn.Linear(12, 12), Attention()]
    layers += [nn.RReLU(), nn.AlphaDropout(0.4), nn.Linear(12, 12), nn.RReLU(0.0, 1.0), Maps()]
    return nn.Sequential(*layers, BernoulliPath(), nn.Linear(12, 3))


SAMPLE = torch.zeros(1, 9), torch.zeros(1, dtype=torch.int64)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_predictions_are_those_of_eval(executor: str) -> None:
    if executor == "torch-xla" and find_spec("torch_xla") is None:
        pytest.skip("torch_xla is missing: pip install 'weft[torch-xla]'")
    net = model()
    plan = weft.compile(net, SAMPLE, loss=F.cross_entropy, target="tiny_mesh")
    x = np.random.default_rng(0).standard_normal((5, 9)).astype(np.float32)
    (got,) = weft.predict(plan, (x,), executor=executor)
    expected = net.eval()(torch.from_numpy(x[:1])).detach().numpy()
    # float32, and a mask's mean times its scale may miss 1 by an ulp
    np.testing.assert_allclose(got[:1], expected, rtol=1e-5, atol=1e-6)


def test_programs_that_draw_nothing_stay_as_they_are() -> None:
    stages = cut(capture(model(), SAMPLE, F.cross_entropy))
    drawing = ["weft.uniform" in str(s.program.forward.graph) for s in stages.stages]
    quiet = without_draws(stages).stages
    assert any(drawing)
    assert not all(drawing)
    for stage, other, draws in zip(stages.stages, quiet, drawing, strict=True):
        assert (other.program.forward is stage.program.forward) is not draws
        assert other.program.backward is stage.program.backward
