from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.backend.errors import UnknownNameError, UserError
from weft.backend.nn.norms import make_norm
from weft.compiler.recipes.read import load_recipe, make_recipe, shipped_recipe

MINIMAL: dict[str, Any] = {"model": "resnet20", "input": {"shape": [1, 8, 8], "classes": 10}}


def test_one_word_stands_for_a_part() -> None:
    recipe = make_recipe({**MINIMAL, "normalization": "group", "target": "wse3"})
    assert recipe.model.name == "resnet20"
    assert recipe.normalization.kind == "group"
    assert recipe.target.name == "wse3"


def test_overrides_reach_every_depth_and_keep_the_rest() -> None:
    recipe = make_recipe(
        MINIMAL,
        ["model.options.width=8", "optimizer.lr=1e-3", "optimizer.schedule.kind=cosine", "seed=3"],
    )
    assert recipe.model.name == "resnet20"
    assert recipe.model.options == {"width": 8}
    assert recipe.optimizer.lr == 1e-3
    assert recipe.optimizer.schedule.kind == "cosine"
    assert recipe.optimizer.momentum == make_recipe(MINIMAL).optimizer.momentum
    assert recipe.seed == 3


def test_overrides_do_not_change_their_source() -> None:
    data = {**MINIMAL, "optimizer": {"lr": 0.5}}
    make_recipe(data, ["optimizer.lr=0.1", "input.classes=2"])
    assert data["optimizer"] == {"lr": 0.5}
    assert data["input"]["classes"] == 10


def test_constants_of_the_target_are_overridden_by_their_own_name() -> None:
    recipe = make_recipe(MINIMAL, ["target=wse3", "target.noc.hop_cycles=2"])
    assert recipe.target.name == "wse3"
    assert recipe.target.overrides == {"noc.hop_cycles": "2"}


def test_a_resolved_recipe_reads_back_as_itself() -> None:
    recipe = shipped_recipe("demo", ["target.clock_hz=1.1e9"])
    assert make_recipe(recipe.model_dump(mode="json")) == recipe


def test_set_normalization_options_are_passed_on() -> None:
    recipe = make_recipe({**MINIMAL, "normalization": {"alpha_fwd": 0.9, "ecm": "none"}})
    assert recipe.normalization.options() == {"alpha_fwd": 0.9, "ecm": None}


def test_layer_scaling_of_groups_reaches_the_layer() -> None:
    recipe = make_recipe({**MINIMAL, "normalization": {"ecm": "layer_scale", "group_size": 2}})
    layer = make_norm("online", 4, **recipe.normalization.options())
    assert (layer.ecm, layer.group_size) == ("layer_scale", 2)


@pytest.mark.parametrize(
    ("override", "where", "got"),
    [
        ("optimizer.momentun=0.9", "did you mean 'optimizer.momentum'", "'momentun'"),
        ("epoch=3", "did you mean 'epochs'", "'epoch'"),
        ("options.tied=1", "did you mean 'model.options'", "'options'"),
        ("lr=1", "did you mean 'optimizer.lr'?", "'lr'"),
        ("wafers=2", "did you mean 'target.wafers'?", "'wafers'"),
        ("granularity=auto", "'upcycling.granularity' or 'pipeline.granularity'", "'granularity'"),
        ("tied=1", "for the model's own: model.options.tied", "'tied'"),
        ("optimizer.momentum=1", "optimizer.momentum", "1"),
        ("optimizer.lr=.nan", "optimizer.lr", "nan"),
        ("optimizer.schedule.kind=fast", "'constant', 'cosine' or 'multistep'", "'fast'"),
        ("input.shape=[0]", "input.shape", "0"),
        ("optimizer=fast", "a mapping", "'fast'"),
        ("lr", "key=value", "'lr'"),
        ("input..shape=1", "key=value", "'input..shape=1'"),
        ("data=[1", "valid YAML", "flow sequence"),
    ],
)
def test_a_mistake_is_one_message(override: str, where: str, got: str) -> None:
    with pytest.raises(UserError) as caught:
        make_recipe(MINIMAL, [override], where="my.yaml")
    text = str(caught.value)
    assert where in text
    assert got in text
    assert "pydantic" not in text
    assert "my.yaml" in text or "--set" in text


def test_a_missing_part_is_named() -> None:
    with pytest.raises(UserError, match=r"recipe: input\n  expected: a value\n  got:      nothing"):
        make_recipe({"model": "my_models.py:cnn"})


def test_the_input_of_a_named_model_is_known() -> None:
    recipe = make_recipe({"model": "resnet20"}, ["input.classes=7"])
    assert (recipe.input.shape, recipe.input.classes) == ((3, 32, 32), 7)
    assert make_recipe({"model": "rev_unet"}).input.label_shape == (16, 16, 16)


def test_files_are_read_with_overrides(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_text("model: mlp\ninput: {shape: [1, 8, 8], classes: 10}\noptimizer: {lr: 1e-2}\n")
    assert load_recipe(path, ["epochs=2"]).optimizer.lr == 1e-2


@pytest.mark.parametrize("content", ["- a\n- b\n", "3", "", "a: [", "1: 2", "\x00", "{a: {b: c"])
def test_files_that_are_no_recipe_are_refused_by_name(content: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(content)
    with pytest.raises(UserError, match=r"bad\.yaml"):
        load_recipe(path)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.yaml"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="directory"):
        load_recipe(tmp_path)


def test_data_and_its_sampler_may_be_one_word() -> None:
    recipe = make_recipe({"model": "mlp", "data": "digits"}, ["data.sampler=self_paced"])
    assert (recipe.data.name, recipe.data.sampler.kind) == ("digits", "self_paced")
    nested = {"name": "digits", "sampler": "self_paced"}
    assert make_recipe({"model": "mlp", "data": nested}).data == recipe.data
    assert make_recipe({"model": "mlp", "data": None}).data.name is None
    changed = make_recipe(recipe.model_dump(mode="json"), ["data.sampler.clusters=3"])
    assert (changed.data.sampler.kind, changed.data.sampler.clusters) == ("self_paced", 3)


@pytest.mark.parametrize(
    "change", ["input.label_dtype=float32", "input.label_shape=[4]", "input.dtype=int64"]
)
def test_a_self_paced_sampler_needs_a_class_for_each_sample(change: str) -> None:
    with pytest.raises(UserError, match=r"recipe: data.sampler\n.*one class each"):
        make_recipe({"model": "mlp"}, ["data.sampler=self_paced", change])


def test_an_unknown_shipped_recipe_is_a_mistake() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'demo'"):
        shipped_recipe("dema")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
KEYS = st.sampled_from(["model", "input", "optimizer", "target", "sparsity", "seed", "data", "x"])


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.dictionaries(KEYS, VALUES), st.lists(st.text(max_size=20), max_size=2))
def test_nothing_but_a_user_error_comes_out(data: dict[str, Any], overrides: list[str]) -> None:
    with suppress(UserError):
        make_recipe({**MINIMAL, **data}, overrides)


def test_an_unknown_key_is_named_before_one_that_is_missing():
    with pytest.raises(UserError, match="unknown key 'modle'") as refused:
        make_recipe({"modle": "mlp"})
    assert refused.value.change == "did you mean 'model'?"
