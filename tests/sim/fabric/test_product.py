"""Small kernels of compiled plans, PE by PE, against the cycles that the event level uses."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers import networks
from helpers.networks import NETWORKS
from torch import nn
from weft.backend.errors import UserError
from weft.compiler.kernels import stage as stage_kernels
from weft.compiler.machine.collectives import reduce, reduce_behind
from weft.compiler.machine.tilings import enumerate_tilings, tilings_about
from weft.compiler.pipeline import Options, compile_model
from weft.compiler.plan.store import load
from weft.compiler.targets import load_target
from weft.sim import simulate
from weft.sim.fabric import level, phase_rows, product, with_fabric_cycles
from weft.sim.fabric.product import FabricProduct
from weft.sim.fabric.product_cycles import product_cycles
from weft.sim.fabric.run import run

WSE2 = load_target("wse2")


def small(rows, columns):
    """A corner of the wafer, so that a kernel has work on every PE."""
    return replace(WSE2, grid=replace(WSE2.grid, rows=rows, columns=columns))


def linear(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, outputs), nn.Linear(outputs, 3)), (1, inputs)


def tokens(count, inputs, outputs):
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.head = nn.Linear(inputs, outputs), nn.Linear(outputs, 3)

        def forward(self, x):
            return self.head(self.layer(x).mean(1))

    return Tokens(), (1, count, inputs)


def image(channels, features, kernel, pixels):
    layers = nn.Conv2d(channels, features, kernel, bias=False), nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 3)), (
        1,
        channels,
        pixels,
        pixels,
    )


def inner(inputs, hidden, outputs):
    """Its middle layer has a gradient for its input."""
    layers = nn.Linear(inputs, hidden), nn.Linear(hidden, outputs), nn.Linear(outputs, 3)
    return nn.Sequential(*layers), (1, inputs)


def attention(heads, count, features):
    """Scores, soft-max and values, with the projections before and after them."""

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.MultiheadAttention(features, heads, batch_first=True)
            self.head = nn.Linear(features, 3)

        def forward(self, x):
            return self.head(self.inner(x, x, x, need_weights=False)[0].mean(1))

    return Attention(), (1, count, features)


def biased(channels, features, pixels):
    layers = nn.Conv2d(channels, features, 1), nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(features, 3)), (
        1,
        channels,
        pixels,
        pixels,
    )


def between(channels, features, kernel, pixels, stride=1):
    """A convolution in the middle, with a gradient for its inputs."""
    own = nn.Conv2d(channels, features, kernel, stride, kernel // 2, bias=False)
    rest = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(features, 3)
    return nn.Sequential(nn.Conv2d(2, channels, 1), own, *rest), (1, 2, pixels, pixels)


KERNELS = {
    "linear 64 x 64": (linear(64, 64), (8, 16)),
    "linear 256 x 128": (linear(256, 128), (16, 16)),
    "linear 400 x 50": (linear(400, 50), (12, 20)),
    "inner 64 x 64": (inner(8, 64, 64), (16, 24)),
    "inner 200 x 100": (inner(8, 200, 100), (20, 24)),
    "inner 48 x 256": (inner(8, 48, 256), (12, 40)),
    "linear 32 x 500": (linear(32, 500), (8, 30)),
    "16 tokens, 64 x 64": (tokens(16, 64, 64), (12, 12)),
    "50 tokens, 32 x 96": (tokens(50, 32, 96), (16, 16)),
    "128 tokens, 16 x 16": (tokens(128, 16, 16), (16, 8)),
    "1 x 1 convolution": (image(32, 32, 1, 8), (16, 12)),
    "wide 1 x 1 convolution": (image(64, 128, 1, 6), (20, 20)),
    "tall 1 x 1 convolution": (image(128, 16, 1, 12), (20, 12)),
    "convolution with a bias": (biased(32, 16, 10), (20, 12)),
    "sliced 3 x 3 convolution": (image(3, 8, 3, 32), (64, 8)),
    "sliced 5 x 5 convolution": (image(4, 6, 5, 40), (48, 6)),
    "between, 3 x 3 in slices": (between(8, 8, 3, 30), (64, 8)),
    "between, 5 x 5 in slices": (between(6, 6, 5, 20), (40, 6)),
    "between, of few rows": (between(4, 8, 3, 16), (64, 8)),
    "between, of stride 2": (between(8, 12, 3, 24, 2), (48, 12)),
    "attention of one head": (attention(1, 16, 32), (12, 12)),
    "attention of four heads": (attention(4, 24, 32), (12, 12)),
}


STAGE = {"inner": 1, "attention": 1, "between,": 1}
"""Where the kernel is not the first stage of its model."""


@cache
def compiled(name):
    (model, shape), grid = KERNELS[name]
    sample = (torch.zeros(shape), torch.zeros(1, dtype=torch.long))
    target = small(*grid)
    plan = compile_model(model, sample, F.cross_entropy, target)
    return plan, target, phase_rows(plan, target)


ONE_POSITION = {"linear", "inner"}
"""Kernels whose rows have one order."""


def tilings_of_one_order(tilings, interleaved):
    """Where rows have two orders, this one; without any such tiling all there are."""

    def enumerated(*sizes):
        found = tilings(*sizes)
        has_both = (found.in_split > 1) & (found.space_split > 1)
        chosen = has_both & (found.interleaved == interleaved)
        return found.where(chosen if chosen.any() else ~has_both)

    return enumerated


@pytest.mark.parametrize("phase", ["forward", "backward"])
@pytest.mark.parametrize("name", KERNELS)
def test_event_and_fabric_agree(name, phase):
    """What the event level spends on a sample, and stepped."""
    plan, _, rows = compiled(name)
    index = STAGE.get(name.split()[0], 0)
    stage = plan.document.stages[index]
    (row,) = (row for row in rows if (row.stage, row.phase) == (stage.id, phase))
    spent = simulate(plan, 1).stages[index]
    assert stage.region.area > 8
    assert row.stepped
    assert not row.priced
    assert row.event_cycles == getattr(spent, f"{phase}_cycles")
    assert row.fabric_cycles == pytest.approx(row.event_cycles, rel=0.05)


@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("name", [name for name in KERNELS if name.split()[0] not in ONE_POSITION])
def test_event_and_fabric_agree_in_both_orders_of_rows(name, interleaved, monkeypatch):
    """All stages of the kernels with positions, cut over inputs and positions."""
    for tilings in (enumerate_tilings, tilings_about):
        one_order = tilings_of_one_order(tilings, interleaved)
        monkeypatch.setattr(stage_kernels, tilings.__name__, one_order)
    (model, shape), grid = KERNELS[name]
    sample = (torch.zeros(shape), torch.zeros(1, dtype=torch.long))
    plan = compile_model(model, sample, F.cross_entropy, small(*grid))
    tilings = [one.tiling for one in plan.document.stages]
    orders = {one.interleaved for one in tilings if min(one.in_split, one.space_split) > 1}
    assert orders == {interleaved}
    for row in phase_rows(plan, small(*grid)):
        assert row.fabric_cycles == pytest.approx(row.event_cycles, rel=0.05)


@pytest.mark.parametrize("multiply_cycles", [0, 400, 703, 1200])
@pytest.mark.parametrize("lines", [1, 2, 5, 15])
def test_columns_that_share_links_sum_in_turn(lines, multiply_cycles):
    """As priced, and with every word over every link once."""
    sums = product.FabricProduct(lines, 3, 1, 0, 0, 0, multiply_cycles, 60, column_spacing=lines)
    both = product.Lines(range(1), range(lines))
    stepped = run(product.region(sums, WSE2, True, 1, both), WSE2)
    sizes = (np.array([size]) for size in (60, 3, lines))
    words, pes, spacing = sizes
    behind = reduce_behind(WSE2.noc, words, pes, spacing)[0]
    alone = reduce(WSE2.noc, words, pes, spacing)[0]
    priced = multiply_cycles + max(behind, alone - multiply_cycles)
    assert stepped.cycles == pytest.approx(priced, rel=0.03)
    assert stepped.link_words.sum() == 60 * 2 * lines * lines


def test_columns_without_routes_of_their_own_come_after_the_others():
    """A router has 96 routes; two operands and a sum in chains of 40 columns take more."""
    one = product.FabricProduct(40, 3, 2, 0, 30, 20, 900, 0, column_spacing=40)
    in_turns = list(product.lines_in_turns(replace(one, sum_words=8), size=1))
    assert [len(lines.columns) for lines in in_turns] == [31, 9]
    assert [len(lines.rows) for lines in in_turns] == [1, 0]
    wide = replace(one, slices=200, column_spacing=1, row_spacing=200)
    in_turns = list(product.lines_in_turns(wide, size=1))
    assert [len(lines.rows) for lines in in_turns] == [91, 91, 18]
    assert product_cycles(replace(one, sum_words=8), WSE2) > product_cycles(one, WSE2)


def test_the_level_is_the_event_level_with_stepped_cycles():
    plan, _, rows = compiled("linear 64 x 64")
    document = with_fabric_cycles(plan.document, rows)
    report = simulate(replace(plan, document=document), 100)
    slowest = max(
        sum(row.fabric_cycles for row in rows if row.stage == stage.id) + stage.cycles.update_cycles
        for stage in plan.document.stages
    )
    assert report.initiation_interval_cycles == slowest
    assert [s.cycles.update_cycles for s in document.stages] == [
        s.cycles.update_cycles for s in plan.document.stages
    ]


@pytest.mark.parametrize("density", [1.0, 0.25])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_product_and_sum_of_a_network_is_stepped(name, density):
    plan = networks.compiled(name, density=density)
    rows = phase_rows(plan, NETWORKS[name][2])
    for row, stage in zip(rows, (s for s in plan.document.stages for _ in "fb"), strict=True):
        own = [o for o in stage.operators if o.phase == row.phase]
        families = STEPPED if stage.tiling.algorithm == "multicast" else STEPPED - PRODUCTS
        moving = [o for o in own if o.steps or o.network_cycles]
        assert row.stepped == tuple(o.name for o in moving if o.family in families)
        unstepped = [o.name for o in own if o.family in PRODUCTS - families]
        assert row.priced == tuple(unstepped)
        assert row.fabric_cycles == pytest.approx(row.event_cycles, rel=0.05)


PRODUCTS = {"linear", "convolution"}
STEPPED = {"linear", "convolution", "reduction", "normalization"}


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide, self.narrow = nn.Linear(16, 32), nn.Linear(32, 16)

    def forward(self, x):
        return x + self.narrow(torch.relu(self.wide(x)))


class Blocks(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks, self.head = nn.ModuleList([Block(), Block()]), nn.Linear(16, 3)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.head(x.mean(1))


def test_a_stage_of_several_weights_in_slices():
    """Each sums its own gradient over the slices."""
    sample = torch.zeros(1, 128, 16), torch.zeros(1, dtype=torch.long)
    target = small(40, 12)
    plan = compile_model(Blocks(), sample, F.cross_entropy, target, Options(granularity="block"))
    stage = plan.document.stages[1]
    assert stage.tiling.space_split > 1
    rows = [row for row in phase_rows(plan, target) if row.stage == stage.id]
    products = [[name for name in row.stepped if "mm" in name] for row in rows]
    assert list(map(len, products)) == [2, 4]
    for row in rows:
        assert not row.priced
        assert row.fabric_cycles == pytest.approx(row.event_cycles, rel=0.05)


def test_what_is_too_large_to_step_is_named_and_keeps_its_cycles(monkeypatch):
    plan, target, _ = compiled("linear 64 x 64")
    monkeypatch.setattr(level, "LARGEST_PES", 80)
    forward, backward = phase_rows(plan, target)[:2]
    assert (forward.stepped, forward.priced) == ((), ("addmm",))
    assert (backward.stepped, backward.priced) == ((), ("mm",))
    assert backward.fabric_cycles == backward.event_cycles


def test_a_stored_plan_is_stepped_alike(tmp_path):
    plan, target, rows = compiled("linear 64 x 64")
    plan.save(tmp_path / "plan")
    assert phase_rows(load(tmp_path / "plan"), target) == rows


@pytest.mark.parametrize(
    "more", ["loaded_words", "row_words", "column_words", "multiply_cycles", "sum_words"]
)
def test_more_to_do_takes_longer(more):
    product = FabricProduct(2, 6, 5, 7, 30, 10, 200, 20)
    extra = replace(product, **{more: getattr(product, more) + 300})
    assert product_cycles(extra, WSE2) > product_cycles(product, WSE2)


def test_a_product_alone_is_its_arithmetic():
    assert product_cycles(FabricProduct(1, 1, 1, 0, 30, 10, 200, 20), WSE2) == 200


def test_a_machine_without_multicast_is_refused():
    target = replace(WSE2, noc=replace(WSE2.noc, multicast=False))
    with pytest.raises(UserError, match="multicast"):
        phase_rows(compiled("linear 64 x 64")[0], target)


@pytest.mark.parametrize("what", ["document", "level"])
def test_the_level_needs_a_whole_plan_for_a_known_target(what):
    """Programs say what a product is; a document alone has none."""
    plan, _, _ = compiled("linear 64 x 64")
    if what == "document":
        with pytest.raises(UserError, match="programs"):
            simulate(plan.document, 10, "fabric")
    else:
        report = simulate(plan, 10, "fabric")
        assert report.level == "fabric"
        assert report.initiation_interval_cycles > 0


def test_memory_rules_out_an_order_and_asks_for_turns():
    """Each turn after the first adds the way of a sum; an order less is never faster."""
    product = FabricProduct(1, 9, 5, 0, 40, 0, 600, 60)
    both = product_cycles(product, WSE2)
    assert both == min(
        product_cycles(replace(product, operands_outermost=False), WSE2),
        product_cycles(replace(product, sums_outermost=False), WSE2),
    )
    turned = product_cycles(replace(product, turns=4), WSE2)
    one_sum = reduce(WSE2.noc, np.array([1]), np.array([9]))[0]
    assert turned - both == pytest.approx(3 * one_sum, rel=0.05)
