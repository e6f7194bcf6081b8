"""The key `adapters`: what it makes of a model, and what the plan then has and has not."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import weft
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.carried import carried_recipe
from weft.compiler.recipes.network import build_model
from weft.compiler.recipes.read import make_recipe, shipped_recipe
from weft.compiler.recipes.recipe import Recipe

SHIPPED = ("lora", "lora_sparse", "soft_prompt")


@pytest.fixture(scope="module")
def plans() -> dict[str, Plan]:
    return {name: compile_recipe(shipped_recipe(name)) for name in SHIPPED}


def _data(name: str, count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(0)
    if name == "soft_prompt":
        windows = draw.integers(0, 256, (count, 25))
        return windows[:, :-1].copy(), windows[:, 1:].copy()
    images = draw.standard_normal((count, 1, 8, 8), dtype=np.float32)
    return images, draw.integers(0, 10, count)


def _is_own(name: str) -> bool:
    return "lora_" in name or name.endswith("prompt")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_plan_has_nothing_to_train_of_frozen_weights(name: str, plans: dict[str, Plan]) -> None:
    """Gradients are results of the backward: there are those of adapters only. What is not trained
    has no optimizer state, no gradient's memory, no update."""
    plan = plans[name]
    assert weft.check(plan.document, programs=plan.programs) == ()
    trained = [n for stage in plan.stages.stages for n in stage.trained]
    assert trained
    assert all(map(_is_own, trained))
    for stage, record in zip(plan.stages.stages, plan.document.stages, strict=True):
        program, memory = stage.program, record.memory_per_pe
        results = program.backward.graph.output_node().args[0]
        wanted = sum(program.trainable) + sum(program.input_needs_grad)
        assert len(results) == wanted + len(program.backward_state)  # type: ignore[arg-type]
        updates = [operator for operator in record.operators if operator.phase == "update"]
        assert len(updates) == len(stage.trained)
        assert (memory.optimizer_bytes > 0) == (memory.gradient_bytes > 0) == bool(stage.trained)


def test_the_backward_stops_at_the_first_trainable_layer() -> None:
    """Stages before it keep nothing of a sample, do nothing backward, and get no gradient."""
    keys = {"targets": ["layers.7"], "rank": 2}
    plan = compile_recipe(make_recipe({"model": "mlp", "adapters": keys, "normalization": "layer"}))
    first = next(s.index for s in plan.stages.stages if s.trained)
    assert first == 2
    for stage, record in list(zip(plan.stages.stages, plan.document.stages, strict=True))[:first]:
        assert record.cycles.backward_cycles == 0
        assert record.memory_per_pe.activation_fifo_bytes == stage.program.saved_bytes == 0
        assert not any(stage.program.output_needs_grad)
    edges = [edge for edge in plan.document.edges if edge.sink <= first]
    assert edges
    assert all(edge.gradient_bytes == 0 for edge in edges)


def test_frozen_weights_keep_no_input_of_theirs() -> None:
    """A linear layer keeps its input for its weight's gradient: a frozen one does not, and one with
    an adapter keeps A's input and B's."""
    recipe = {"model": f"{__name__}:linear", "input": {"shape": [4]}, "loss": "mse"}
    recipe["input"] |= {"label_shape": [2], "label_dtype": "float32"}  # type: ignore[operator]
    kept = {}
    for targets in ([], ["0"]):
        keys = {"targets": targets, "rank": 2} if targets else {}
        plan = compile_recipe(make_recipe({**recipe, "adapters": keys}))
        stages = plan.stages.stages[:-1]
        kept[len(targets)] = [[s.shape for s in stage.program.saved] for stage in stages]
    assert kept == {0: [[(1, 4)], [(1, 8)], [(1, 6)]], 1: [[(1, 4), (1, 2)], [], []]}


def linear() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 6), nn.Linear(6, 2))


def test_an_adapted_layer_is_one_stage(plans: dict[str, Plan]) -> None:
    plain = compile_recipe(make_recipe({"model": "mlp", "normalization": "layer"}))
    for name in ("lora", "lora_sparse"):
        assert len(plans[name].stages.stages) == len(plain.stages.stages) == 5
        products = [s for s in plans[name].stages.stages if s.parameters]
        assert all(sum("lora_" in n for n in stage.parameters) == 2 for stage in products)


def test_a_sparse_base_stays_compressed(plans: dict[str, Plan]) -> None:
    dense, sparse = plans["lora"], plans["lora_sparse"]
    assert set(sparse.masks) == {f"layers.{n}.base_layer.weight" for n in (1, 4, 7, 10)}
    for name, mask in sparse.masks.items():
        assert float(mask.float().mean()) == pytest.approx(0.25, abs=0.01)
        assert not sparse.tensors[name][~mask].any()
    skipped = dense.document.totals.macs_effective - sparse.document.totals.macs_effective
    base = sum(mask.numel() for mask in sparse.masks.values())
    first = sparse.masks["layers.1.base_layer.weight"].numel()  # no gradient of its input
    assert skipped == pytest.approx(0.75 * (2 * base - first), rel=0.01)


@pytest.mark.parametrize("name", SHIPPED)
def test_it_begins_as_the_model_before(name: str) -> None:
    recipe = shipped_recipe(name)
    before, masks = build_model(_without(recipe))
    with torch.no_grad():
        for key, mask in masks.items():
            before.get_parameter(key).mul_(mask)
    after, renamed = build_model(recipe)
    for key, mask in renamed.items():
        after.get_parameter(key).data.mul_(mask)
    sample = torch.from_numpy(_data(name, 1)[0])
    if name != "soft_prompt":
        assert torch.equal(after(sample), before(sample))
        return
    prompt = after.model.get_submodule("bytes").prompt  # type: ignore[union-attr]
    table = before.get_parameter("bytes.weight")
    ids = [int((table == row).all(1).nonzero()) for row in prompt]  # type: ignore[union-attr]
    whole = torch.cat([torch.tensor([ids]), sample], 1)
    assert torch.equal(after(sample), before(whole)[:, 8:])


def _without(recipe: Recipe) -> Recipe:
    given = recipe.model_dump(mode="json", exclude_unset=True) | {"adapters": {}}
    return make_recipe(given)


@pytest.mark.parametrize("name", [*SHIPPED, "masked"])
def test_reference_and_jax_agree_and_resume_to_the_bit(name: str, plans, tmp_path) -> None:
    pytest.importorskip("jax")
    overrides = ["adapters.masked=true"] if name == "masked" else []
    shipped = "lora_sparse" if name == "masked" else name
    plan = compile_recipe(shipped_recipe(shipped, overrides)) if overrides else plans[name]
    data = _data(name, 24)
    runs = {
        executor: weft.train(plan, (*data, *data), executor=executor, epochs=2)
        for executor in ("reference", "jax")
    }
    np.testing.assert_allclose(runs["jax"].losses, runs["reference"].losses, rtol=2e-5)
    for key, start in plan.tensors.items():
        ours, theirs = runs["jax"].tensors[key], runs["reference"].tensors[key]
        assert torch.equal(ours, theirs) or _is_own(key)
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)
        assert torch.equal(ours, start) != _is_own(key), key
    resumed = _stopped_and_resumed(plan, (*data, *data), tmp_path)
    assert resumed.keys() == runs["reference"].tensors.keys()
    assert all(torch.equal(v, resumed[k]) for k, v in runs["reference"].tensors.items())


def _stopped_and_resumed(plan: Plan, data, directory) -> dict[str, Tensor]:
    def stop(progress) -> None:
        if progress.samples >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        weft.train(
            plan,
            data,
            executor="reference",
            epochs=2,
            checkpoint=directory / "run",
            every=4,
            on_progress=stop,
        )
    return dict(weft.train(plan, data, resume=directory / "run").tensors)


def test_the_plan_carries_the_key(plans: dict[str, Plan], tmp_path) -> None:
    plans["lora_sparse"].save(tmp_path / "plan")
    carried = make_recipe(carried_recipe(weft.load(tmp_path / "plan")))
    assert carried.adapters == shipped_recipe("lora_sparse").adapters
    assert carried.adapters.lora.scale == 2


def test_a_module_of_the_users_stays_as_it_is() -> None:
    recipe = {"model": f"{__name__}:MODULE", "input": {"shape": [4]}, "loss": "mse"}
    for _ in range(2):
        model, _ = build_model(make_recipe({**recipe, "adapters": {"targets": ["0"], "rank": 2}}))
        assert model is not MODULE
    assert type(MODULE[0]) is nn.Linear


MODULE = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))

REFUSED = {
    "rank": ({"targets": ["layers.*"], "rank": 11}, "layers.10[\\s\\S]*from 1 to 10[\\s\\S]*11"),
    "nothing": ({"targets": ["head"]}, "'head'[\\s\\S]*no match"),
    "keys without": ({"rank": 4}, "targets, or a prompt_length"),
    "tokens": ({"prompt_length": 2, "prompt_tokens": [1]}, "one token for each of 2"),
    "no tokens": ({"prompt_length": 2}, "SoftPrompt: embedding[\\s\\S]*there is none"),
    "mask": ({"targets": ["layers.1"], "masked": True}, "layers.1[\\s\\S]*a mask of shape"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_is_refused(name: str) -> None:
    keys, said = REFUSED[name]
    with pytest.raises(UserError, match=said):
        build_model(make_recipe({"model": "mlp", "normalization": "layer", "adapters": keys}))


def test_masks_of_frozen_weights_cannot_change() -> None:
    recipe = shipped_recipe("lora", ["sparsity.algorithm=set", "sparsity.sparsity=0.5"])
    with pytest.raises(UserError, match=r"adapters freeze the weights[\s\S]*algorithm=static"):
        build_model(recipe)


def test_norms_with_statistics_are_a_choice() -> None:
    given = {"model": "mlp", "adapters": {"targets": ["layers.1"]}}
    with pytest.raises(UserError, match="norms with statistics"):
        build_model(make_recipe(given))
    recipe = make_recipe(given, ["adapters.statistics=stand still"])
    model, _ = build_model(recipe)
    assert not model.get_submodule("layers.2").training
