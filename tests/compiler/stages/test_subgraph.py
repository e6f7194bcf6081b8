"""Pulls one stage's nodes out of a captured graph as a graph of its own, inputs sorted by role."""

from __future__ import annotations

import pytest
import torch.nn.functional as F
from helpers.cut_resnet import IMAGE, LABEL
from weft.backend.nn.resnet import resnet
from weft.compiler.capture.capture import capture
from weft.compiler.stages.cut import cut


@pytest.fixture(scope="module")
def resnet20():
    return cut(capture(resnet(20, in_channels=1), (IMAGE, LABEL), F.cross_entropy))


def test_equal_stages_share_one_program(resnet20):
    inner = [s for s in resnet20.stages if s.name in ("blocks.0.conv2", "blocks.1.conv1")]
    assert len({stage.program.key for stage in inner}) == 1
    assert len({stage.program.key for stage in resnet20.stages}) < len(resnet20) / 2


def test_origins_of_equal_stages_are_their_own(resnet20):
    for stage in resnet20.stages:
        block = ".".join(stage.name.split(".")[:2])
        if not block.startswith("blocks"):
            continue
        for graph in (stage.program.forward, stage.program.backward):
            found = [stage.origin_of(node) for node in graph.graph.nodes]
            origins = [origin.module for origin in found if origin is not None]
            calls = [n for n in graph.graph.nodes if n.op == "call_function"]
            assert len(origins) == len(calls)
            assert all(module.startswith(block) for module in origins)
