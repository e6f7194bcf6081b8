"""What regions hand over, stepped: as priced, and never faster than the link at their border."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from weft.compiler.machine.hand_over import hand_over_cycles as priced
from weft.compiler.machine.tilings import Tilings
from weft.compiler.pipeline import Options, compile_model
from weft.compiler.plan.stage_record import Tiling
from weft.compiler.targets import load_target
from weft.sim.fabric import phase_rows
from weft.sim.fabric.hand_over import HandOver, hand_over_cycles

WSE2 = load_target("wse2")


@pytest.mark.parametrize(("line", "words"), [(1, 1), (1, 40), (2, 5), (8, 4), (16, 33), (30, 10)])
def test_a_line_takes_what_it_is_priced_at(line: int, words: int) -> None:
    """All words pass one link, a word a cycle, and the last one goes on from there."""
    stepped = hand_over_cycles(HandOver(line, words), WSE2)
    size_bytes = np.array([words * int(WSE2.noc.link_bytes_per_cycle)])
    longer = Tilings.of(Tiling(line, 1, line + 2))
    assert stepped == priced(size_bytes, longer, WSE2.noc)
    assert stepped > line * words


def test_longer_starts_count_once() -> None:
    slow = replace(WSE2, noc=replace(WSE2.noc, collective_start_cycles=100))
    more = 100 - WSE2.noc.collective_start_cycles
    handed = HandOver(4, 5)
    assert hand_over_cycles(handed, slow) == hand_over_cycles(handed, WSE2) + more


def test_nothing_takes_no_time() -> None:
    assert hand_over_cycles(HandOver(4, 0), WSE2) == 0


def test_a_phase_runs_on_the_region_that_is_its_own() -> None:
    torch.manual_seed(0)
    layers = [nn.Conv2d(channels, 4, 3, padding=1) for channels in (2, 4, 4)]
    model = nn.Sequential(*layers, nn.MaxPool2d(4), nn.Flatten(), nn.Linear(16, 4))
    sample = torch.zeros(1, 2, 8, 8), torch.zeros(1, dtype=torch.long)
    corner = replace(WSE2, grid=replace(WSE2.grid, rows=16, columns=16))
    options = Options(mappings="apart", witness=False)
    plan = compile_model(model, sample, F.cross_entropy, corner, options)
    stage = next(stage for stage in plan.document.stages if stage.is_apart)
    rows = [row for row in phase_rows(plan, corner) if row.stage == stage.id]
    for row, use in zip(rows, stage.uses, strict=True):
        assert row.pes == use.region.rectangle.area
