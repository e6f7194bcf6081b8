"""Adapters in and out of a plan; the weights of the model below them by its own names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import weft
from torch import Tensor
from weft.backend.errors import UserError
from weft.backend.nn.prompt.files import write as write_prompt
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.network import build_model
from weft.compiler.recipes.read import make_recipe, shipped_recipe
from weft.nn import lora
from weft.runtime.weights.adapters import load_adapter, save_adapter


@pytest.fixture(scope="module")
def plan() -> Plan:
    return compile_recipe(shipped_recipe("lora"), witness=False)


def _base() -> dict[str, Tensor]:
    torch.manual_seed(7)
    model, _ = build_model(make_recipe({"model": "mlp", "normalization": "layer"}))
    return {name: torch.randn_like(value) for name, value in model.state_dict().items()}


def test_weights_of_the_model_before_it_was_adapted(plan: Plan) -> None:
    base = _base()
    loaded = weft.load_weights(plan, base)
    for name, value in base.items():
        ours = name if name in plan.tensors else name.replace(".weight", ".base_layer.weight")
        ours = ours if ours in plan.tensors else ours.replace(".bias", ".base_layer.bias")
        assert torch.equal(loaded.tensors[ours], value)
    for name, value in plan.tensors.items():
        assert "lora_" not in name or torch.equal(loaded.tensors[name], value)


def test_a_base_that_is_sparse_elsewhere_is_refused() -> None:
    """Dense weights are cut by the masks, and those that have their zeros are taken as they are."""
    plan = compile_recipe(shipped_recipe("lora_sparse"), witness=False)
    masks = {name.replace(".base_layer", ""): mask for name, mask in plan.masks.items()}
    base = _base()
    own = {name: value * masks.get(name, 1) for name, value in base.items()}
    loaded = weft.load_weights(plan, own)
    for name, mask in plan.masks.items():
        found = loaded.tensors[name]
        assert torch.equal(found, own[name.replace(".base_layer", "")])
        assert torch.equal(weft.load_weights(plan, base).tensors[name], found)
        assert not found[~mask].any()
    elsewhere = {n: v * masks[n].flip(0) if n in masks else v for n, v in base.items()}
    with pytest.raises(UserError, match=r"with other zeros: of layers\S* the mask would cut"):
        weft.load_weights(plan, elsewhere)


def test_of_a_soft_prompt_too() -> None:
    prompted = compile_recipe(shipped_recipe("soft_prompt"), witness=False)
    recipe = shipped_recipe("soft_prompt").model_dump(mode="json", exclude_unset=True)
    base, _ = build_model(make_recipe({**recipe, "adapters": {}, "seed": 3}))
    loaded = weft.load_weights(prompted, base.state_dict())
    assert torch.equal(loaded.tensors["model.bytes.table.weight"], base.bytes.weight)  # type: ignore[union-attr]
    assert torch.equal(loaded.tensors["model.places"], base.places)  # type: ignore[arg-type]
    start = prompted.tensors["model.bytes.prompt"]
    assert torch.equal(loaded.tensors["model.bytes.prompt"], start)


def test_a_file_with_some_adapters_must_have_all(plan: Plan) -> None:
    whole = dict(plan.tensors)
    assert weft.load_weights(plan, whole).tensors.keys() == whole.keys()
    del whole["layers.4.lora_A.weight"]
    with pytest.raises(UserError, match=r"1 missing: layers\.4\.lora_A\.weight"):
        weft.load_weights(plan, whole)
    base = _base()
    del base["layers.4.weight"]
    with pytest.raises(UserError, match=r"1 missing: layers\.4\.base_layer\.weight"):
        weft.load_weights(plan, base)


def test_adapters_go_out_and_in_under_pefts_names(plan: Plan, tmp_path: Path) -> None:
    trained = {
        name: torch.randn_like(value) if "lora_" in name else value
        for name, value in plan.tensors.items()
    }
    save_adapter(replace(plan, tensors=trained), tmp_path)
    assert weft.load_weights(plan, tmp_path).tensors.keys() == trained.keys()
    for name, value in weft.load_weights(plan, tmp_path).tensors.items():
        assert torch.equal(value, trained[name])
    model, _ = build_model(make_recipe({"model": "mlp", "normalization": "layer"}))
    x = torch.randn(3, 1, 8, 8)
    expected = weft.predict(replace(plan, tensors=trained), x.numpy(), executor="reference")[0]
    loaded = lora.load(model, tmp_path)  # in eager torch, the plan's function
    torch.testing.assert_close(loaded(x), torch.from_numpy(expected), rtol=1e-5, atol=1e-5)
    theirs = tmp_path / "theirs"
    lora.save(loaded, theirs, shipped_recipe("lora").adapters.lora)
    assert torch.equal(
        load_adapter(plan, theirs).tensors["layers.4.lora_A.weight"],
        trained["layers.4.lora_A.weight"],
    )


def test_virtual_tokens_go_out_and_in_under_pefts_names(tmp_path: Path) -> None:
    prompted = compile_recipe(shipped_recipe("soft_prompt"), witness=False)
    name = "model.bytes.prompt"
    trained = {**prompted.tensors, name: torch.randn_like(prompted.tensors[name])}
    save_adapter(replace(prompted, tensors=trained), tmp_path)
    loaded = weft.load_weights(prompted, tmp_path)
    assert all(torch.equal(loaded.tensors[key], value) for key, value in trained.items())
    write_prompt(torch.zeros(3, 32), tmp_path)
    with pytest.raises(UserError, match=r"8 virtual tokens of 32 features[\s\S]*\(3, 32\)"):
        weft.load_weights(prompted, tmp_path)


def test_what_a_folder_has_no_place_for_is_refused(plan: Plan, tmp_path: Path) -> None:
    keys = ["adapters.trained=[layers.10.bias]"]
    other = compile_recipe(shipped_recipe("lora", keys), witness=False)
    with pytest.raises(UserError, match=r"nothing else that trains[\s\S]*layers\.10\.bias"):
        save_adapter(other, tmp_path)
    prompted = compile_recipe(shipped_recipe("soft_prompt"), witness=False)
    save_adapter(prompted, tmp_path / "prompt")
    with pytest.raises(UserError, match=r"peft_type='PROMPT_TUNING'"):
        weft.load_weights(plan, tmp_path / "prompt")


def test_another_scale_or_plan_is_refused(plan: Plan, tmp_path: Path) -> None:
    save_adapter(plan, tmp_path)
    other = compile_recipe(shipped_recipe("lora", ["adapters.alpha=4"]), witness=False)
    with pytest.raises(UserError, match=r"B A times 1, not masked[\s\S]*alpha 8 and rank 4"):
        weft.load_weights(other, tmp_path)
    rank = compile_recipe(
        shipped_recipe("lora", ["adapters.rank=2", "adapters.alpha=4"]), witness=False
    )
    with pytest.raises(UserError, match=r"shape \(2, 64\)[\s\S]*\(4, 64\)"):
        weft.load_weights(rank, tmp_path)
    plain = compile_recipe(make_recipe({"model": "mlp"}), witness=False)
    with pytest.raises(UserError, match=r"adapters\.targets[\s\S]*one without"):
        weft.load_weights(plain, tmp_path)


@pytest.mark.filterwarnings("ignore")
def test_peft_reads_what_a_plan_trained_and_the_plan_what_peft_saved(
    plan: Plan, tmp_path: Path
) -> None:
    peft = pytest.importorskip("peft")
    draw = np.random.default_rng(0)
    x = draw.standard_normal((40, 1, 8, 8), dtype=np.float32)
    y = draw.integers(0, 10, 40)
    run = weft.train(plan, (x, y), executor="reference", epochs=1)
    trained = replace(plan, tensors=run.tensors)
    save_adapter(trained, tmp_path / "ours")
    model, _ = build_model(make_recipe({"model": "mlp", "normalization": "layer"}))
    theirs = peft.PeftModel.from_pretrained(model, str(tmp_path / "ours")).eval()
    expected = weft.predict(trained, x, executor="reference")[0]
    found = theirs(torch.from_numpy(x)).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    theirs.save_pretrained(str(tmp_path / "theirs"))
    loaded = weft.load_weights(plan, tmp_path / "theirs")
    assert all(torch.equal(loaded.tensors[name], run.tensors[name]) for name in run.tensors)
