"""Every key of a recipe is listed with a type, a default that validates, and a meaning."""

from __future__ import annotations

import pytest
import yaml
from weft.compiler.recipes.keys import parts, value_at
from weft.compiler.recipes.read import make_recipe
from weft.compiler.recipes.recipe import Recipe

ALL = [(part.name, key) for part in parts() for key in part.keys]


@pytest.mark.parametrize(("part", "key"), ALL, ids=lambda value: getattr(value, "name", value))
def test_every_key_says_what_it_is(part, key):
    assert len(key.meaning.split()) >= 2
    assert key.meaning.endswith(".")
    assert key.kind
    assert "Annotated" not in key.kind


def test_listed_keys_are_those_that_a_recipe_writes():
    recipe = make_recipe({"model": "resnet20", "optimizer": {"stage_rate": {}}})

    def dotted(data, prefix=""):
        for name, value in data.items():
            is_part = isinstance(value, dict) and any(p.name == prefix + name for p in parts())
            yield from dotted(value, f"{prefix}{name}.") if is_part else [prefix + name]

    listed = {f"{part}.{key.name}".lstrip(".") for part, key in ALL if part != "phases"}
    assert listed | {"phases"} == set(dotted(recipe.model_dump(mode="json")))


def test_defaults_are_those_of_a_recipe_that_sets_nothing():
    recipe = make_recipe({"model": "resnet20", "optimizer": {"stage_rate": {}}})
    compared = 0
    for part, key in ALL:
        name = f"{part}.{key.name}".lstrip(".")
        if part not in ("phases", "model", "input") and key.default:
            assert yaml.safe_load(key.default) == value_at(recipe, name), name
            compared += 1
    assert compared > 40


def test_bounds_and_choices_are_in_the_type():
    kinds = {f"{part}.{key.name}": key.kind for part, key in ALL}
    assert kinds["optimizer.lr"] == "number > 0"
    assert kinds["pipeline.max_stages"] == "whole number > 0 or null"
    assert kinds["input.dtype"] == "float32, bfloat16, float16, int64"
    assert kinds["optimizer.betas"].startswith("[number >= 0 and < 1")


def test_null_parts_have_null_values():
    recipe = Recipe.model_validate({"model": {"name": "mlp"}, "input": {"shape": [4]}})
    assert value_at(recipe, "optimizer.stage_rate.delay") is None
