"""Recipes that leave blocks out: weights, stages, delays and products beside the whole model's."""

from __future__ import annotations

import pytest
import torch
from weft.backend.errors import UserError
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.network import build_model
from weft.compiler.recipes.read import make_recipe, shipped_recipe


def test_the_pruned_model_is_the_whole_one_less_its_blocks() -> None:
    whole, _ = build_model(shipped_recipe("depth_pruned", ["depth.remove=0"]))
    pruned, _ = build_model(shipped_recipe("depth_pruned"))
    kept = [0, 3, 4, 5, 6, 7, 8]
    for place, number in enumerate(kept):
        of = whole.get_submodule(f"blocks.{number}").state_dict()
        for name, value in pruned.get_submodule(f"blocks.{place}").state_dict().items():
            torch.testing.assert_close(value, of[name], rtol=0, atol=0)


def test_a_plan_without_blocks_has_fewer_stages_and_two_updates_less_delay_for_each() -> None:
    whole, pruned = (
        compile_recipe(shipped_recipe("depth_pruned", change)).document
        for change in (["depth.remove=0"], [])
    )
    removed = [
        s for s in whole.stages if s.module.split(".")[:2] in (["blocks", "1"], ["blocks", "2"])
    ]
    assert len(pruned.stages) == len(whole.stages) - len(removed) < len(whole.stages)
    assert pruned.stages[0].delay == whole.stages[0].delay - 2 * len(removed)
    assert pruned.stages[-1].delay == whole.stages[-1].delay == 0
    macs = sum(stage.macs_dense for stage in removed)
    assert pruned.totals.macs_dense == whole.totals.macs_dense - macs > 0


def test_blocks_that_cannot_be_left_out_are_refused() -> None:
    with pytest.raises(UserError, match=r"depth\.first"):
        make_recipe({"model": "resnet20"}, ["depth.remove=2"])
    for change, message in {
        "depth.first=2": "before, .* after",
        "depth.remove=9": "between 1 and 8 blocks",
        "depth.blocks=layers": "no ModuleList",
    }.items():
        with pytest.raises(UserError, match=message):
            build_model(shipped_recipe("depth_pruned", [change]))
