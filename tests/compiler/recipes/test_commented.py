"""A commented recipe is read as the recipe that it was written from."""

from __future__ import annotations

import pytest
from weft.compiler.recipes.commented import commented
from weft.compiler.recipes.keys import parts
from weft.compiler.recipes.read import load_recipe, make_recipe, shipped_recipe

RECIPES = {
    "plain": make_recipe({"model": "resnet20"}),
    "demo": shipped_recipe("demo"),
    "own": make_recipe({"model": "mine.py:cnn", "input": {"shape": [1, 8, 8], "mean": [0.1],
                        "deviation": [1e-7]}}),
    "phases": make_recipe(
        {
            "model": "mlp",
            "optimizer": {"name": "adamw", "eps": 1e-30, "stage_rate": {"anneal": 0.5}},
            "sparsity": [{"algorithm": "rigl", "sparsity": {"type": "cosine", "init": 0.5}}],
            "phases": [{"epochs": 1, "dense": True, "optimizer": {"lr": 1e-5}}],
            "target": {"name": "wse3", "overrides": {"clock_hz": "1e9"}},
        }
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RECIPES)
def test_it_is_read_as_the_same_recipe(name, tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text(commented(RECIPES[name]))
    assert load_recipe(file) == RECIPES[name]


def test_norms_of_an_own_model_stay_its_own(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text(commented(RECIPES["own"]))
    assert "normalization" not in load_recipe(file).model_fields_set


def test_every_key_is_in_it():
    text = commented(RECIPES["phases"])
    for part in parts():
        if part.name not in ("phases", "normalization"):
            for key in part.keys:
                assert f"{key.name}: " in text, key
