"""Ten kernels of compiled plans, PE by PE, against the cycles that the event level uses."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from weft.backend.errors import UserError
from weft.compiler.pipeline import compile_model
from weft.compiler.plan.store import load
from weft.compiler.targets import load_target
from weft.sim import simulate
from weft.sim.fabric import phase_rows, with_fabric_cycles
from weft.sim.fabric.product import Product, product_cycles

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
}


INNER = {name for name in KERNELS if name.startswith("inner")}


@cache
def compiled(name):
    (model, shape), grid = KERNELS[name]
    sample = (torch.zeros(shape), torch.zeros(1, dtype=torch.long))
    target = small(*grid)
    plan = compile_model(model, sample, F.cross_entropy, target)
    return plan, target, phase_rows(plan, target)


@pytest.mark.parametrize("phase", ["forward", "backward"])
@pytest.mark.parametrize("name", KERNELS)
def test_event_and_fabric_agree(name, phase):
    """What the event level spends on a sample, and stepped."""
    plan, _, rows = compiled(name)
    index = 1 if name in INNER else 0
    stage = plan.document.stages[index]
    (row,) = (row for row in rows if (row.stage, row.phase) == (stage.id, phase))
    spent = simulate(plan, 1).stages[index]
    assert stage.region.area > 8
    assert row.stepped
    assert not row.priced
    assert row.event_cycles == getattr(spent, f"{phase}_cycles")
    assert row.fabric_cycles == pytest.approx(row.event_cycles, rel=0.07 if name in INNER else 0.05)


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


def test_what_cannot_be_stepped_is_named_and_keeps_its_cycles():
    """A bias whose gradient is summed in the same operator as a convolution's."""
    model = nn.Sequential(nn.Conv2d(2, 4, 3), nn.Flatten(), nn.Linear(4 * 36, 3))
    sample = (torch.zeros(1, 2, 8, 8), torch.zeros(1, dtype=torch.long))
    plan = compile_model(model, sample, F.cross_entropy, small(16, 16))
    forward, backward = phase_rows(plan, small(16, 16))[:2]
    assert (len(forward.stepped), forward.priced) == (1, ())
    assert (backward.stepped, backward.priced) == ((), ("convolution_backward",))
    assert backward.fabric_cycles == backward.event_cycles


def test_a_stored_plan_is_stepped_alike(tmp_path):
    plan, target, rows = compiled("linear 64 x 64")
    plan.save(tmp_path / "plan")
    assert phase_rows(load(tmp_path / "plan"), target) == rows


@pytest.mark.parametrize("more", ["row_words", "column_words", "multiply_cycles", "sum_words"])
def test_more_to_do_takes_longer(more):
    product = Product(2, 6, 5, 30, 10, 200, 20)
    extra = replace(product, **{more: getattr(product, more) + 300})
    assert product_cycles(extra, WSE2) > product_cycles(product, WSE2)


def test_a_product_alone_is_its_arithmetic():
    assert product_cycles(Product(1, 1, 1, 30, 10, 200, 20), WSE2) == 200


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
