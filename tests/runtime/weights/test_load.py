"""Weights from files into plans and back: names, prefixes, shards, ties, and what is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import weft
from helpers.plans_to_train import small_data, small_plan
from safetensors.torch import save_file
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.compiler.plan.plan import Plan
from weft.compiler.recipes.network import build_model, class_loss
from weft.compiler.recipes.read import make_recipe
from weft.runtime import checkpoint
from weft.runtime.data import Dataset
from weft.runtime.weights.load import copy_into, load_weights


@pytest.fixture(scope="module")
def plan() -> Plan:
    return small_plan()


def other_weights(plan: Plan) -> dict[str, Tensor]:
    """Of the same names and shapes, zero where the plan's masks are."""
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.rand(value.shape, generator=generator) * plan.masks.get(name, torch.tensor(1))
        for name, value in plan.tensors.items()
    }


def same(plan: Plan, expected: dict[str, Tensor]) -> bool:
    return plan.tensors.keys() == expected.keys() and all(
        torch.equal(value, expected[name]) for name, value in plan.tensors.items()
    )


@pytest.mark.parametrize("form", ["mapping", "file", "folder", "shards", "index"])
def test_weights_come_from(form: str, plan: Plan, tmp_path: Path) -> None:
    given = other_weights(plan)
    source: object = given
    if form in ("file", "folder"):
        save_file(given, tmp_path / "model.safetensors")
        source = tmp_path / "model.safetensors" if form == "file" else tmp_path
    if form in ("shards", "index"):
        names, places = sorted(given), {}
        for number in range(2):
            part = {name: given[name] for name in names[number::2]}
            save_file(part, tmp_path / f"model-{number}.safetensors")
            places |= dict.fromkeys(part, f"model-{number}.safetensors")
        index = tmp_path / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": places}))
        source = tmp_path if form == "shards" else index
    assert same(load_weights(plan, source), given)  # type: ignore[arg-type]


@pytest.mark.parametrize("prefix", ["model.", "transformer.", "module.encoder."])
def test_one_prefix_more_is_taken_away(prefix: str, plan: Plan) -> None:
    given = other_weights(plan)
    assert same(load_weights(plan, {prefix + name: v for name, v in given.items()}), given)


class Wrapped(nn.Module):
    """A part that may come with weights of its own, and a head tied to its first layer."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 4))
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.body[0].weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.body(tokens))


def wrapped_plan() -> tuple[Wrapped, Plan]:
    model, tokens = Wrapped(), torch.zeros(1, 3, dtype=torch.long)
    return model, weft.compile(model, (tokens, tokens), class_loss, "wse2")


def test_a_missing_prefix_is_added_and_a_tied_name_may_be_there_or_not() -> None:
    _, plan = wrapped_plan()
    given = {name: torch.rand(value.shape) for name, value in plan.tensors.items()}
    short = {name.removeprefix("body."): value for name, value in given.items()}
    assert same(load_weights(plan, short), given)
    (tied,) = [name for name, value in given.items() if value.shape == (7, 4)]
    for second in ("head.weight", "body.0.weight"):
        assert same(load_weights(plan, {**given, second: given[tied]}), given)


def test_a_second_name_with_another_value_is_not_a_tie() -> None:
    _, plan = wrapped_plan()
    given = {name: torch.rand(value.shape) for name, value in plan.tensors.items()}
    (free,) = {"head.weight", "body.0.weight"} - given.keys()
    with pytest.raises(UserError, match="1 unexpected"):
        load_weights(plan, {**given, free: torch.rand(7, 4)})


def test_types_are_the_plans_and_masked_weights_become_zero(plan: Plan) -> None:
    given = {name: torch.ones(v.shape, dtype=torch.bfloat16) for name, v in plan.tensors.items()}
    loaded = load_weights(plan, given)
    for name, value in loaded.tensors.items():
        assert value.dtype == plan.tensors[name].dtype
        mask = plan.masks.get(name, torch.ones(value.shape, dtype=torch.bool))
        assert torch.equal(value, mask.to(value.dtype))


def test_what_does_not_fit_is_listed_all_at_once(plan: Plan) -> None:
    given = other_weights(plan)
    parameters = [record.name for record in plan.document.parameters]
    gone, bent = parameters[0], parameters[1]
    wrong = {n: v for n, v in given.items() if n != gone}
    wrong |= {bent: torch.zeros(1, 2, 3), "extra.weight": torch.zeros(5)}
    with pytest.raises(UserError) as error:
        load_weights(plan, wrong)
    for part in (f"1 missing: {gone}", "1 unexpected: extra.weight", f"{bent} (1, 2, 3) for"):
        assert part in error.value.got


def test_state_that_a_file_lacks_stays_and_a_plan_without_weights_needs_it(plan: Plan) -> None:
    given = other_weights(plan)
    parameters = {record.name for record in plan.document.parameters}
    alone = {name: value for name, value in given.items() if name in parameters}
    assert alone.keys() < given.keys()
    kept = {n: v for n, v in plan.tensors.items() if n not in parameters}
    assert same(load_weights(plan, alone), {**alone, **kept})
    empty = replace(plan, tensors={})
    assert same(load_weights(empty, given), given)
    with pytest.raises(UserError, match="missing"):
        load_weights(empty, alone)


def test_a_run_writes_back_into_the_model_it_came_from(plan: Plan) -> None:
    run = weft.train(plan, small_data(), executor="reference", epochs=1)
    model, _ = build_model(make_recipe(plan.document.recipe))
    run.write_back(model)
    x = small_data().x_test
    (predicted,) = weft.predict(replace(plan, tensors=run.tensors), x, executor="reference")
    with torch.no_grad():
        np.testing.assert_allclose(model.eval()(torch.from_numpy(x)), predicted, rtol=1e-4)


def test_tied_weights_stay_tied_and_another_model_stays_untouched() -> None:
    model, plan = wrapped_plan()
    given = {name: torch.rand(value.shape) for name, value in plan.tensors.items()}
    copy_into(given, model)
    assert model.head.weight is model.body[0].weight
    assert all(torch.equal(model.state_dict()[name], value) for name, value in given.items())
    other = nn.Linear(4, 4)
    before = other.weight.clone()
    with pytest.raises(UserError, match="lacks"):
        copy_into({**given, "weight": torch.zeros(4, 4)}, other)
    assert torch.equal(other.weight, before)


class Written(nn.Module):
    """Keeps numbers beside its weights: an attribute, a literal, an entry of a list."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.kept = torch.linspace(0.5, 1, 4), [torch.ones(4)]

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.kept[0] * torch.tensor([1.0, 2.0, 3.0, 4.0])


def test_numbers_that_a_model_writes_down_hinder_no_weights(tmp_path: Path) -> None:
    def make() -> nn.Module:
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(4, 4), nn.Sequential(Written()), nn.Dropout(0.1))

    model, x, y = make(), torch.randn(8, 4), torch.arange(8) % 4
    plan = weft.compile(model, (x[:1], y[:1]), class_loss)
    run = weft.train(plan, (x, y), executor="reference", epochs=1, checkpoint=tmp_path)
    run.write_back(model)
    (predicted,) = weft.predict(run.trained_plan(plan), x, executor="reference")
    np.testing.assert_allclose(model.eval()(x).detach(), predicted, rtol=1e-5)
    exported = checkpoint.export(checkpoint.newest(tmp_path), tmp_path / "model.safetensors")
    assert {"0.weight", "0.bias"} <= exported.keys() <= {"0.weight", "0.bias", "1.0.scale"}
    assert np.array_equal(exported["0.weight"], model[0].weight.detach())
    with pytest.raises(UserError, match=r"lacks: 1\.0\.scale"):
        copy_into(plan.tensors, nn.Sequential(nn.Linear(4, 4)))


def gpt2() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.GPT2Config(
        vocab_size=31,
        n_positions=8,
        n_embd=16,
        n_layer=1,
        n_head=2,
        use_cache=False,
        bos_token_id=0,
        eos_token_id=0,
        attn_pdrop=0,
        embd_pdrop=0,
        resid_pdrop=0,
    )
    return transformers.GPT2LMHeadModel(config).eval()


def llama() -> nn.Module:
    transformers = pytest.importorskip("transformers")
    config = transformers.LlamaConfig(
        vocab_size=31,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        use_cache=False,
    )
    return transformers.LlamaForCausalLM(config).eval()


@pytest.mark.parametrize("make", [gpt2, llama])
def test_a_published_model_goes_through_weft_and_comes_back(make, tmp_path: Path) -> None:
    """save_pretrained, compile another start, load, train, export, from_pretrained: same logits."""
    torch.manual_seed(0)
    make().save_pretrained(tmp_path / "published")
    tokens = torch.zeros(1, 6, dtype=torch.long)
    torch.manual_seed(1)
    model = make()
    plan = load_weights(
        weft.compile(model, (tokens, tokens), class_loss, "wse2"), tmp_path / "published"
    )
    text = np.random.default_rng(0).integers(0, 31, (8, 7))
    x, y = text[:, :-1], text[:, 1:]
    (start,) = weft.predict(plan, x, executor="reference")
    published = type(model).from_pretrained(tmp_path / "published")
    assert_logits(published, x, start)

    data = Dataset("text", x, y, x, y, "none")
    run = weft.train(plan, data, executor="reference", epochs=1, checkpoint=tmp_path / "run")
    folder = tmp_path / "trained"
    checkpoint.export(checkpoint.newest(tmp_path / "run"), folder / "model.safetensors")
    shutil.copy(tmp_path / "published" / "config.json", folder)
    (end,) = weft.predict(replace(plan, tensors=run.tensors), x, executor="reference")
    assert np.abs(end - start).max() > 1e-3
    assert_logits(type(model).from_pretrained(folder), x, end)


def assert_logits(model: nn.Module, x: np.ndarray, expected: np.ndarray) -> None:
    """Equal to float32's rounding in another order of operations."""
    with torch.no_grad():
        logits = model.eval()(torch.from_numpy(x)).logits
    np.testing.assert_allclose(logits.numpy(), expected, atol=1e-5)


def test_what_is_not_the_models_is_not_written():
    model = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.5))
    weight = torch.ones(3, 4)
    copy_into({"0.weight": weight, "random.0.key": torch.tensor([0, 9])}, model)
    assert torch.equal(model[0].weight, weight)
    with pytest.raises(UserError, match=r"random\.key"):
        copy_into({"random.key": torch.tensor([0, 9])}, model)
