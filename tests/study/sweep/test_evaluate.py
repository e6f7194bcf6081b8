"""An outcome is what compiling and simulating by hand gives, or why there is none."""

from __future__ import annotations

from math import inf
from pathlib import Path

import pytest
from weft.backend.errors import UserError
from weft.compiler.plan.causes import Bound
from weft.compiler.plan.evidence import figures_of
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.sim.simulate import simulate
from weft.study.sweep.axes import parse_axis
from weft.study.sweep.evaluate import Evaluator, evaluate
from weft.study.sweep.points import override, random_points
from weft.study.sweep.run import NOT_PRICED

SMALL = {"model": {"name": "mlp", "options": {"width": 16}}, "target": "tiny_mesh"}


@pytest.mark.parametrize(
    "overrides", [[], ["sparsity=0.5"], ["target.clock_hz=1.3e9"], ["pipeline.granularity=block"]]
)
def test_an_outcome_is_that_of_compile_and_simulate(overrides: list[str]) -> None:
    outcome = evaluate(make_recipe(SMALL), overrides, samples=200)
    document = compile_recipe(make_recipe(SMALL, overrides)).document
    report = simulate(document, 200)
    assert outcome.figures is not None
    assert outcome.figures.throughput_samples_per_s == report.throughput_samples_per_s
    assert outcome.figures.pes == document.totals.pes_used
    assert outcome.figures.bound_by == report.bound_by


def test_what_was_evaluated_before_changes_nothing() -> None:
    evaluator = Evaluator(200)
    recipes = [
        make_recipe(SMALL, [f"sparsity={share}", f"target.noc.hop_cycles={hop}"])
        for share in (0.0, 0.5, 0.9)
        for hop in (1, 4)
    ]
    together = [evaluator(recipe) for recipe in [*recipes, *reversed(recipes)]]
    assert together[:6] == [evaluate(recipe, samples=200) for recipe in recipes]
    assert together[6:] == together[5::-1]


CONSTANTS = (
    "target.clock_hz=lograndom(5e8:2e9)",
    "target.host.bytes_per_s=lograndom(1e8:1e11)",
    "target.noc.hop_cycles=[1,2.5]",
    "target.noc.link_bytes_per_cycle=[2,4]",
    "target.sram.bytes_per_pe=[2500,16384,49152]",
    "target.vector.issue_cycles=[0,7]",
    "target.grid.rows=[12,16]",
    "target.sparsity.zero_skip=[true,false]",
)


@pytest.mark.parametrize("sparsity", [0.0, 0.75])
def test_a_point_among_many_is_what_compiling_it_alone_gives(sparsity: float) -> None:
    """To the digit, whatever was priced before it, with all of the plan's figures."""
    evaluator = Evaluator(100)
    points = random_points([parse_axis(axis) for axis in CONSTANTS], 8, seed=3)
    for point in points:
        texts = [f"sparsity={sparsity}", *(override(key, value) for key, value in point.items())]
        recipe = make_recipe(SMALL, texts)
        outcome = evaluator(recipe)
        assert outcome.figures is not None, outcome.reason
        document = compile_recipe(recipe, witness=False).document
        report = simulate(document, 100)
        expected = {
            "throughput_samples_per_s": report.throughput_samples_per_s,
            "interval_cycles": document.totals.initiation_interval_cycles,
            "latency_s": report.forward_latency_s,
            "pes": document.totals.pes_used,
            "memory_share": document.totals.memory_share,
            "bound_by": report.bound_by,
        }
        figures = outcome.to_dict()
        assert {name: figures[name] for name in expected} == expected
        bars = report.run_figures.bars().values()
        assert list(figures["error_bars"].values()) == [list(bar) for bar in bars]


def test_stages_are_priced_once_for_machines_that_differ_elsewhere() -> None:
    evaluator, priced = Evaluator(100), []
    for clock in (1e9, 2e9):
        for host in (1e9, 1e10):
            overrides = [f"target.clock_hz={clock}", f"target.host.bytes_per_s={host}"]
            evaluator(make_recipe(SMALL, overrides))
            (model,) = evaluator.models
            priced.append(len(list(model.known.tables)))
            read = {name for names in model.known.tables.fields_read for name in names}
            assert not read & NOT_PRICED
    assert len(set(priced)) == 1


def test_what_does_not_fit_is_a_value_with_demand_and_bound() -> None:
    outcome = evaluate(make_recipe(SMALL), ["target.sram.bytes_per_pe=2100"])
    data = outcome.to_dict()
    assert data["fits"] is False
    assert data["demand"] > data["bound"]
    assert data["unit"] == "bytes per PE"


def test_a_plan_whose_stages_would_wait_for_ever_is_a_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def circle(*_: object) -> Bound:
        return Bound("deadlock", "shared colours: s00 -> s01", inf)

    monkeypatch.setattr("weft.compiler.timing.totals._circle", circle)
    data = evaluate(make_recipe(SMALL)).to_dict()
    assert data["fits"] is False
    assert "a cycle of waits through shared colours" in data["reason"]
    assert data["change"] == "deeper FIFOs"


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("target.sram.bytes_per_pe=100", "sram.reserved_bytes"),
        ("target.grid.rows=-1", "grid.rows"),
        ("target.clock_hz=fast", "clock_hz"),
        ("input.shape=[1,7]", "mlp"),
    ],
)
def test_whatever_there_is_no_plan_for_is_a_value(override: str, said: str) -> None:
    """What is said is what compiling says."""
    data = evaluate(make_recipe(SMALL), [override]).to_dict()
    assert data["fits"] is False
    assert said in data["reason"]
    with pytest.raises(UserError) as caught:
        compile_recipe(make_recipe(SMALL, [override]))
    assert data["reason"] == f"{caught.value.where}: {caught.value.got}"
    assert data["change"] == caught.value.change


def test_a_model_that_cannot_be_made_is_tried_once(tmp_path: Path) -> None:
    file, made = tmp_path / "odd.py", tmp_path / "made"
    file.write_text(
        "import pathlib\n\ndef odd():\n"
        f"    pathlib.Path({str(made)!r}).mkdir()\n    raise ValueError('no width')\n"
    )
    data = {"model": f"{file}:odd", "input": {"shape": [4], "classes": 2}}
    evaluator = Evaluator(100)
    for clock in (1e9, 2e9):
        recipe = make_recipe(data, [f"target.clock_hz={clock}"])
        assert "ValueError: no width" in evaluator(recipe).reason, "a second time: FileExistsError"
    assert made.is_dir()


def test_an_unknown_key_is_refused() -> None:
    with pytest.raises(UserError, match="unknown key 'sparsityy'"):
        evaluate(make_recipe(SMALL), ["sparsityy=1"])


@pytest.mark.parametrize(("target", "is_assumed"), [("wse2", False), ("tiny_mesh", True)])
def test_an_outcome_has_the_error_bars_of_its_plan(target: str, is_assumed: bool) -> None:
    recipe = make_recipe(SMALL | {"target": target})
    data = evaluate(recipe, samples=200).to_dict()
    figures = figures_of(compile_recipe(recipe).document)
    for name, figure in (
        ("interval_cycles", figures.interval),
        ("throughput_samples_per_s", figures.throughput),
        ("latency_s", figures.latency),
    ):
        low, high = data["error_bars"][name]
        assert low / data[name] == pytest.approx(figure.low / figure.value)
        assert high / data[name] == pytest.approx(figure.high / figure.value)
        assert (name in data["assumed"]) == is_assumed == figure.is_assumed
