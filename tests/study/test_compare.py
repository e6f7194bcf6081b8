from __future__ import annotations

import re

import pytest
import torch
import torch.nn.functional as F
from helpers.roofline_chip import chip_of
from helpers.stages_of import LABEL
from torch import nn
from weft.backend.errors import UserError
from weft.compiler.capture.capture import capture
from weft.compiler.pipeline import GraphCompiler, Options
from weft.compiler.plan.causes import CAUSES
from weft.compiler.plan.evidence import figures_of
from weft.compiler.recipes.build import compile_recipe, graph_compiler
from weft.compiler.recipes.read import make_recipe
from weft.compiler.targets import load_machine, load_target
from weft.sim import simulate
from weft.study.compare import compare


def _perceptron() -> GraphCompiler:
    model = nn.Sequential(nn.Linear(9, 16), nn.ReLU(), nn.Linear(16, 3))
    graph = capture(model, (torch.zeros(1, 9), LABEL), F.cross_entropy)
    return GraphCompiler(graph, Options())


def test_every_machine_has_a_row_and_a_machine_that_is_too_small_says_why():
    small = load_machine("tiny_mesh", {"sram.bytes_per_pe": "2060"})
    machines = [load_machine("tiny_mesh"), small, load_machine("h200"), chip_of()]
    rows = compare(_perceptron(), machines, samples=50, batch=128)
    assert [row.figures is not None for row in rows] == [True, False, True, False]
    assert "bytes per PE" in rows[1].reason
    assert "memory at batch 128" in rows[3].reason
    assert [row.basis for row in rows] == ["simulated", "simulated", "at best", "at best"]
    for row in rows[0], rows[2]:
        assert row.figures is not None
        assert 0 < row.figures.utilisation < 1
        assert 0 < row.figures.memory_share <= 1
        assert row.figures.bound_by in CAUSES


def test_a_slower_machine_says_why():
    """Half the clock is half the rate; a mesh with slow hops takes more cycles, on fewer PEs."""
    slow = load_target("wse2", {"clock_hz": "0.425e9"})
    far = load_target("wse2", {"noc.ramp_cycles": "40", "noc.hop_cycles": "20"})
    fast, half, other = compare(_perceptron(), [load_target("wse2"), slow, far], 50, batch=1)
    assert fast.slower == ""
    assert "0.50 x as fast as wse2: 0.50 x the clock, 1.00 x the cycles" in half.slower
    assert fast.figures is not None
    assert other.figures is not None
    rate = other.figures.throughput_samples_per_s / fast.figures.throughput_samples_per_s
    assert other.slower.startswith(f"wse2 trains {rate:.2f} x as fast as wse2: 1.00 x the clock")
    assert "(noc.ramp_cycles 40 against 2, noc.hop_cycles 20 against 1)" in other.slower


def test_a_clock_with_a_range_gives_the_rate_one():
    (row,) = compare(_perceptron(), [load_target("wse3")], samples=50, batch=1)
    assert row.figures is not None
    ends = re.match(r"wse3: ([\d,]+) to ([\d,]+) samples/s", row.spread)
    assert ends is not None
    low, high = (float(end.replace(",", "")) for end in ends.groups())
    assert low == pytest.approx(row.figures.throughput_samples_per_s, rel=1e-3)
    assert high / low == pytest.approx(1.1 / 0.75, rel=1e-3)


def test_error_bars_are_those_of_the_plan_and_assumed_rates_are_not_ranked():
    """tiny_mesh is no vendor's and nothing was measured on it: no machine is held against it."""
    machines = [load_machine(name) for name in ("tiny_mesh", "wse2", "wse3", "h200")]
    tiny, fast, slow, chip = compare(_perceptron(), machines, samples=50, batch=1)
    assert tiny.figures is not None
    assert "throughput_samples_per_s" in tiny.figures.assumed
    assert tiny.slower == fast.slower == chip.slower == ""
    assert "as fast as wse2" in slow.slower
    assert fast.figures is not None
    assert fast.figures.assumed == ()
    model = _perceptron()
    figures = figures_of(model.plan(model.choose(load_target("wse2"))).document)
    for name, figure in (
        ("throughput_samples_per_s", figures.throughput),
        ("latency_s", figures.latency),
    ):
        value, bar = getattr(fast.figures, name), fast.figures.error_bars[name]
        assert [end / value for end in bar] == pytest.approx(
            [figure.low / figure.value, figure.high / figure.value]
        )
    assert chip.figures is not None
    assert chip.figures.error_bars == {}


@pytest.mark.parametrize("counts", [{"samples": 0, "batch": 1}, {"samples": 1, "batch": 0}])
def test_counts_below_one_are_refused(counts):
    with pytest.raises(UserError, match="1 or more"):
        compare(_perceptron(), [load_machine("tiny_mesh")], **counts)


RECIPES = {
    "finest": [],
    "block": ["pipeline.granularity=block"],
    "auto": ["pipeline.granularity=auto", "pipeline.max_stages=3"],
    "sparse": ["sparsity=0.75"],
    "sparse, auto": ["sparsity=0.75", "pipeline.granularity=auto", "pipeline.max_stages=3"],
    "dynamic": ["sparsity={algorithm: rigl, sparsity: 0.9}"],
    "recompute": ["pipeline.recompute=true", "pipeline.granularity=block"],
    "two optimizer states": ["optimizer.name=adamw"],
    "fitted": [
        "pipeline.fit=auto",
        "target.name=tiny_mesh",
        "target.sram.bytes_per_pe=2900",
    ],
}


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("target", ["wse2", "wse3"])
def test_compare_equals_compile_and_simulate_to_the_digit(name: str, target: str):
    """One spelling of the path from stages to plan: two commands give one answer."""
    settings = [f"target.name={target}", *RECIPES[name]]
    data = {"model": "mlp", "input": {"shape": [1, 8, 8], "classes": 10}}
    recipe = make_recipe(data, settings)
    alone = simulate(compile_recipe(recipe), samples=100)
    machine = load_target(recipe.target.name, recipe.target.overrides)
    (row,) = compare(graph_compiler(recipe), [machine], samples=100, batch=1)
    assert row.figures is not None
    assert row.figures.throughput_samples_per_s == alone.throughput_samples_per_s
    assert row.figures.latency_s == alone.forward_latency_cycles / alone.clock_hz
