"""`weft bench headline` on a small network, in both cuts and types."""

from __future__ import annotations

import pytest
import torch
from weft.backend.errors import UnknownNameError
from weft.bench.headline import NETWORKS, headline, headlines


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("granularity", ["finest", "block"])
def test_a_plan_and_its_simulation_say_the_same(granularity, dtype):
    row = headline("resnet20-8", NETWORKS["resnet20-8"], granularity, dtype)
    assert row.difference == 0
    assert len(row.intervals) == len(row.latencies) == 3
    assert row.note != "differ"
    assert row.wafers == 1


def test_there_are_fourteen_and_others_are_refused():
    assert len(NETWORKS) == 14
    with pytest.raises(UnknownNameError, match="did you mean 'resnet50'"):
        next(headlines(("resnet51",)))


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_can_be_made(name):
    """On the meta device; VGG has no normalization to replace."""
    case = NETWORKS[name]()
    assert all(parameter.is_meta for parameter in case.model.parameters())
