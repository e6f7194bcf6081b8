"""Levers: settings near one that does not fit, each priced before it is pulled."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from helpers.fitting import TINY
from helpers.reversible_chains import network
from torch import nn
from weft.compiler.capture.capture import capture
from weft.compiler.fit.levers import every_lever
from weft.compiler.fit.setting import Fitting, Setting
from weft.compiler.plan.training import Training
from weft.compiler.stages.kept.keeping import ActivationKeeping


def test_reversible_stages_are_the_first_lever_of_a_network_that_has_them():
    model = network("chain", torch.float32)
    sample = torch.zeros(1, 1, 8, 8), torch.zeros(1, dtype=torch.long)
    fitting = Fitting(capture(model, sample, F.cross_entropy), Training())
    levers = {lever.name: lever for lever in every_lever(fitting, Setting(TINY))}
    assert list(levers)[:2] == ["reversible stages", "recompute"]
    assert levers["reversible stages"].setting.keeping == ActivationKeeping(reversible=True)
    assert levers["packing"].setting.keeping == ActivationKeeping(packing="int8")
    for lever in levers.values():
        assert lever.exact == (lever.name not in ("packing", "sparser weights"))
        assert lever.before == fitting.demand(Setting(TINY))
        assert lever.after == fitting.demand(lever.setting)
    mlp = Fitting(capture(nn.Linear(4, 3), _sample(4), F.cross_entropy), Training())
    assert "reversible stages" not in {lever.name for lever in every_lever(mlp, Setting(TINY))}


def _sample(width: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(1, width), torch.zeros(1, dtype=torch.long)
