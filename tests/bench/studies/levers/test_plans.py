"""The table of levers is made of plans, and its FIFOs are those of the plans."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import weft
from helpers.reversible_chains import network
from torch import nn
from weft.bench.models.case import Case
from weft.bench.studies.levers.plans import LEVERS, fifo_bytes, levers

SAMPLE = torch.zeros(1, 1, 8, 8), torch.zeros(1, dtype=torch.long)


def chain() -> Case:
    return Case(network("residual", torch.float32), SAMPLE, F.cross_entropy)


def wide() -> Case:
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 4096), nn.ReLU(), nn.Linear(4096, 3))
    return Case(model, SAMPLE, F.cross_entropy)


def test_a_row_for_each_lever_that_the_network_has(monkeypatch: pytest.MonkeyPatch) -> None:
    few = {name: LEVERS[name] for name in ("none", "reversible")}
    monkeypatch.setattr("weft.bench.studies.levers.plans.LEVERS", few)
    monkeypatch.setattr("weft.bench.studies.levers.plans.NETWORKS", {"chain": chain, "wide": wide})
    rows = {row.lever: row for row in levers("chain")}
    assert rows.keys() == few.keys()
    assert rows["reversible"].fifo_bytes < rows["none"].fifo_bytes / 4
    assert rows["reversible"].backward_bytes > rows["reversible"].fifo_bytes / 100
    refused = list(levers("wide", "tiny_mesh"))
    assert [row.lever for row in refused] == ["none"]  # it has no reversible layers
    assert refused[0].stages is None
    assert "bytes per PE" in refused[0].reason


def test_fifos_are_those_of_the_fullest_pes_but_for_rounding_up() -> None:
    case = chain()
    plan = weft.compile(case.model, case.sample, case.loss, "wse2")
    held = sum(
        stage.memory_per_pe.activation_fifo_bytes * stage.region.area
        for stage in plan.document.stages
    )
    assert fifo_bytes(plan) <= held
