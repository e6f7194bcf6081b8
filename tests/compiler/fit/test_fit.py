"""Levers that make a model fit: what each buys is what is then seen; the report says the same."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
import weft
from helpers.reversible_chains import network
from torch import nn
from weft.backend.errors import InfeasibleError
from weft.compiler.capture.capture import capture
from weft.compiler.fit.fit import fit, report
from weft.compiler.fit.levers import every_lever
from weft.compiler.fit.setting import BYTES, PES, Fitting, Limits, Setting
from weft.compiler.plan.check import check
from weft.compiler.plan.training import Training
from weft.compiler.stages.kept.keeping import Keeping
from weft.compiler.targets.load import load_target
from weft.compiler.targets.target import Target

TINY = load_target("tiny_mesh")


class Block(nn.Module):
    """Widens eightfold and back: much to save, little to keep for doing it again."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, 8 * width), nn.Linear(8 * width, width)

    def forward(self, x):
        return x + self.down(torch.tanh(self.up(x)))


class Net(nn.Module):
    def __init__(self, blocks: int, width: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width) for _ in range(blocks))
        self.head = nn.Linear(width, 5)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))


def _model(blocks: int, width: int, tokens: int):
    torch.manual_seed(0)
    return Net(blocks, width), (torch.zeros(1, tokens, width), torch.tensor([3]))


@cache
def _fitting(blocks: int, width: int, tokens: int) -> Fitting:
    model, sample = _model(blocks, width, tokens)
    graph = capture(model, sample, F.cross_entropy)
    return Fitting(graph, Training())


def _small(**changes) -> Target:
    return replace(TINY, grid=replace(TINY.grid, **changes))


LARGE = (3, 16, 128)
"""Saves too much for one tiny mesh at the finest granularity."""


def _compile(size, target: Target, **options):
    model, sample = _model(*size)
    return weft.compile(model, sample, F.cross_entropy, target, weft.Options(**options))


def test_what_does_not_fit_is_reported_with_every_lever_priced():
    fitting, setting = _fitting(*LARGE), Setting(TINY)
    demand = fitting.demand(setting)
    assert not demand.fits
    document = report(fitting, setting)
    assert (document.demand, document.bound, document.unit) == (
        demand.amount,
        demand.bound,
        demand.unit,
    )
    assert document.contributors
    predicted = {lever.change: lever for lever in document.levers}
    again = fitting.demand(replace(setting, keeping=Keeping(recompute=True)))
    found = predicted["stages do their forward again in the backward"]
    assert (found.predicted, found.bound, found.unit) == (again.amount, again.bound, again.unit)
    sparse = fitting.demand(replace(setting, sparsity=0.9))
    assert predicted["weights 90% sparse"].predicted == sparse.amount
    assert "a dtype of half the width" in predicted
    assert "target wse2" in predicted
    assert predicted["target wse2"].fits
    with pytest.raises(InfeasibleError) as caught:
        _compile(LARGE, TINY)
    assert caught.value.report == document.text()


def test_fit_pulls_levers_until_the_plan_is_sound_and_records_them():
    plan = _compile(LARGE, TINY, fit="auto")
    document = plan.document
    assert document.fit
    assert not document.fit[0].before.fits
    assert document.fit[-1].after.fits
    for one, other in pairwise(document.fit):
        assert one.after == other.before
    target = TINY.with_wafers(document.wafers, "test")
    assert check(document, target, plan.programs) == ()
    assert "made to fit" in plan.summary()
    assert document.fit[0].change in plan.summary()


def test_recompute_is_tried_with_coarser_stages_where_alone_it_saves_nothing():
    fitting, setting = _fitting(*LARGE), Setting(TINY)
    alone = fitting.demand(replace(setting, keeping=Keeping(recompute=True)))
    assert alone == fitting.demand(setting)
    blocks = replace(setting, blocks=True)
    again = replace(blocks, keeping=Keeping(recompute=True))
    assert fitting.demand(again).amount < fitting.demand(blocks).amount
    found, _ = fit(fitting, setting)
    assert found.keeping.recompute


def test_what_fits_is_left_alone():
    plan = _compile((1, 4, 4), TINY, fit="auto")
    assert plan.document.fit == ()
    assert plan.document.granularity == "finest"


def test_more_wafers_are_the_last_lever_and_as_many_as_needed():
    fitting, target = _fitting(1, 4, 4), _small(rows=2, columns=2)
    setting, pulled = fit(fitting, Setting(target))
    assert fitting.demand(setting).fits
    if setting.target.wafers > 1:
        assert pulled[-1].lever == "more wafers"
        fewer = setting.target.with_wafers(setting.target.wafers - 1, "test")
        assert not fitting.demand(replace(setting, target=fewer)).fits


def test_what_no_lever_makes_fit_is_a_report():
    target = replace(TINY, sram=replace(TINY.sram, bytes_per_pe=TINY.sram.reserved_bytes + 16))
    fitting = _fitting(*LARGE)
    with pytest.raises(InfeasibleError) as caught:
        fit(fitting, Setting(target))
    assert BYTES in caught.value.report


@pytest.mark.parametrize("limits", [Limits(max_stages=3), Limits(max_delay=4), Limits(1)])
def test_automatic_stages_keep_their_limits(limits):
    """A delay of 4 updates at the first of S stages is 2 (S - 1): at most 3 stages."""
    plan = _compile((2, 8, 8), _small(rows=64, columns=64), granularity="auto", limits=limits)
    assert len(plan.document.stages) == limits.stages
    assert plan.delays()[0] == 2 * (limits.stages - 1)
    assert plan.document.granularity == "auto"


def test_automatic_stages_keep_the_memory_of_fifos():
    fitting, target = _fitting(*LARGE), _small(rows=64, columns=64)
    counts = []
    for share in (1.0, 0.01, 0.0001):
        setting = Setting(target, limits=Limits(activation_memory=share))
        stages = fitting.stages(setting)
        held = sum((stages.delay(s.index) + 1) * s.program.saved_bytes for s in stages.stages)
        counts.append(len(stages))
        assert len(stages) == 1 or held <= share * target.all_pes * target.capacity_bytes
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > counts[-1]


def test_demand_is_in_bytes_until_every_stage_fits_a_pe():
    units = [
        _fitting(*LARGE).demand(Setting(_small(rows=size, columns=size))).unit for size in (2, 256)
    ]
    assert units == [BYTES, PES]


def test_reversible_stages_are_the_first_lever_of_a_network_that_has_them():
    model = network("chain", torch.float32)
    sample = torch.zeros(1, 1, 8, 8), torch.zeros(1, dtype=torch.long)
    fitting = Fitting(capture(model, sample, F.cross_entropy), Training())
    levers = {lever.name: lever for lever in every_lever(fitting, Setting(TINY))}
    assert list(levers)[:2] == ["reversible stages", "recompute"]
    assert levers["reversible stages"].setting.keeping == Keeping(reversible=True)
    assert levers["packing"].setting.keeping == Keeping(packing="int8")
    for lever in levers.values():
        assert lever.exact == (lever.name not in ("packing", "sparser weights"))
        assert lever.before == fitting.demand(Setting(TINY))
        assert lever.after == fitting.demand(lever.setting)
    mlp = Fitting(capture(nn.Linear(4, 3), _sample(4), F.cross_entropy), Training())
    assert "reversible stages" not in {lever.name for lever in every_lever(mlp, Setting(TINY))}


def _sample(width: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(1, width), torch.zeros(1, dtype=torch.long)
