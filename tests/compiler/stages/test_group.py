"""The finest cut: which node of a captured graph belongs to which stage."""

from __future__ import annotations

import pytest
import torch
from helpers.cut_networks import cut_of, model_of
from torch import nn
from weft.backend.errors import UnknownNameError, UnsupportedError
from weft.compiler.capture.capture import capture
from weft.compiler.stages.coarsen import find_blocks
from weft.compiler.stages.cut import cut


def test_blocks_of_a_resnet():
    """Stem, three blocks, the classifier with what leads to it, the loss."""
    stages = cut_of(model_of("resnet")[1])
    assert [stage.name for stage in stages.stages] == [
        "stem",
        *("blocks.0", "blocks.1", "blocks.2"),
        "classifier",
        "loss",
    ]


def test_blocks_are_the_innermost_elements_of_lists_with_several_stages():
    modules = [
        *("h.0.attn", "h.0.mlp", "h.1.attn", "h.1.mlp"),
        *("layer1.0.conv1", "layer1.0.conv2", "layer1.0", "layer1.0.downsample.0"),
        *("features.3.conv.0", "features.3.conv.2", "dense.denselayer12.conv1"),
        *("dense.denselayer12.conv2", "head", "", "single.4"),
    ]
    assert find_blocks(modules) == [
        *("h.0", "h.0", "h.1", "h.1"),
        *["layer1.0"] * 4,
        *("features.3", "features.3", "dense.denselayer12", "dense.denselayer12"),
        *("", "", ""),
    ]


def test_a_glob_makes_one_stage_per_module_and_leaves_the_rest_as_it_is():
    _, graph = model_of("resnet")
    finest = cut(graph)
    merged = cut_of(graph, blocks=False, globs=("blocks.1",))
    inside = [s for s in finest.stages if s.origin.module.split(".")[:2] == ["blocks", "1"]]
    assert len(inside) > 1
    assert len(merged) == len(finest) - len(inside) + 1
    assert "blocks.1" in [stage.name for stage in merged.stages]


def test_a_glob_that_matches_nothing_names_what_there_is():
    with pytest.raises(UnknownNameError) as caught:
        cut_of(model_of("resnet")[1], globs=("block.*",))
    assert "blocks" in str(caught.value)


def test_a_loss_that_reads_no_sample():
    class Constant(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(4, 3)

        def forward(self, x):
            return self.inner(torch.ones(1, 4)).sum()

    with pytest.raises(UnsupportedError, match="depends on the sample"):
        cut(capture(Constant(), (torch.zeros(1, 4),), None))
