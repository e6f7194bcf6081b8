"""The joint graph of a stage: outputs, and gradients for what it reads."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from helpers.cut_resnet import LABEL
from helpers.small_models import Branches
from weft.compiler.capture.capture import capture
from weft.compiler.stages.cut import cut


def test_nothing_saved_depends_on_weights_alone():
    """The backward must see the weights it is given, so no function of weights may be saved."""
    model = Branches()
    found = cut(capture(model, (torch.randn(1, 2, 8, 8), LABEL), F.cross_entropy))
    weights = {tuple(p.shape) for p in model.parameters() if p.dim() > 1}
    for stage in found.stages:
        assert not weights & {spec.shape for spec in stage.program.saved}
        count = len(stage.parameters)
        placeholders = [n for n in stage.program.backward.graph.nodes if n.op == "placeholder"]
        assert [tuple(n.meta["val"].shape) for n in placeholders[:count]] == [
            spec.shape for spec in stage.program.parameters
        ]
