"""The levers that were pulled stand in the recipe, in the place of the wish for them."""

from __future__ import annotations

from types import SimpleNamespace as Made
from typing import Any

from weft.compiler.fit.fitted_recipe import fitted_recipe

RECIPE = {
    "model": "mlp",
    "target": {"name": "wse2", "overrides": {"noc.hop_cycles": "2"}},
    "pipeline": {"fit": "auto", "granularity": "finest", "mode": "pipelined"},
}


def setting(wafers: int, limits: Any = None) -> Any:
    keeping = Made(recompute=True, reversible=False, off_wafer=40)
    return Made(target=Made(wafers=wafers), granularity="block", keeping=keeping, limits=limits)


def test_what_was_pulled_is_written_and_all_else_stays() -> None:
    found = fitted_recipe(RECIPE, Made(wafers=1), setting(wafers=3))  # type: ignore[arg-type]
    assert found["target"] == {
        "name": "wse2",
        "overrides": {"noc.hop_cycles": "2", "wafers": "3"},
    }
    assert found["pipeline"] == {
        "fit": None,
        "granularity": "block",
        "mode": "pipelined",
        "recompute": True,
        "reversible": False,
        "off_wafer": 40,
    }
    assert RECIPE["pipeline"]["fit"] == "auto"


def test_limits_of_automatic_stages_are_written_and_wafers_only_if_there_are_more() -> None:
    limits = Made(max_stages=5, max_delay=None, activation_memory=100)
    found: Any = fitted_recipe(RECIPE, Made(wafers=1), setting(1, limits))  # type: ignore[arg-type]
    assert found["target"] == RECIPE["target"]
    assert found["pipeline"]["max_stages"] == 5
    assert found["pipeline"]["activation_memory"] == 100


def test_a_model_without_a_recipe_stays_without() -> None:
    assert fitted_recipe({}, Made(wafers=1), setting(2)) == {}  # type: ignore[arg-type]
