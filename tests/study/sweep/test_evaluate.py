"""An outcome is what compiling and simulating by hand gives, or why there is none."""

from __future__ import annotations

import pytest
from weft.backend.errors import UserError
from weft.compiler.plan.evidence import figures_of
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.sim.simulate import simulate
from weft.study.sweep.evaluate import Evaluator, evaluate

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


def test_what_does_not_fit_is_a_value_with_demand_and_bound() -> None:
    outcome = evaluate(make_recipe(SMALL), ["target.sram.bytes_per_pe=2100"])
    data = outcome.to_dict()
    assert data["fits"] is False
    assert data["demand"] > data["bound"]
    assert data["unit"] == "bytes per PE"


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
