"""Plans mapped anew: the same plan for the same masks, one that fits for others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import weft
from helpers.plans_to_train import RECIPE, small_data
from weft.backend.errors import UserError
from weft.compiler.mapping.pricing import Pricing
from weft.compiler.plan.check import check
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.compiler.remap.mask_room import rooms
from weft.compiler.remap.new_map import new_map
from weft.compiler.targets.load import load_target

SMALL = {"name": "tiny_mesh", "overrides": {"sram.bytes_per_pe": "3200"}}
SET = {"algorithm": "set", "sparsity": 0.9, "update": {"freq": 10}}


def compiled(**changes: object) -> Plan:
    model = {"name": "mlp", "options": {"width": 32}}
    return compile_recipe(make_recipe({**RECIPE, "model": model, **changes}))


@pytest.fixture(scope="module")
def changing() -> Plan:
    return compiled(target=SMALL, sparsity=SET)


@pytest.mark.parametrize(
    "changes",
    [
        {"sparsity": 0.8},
        {"sparsity": SET, "target": SMALL},
        {"sparsity": None, "optimizer": {"name": "adamw"}, "pipeline": {"recompute": True}},
    ],
)
def test_a_plan_mapped_for_the_masks_it_was_compiled_with_is_the_same_plan(
    changes: dict, tmp_path: Path
) -> None:
    compiled(**changes).save(tmp_path / "p")
    plan = weft.load(tmp_path / "p")
    assert replace(new_map(plan).document, files=plan.document.files) == plan.document


def test_masks_that_have_outgrown_their_map_fit_the_new_one(changing: Plan) -> None:
    generator = torch.Generator().manual_seed(1)
    denser = {n: torch.rand(m.shape, generator=generator) < 0.6 for n, m in changing.masks.items()}
    trained = replace(changing, masks=denser)
    assert any(room.needs_new_map for room in rooms(trained, denser))
    made = new_map(trained)
    assert not any(room.needs_new_map for room in rooms(made, denser))
    kept = sum(stage.nonzeros.total for stage in made.document.stages)
    vectors = sum(v.numel() for n, v in changing.tensors.items() if n.endswith("bias"))
    assert kept >= sum(int(mask.sum()) for mask in denser.values()) + vectors
    assert not check(made.document, load_target("tiny_mesh", SMALL["overrides"]), made.programs)


def test_training_goes_on_the_same_on_a_new_map(changing: Plan) -> None:
    first = weft.train(changing, small_data(), executor="reference", epochs=1)
    trained = replace(changing, tensors=first.tensors, masks=first.masks)
    one, two = (
        weft.train(plan, small_data(), executor="reference", epochs=1)
        for plan in (trained, new_map(trained))
    )
    for name, value in one.tensors.items():
        assert torch.equal(two.tensors[name], value), name


def test_final_masks_are_balanced_and_never_change_again(changing: Plan) -> None:
    made = new_map(changing, is_final=True)
    held = [stage.nonzeros for stage in made.document.stages]
    assert any(h.per_pe_max < h.per_pe_max_unbalanced for h in held)
    run = weft.train(made, small_data(), executor="reference", epochs=1)
    for name, mask in run.masks.items():
        assert torch.equal(mask, changing.masks[name])
        assert (run.tensors[name][~mask] == 0).all()


def test_another_target_and_one_that_is_too_small(changing: Plan) -> None:
    assert new_map(changing, "wse2").document.target == "wse2"
    less = load_target("tiny_mesh", {"sram.bytes_per_pe": "2100"})
    with pytest.raises(UserError, match="byte"):
        new_map(changing, less)


def test_a_sparse_model_without_weights_is_mapped_anew_as_sparse(tmp_path: Path) -> None:
    """It was mapped as dense: masks without weights are shares of zeros, which the plan forgot."""
    with torch.device("meta"):
        model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 4))
        sample = torch.zeros(1, 64), torch.zeros(1, dtype=torch.long)
    options = weft.Options(masks={"0.weight": 0.9}, witness=False)
    loss = torch.nn.functional.cross_entropy
    weft.compile(model, sample, loss, "tiny_mesh", options).save(tmp_path / "p")
    plan = weft.load(tmp_path / "p")
    assert plan.document.shares_of_zeros == {"0.weight": 0.9}
    assert plan.document.stages[0].nonzeros.total == pytest.approx(0.1 * 64 * 64 + 64, rel=0.01)
    again = new_map(plan)
    assert again.document.stages == plan.document.stages
    assert check(again.document, load_target("tiny_mesh"), again.programs) == ()
    pricing = Pricing(plan.stages, load_target("tiny_mesh"), plan.training)
    held = {int(pricing.table(stage).nonzeros_total) for stage in plan.stages.stages}
    assert held == {stage.nonzeros.total for stage in plan.document.stages}
