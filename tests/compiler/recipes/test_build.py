"""Recipes of language models: tokens in, a label per token, a factory and a loss of the user's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch.nn.functional as F
from torch import nn
from weft.api import train
from weft.backend.errors import UnknownNameError, UserError
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe

_TEXT = "the quick brown fox jumps over the lazy dog. " * 40

_LANGUAGE = {
    "model": f"{__name__}:factory",
    "input": {"shape": [8], "dtype": "int64", "label_shape": [8], "classes": 256},
    "optimizer": {"lr": 0.05, "momentum": 0.9, "reference_batch_size": None},
    "pipeline": {"compensation": "none"},
    "target": "tiny_mesh",
}


class Bigram(nn.Module):
    """Scores of the next byte from the byte itself."""

    def __init__(self, wrapped: bool, own_loss: bool) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(256, 8), nn.Linear(8, 256)
        self.wrapped, self.own_loss = wrapped, own_loss

    def forward(self, tokens, labels=None):
        scores = self.head(self.table(tokens))
        if self.own_loss:
            return F.cross_entropy(scores.flatten(0, 1), labels.flatten()), scores
        return {"logits": scores} if self.wrapped else scores


def factory(wrapped: bool = False, own_loss: bool = False) -> nn.Module:
    return Bigram(wrapped, own_loss)


def negative(prediction, label):
    return F.nll_loss(prediction.flatten(0, 1).log_softmax(-1), label.flatten())


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])


RECIPES = {
    "scores": _LANGUAGE,
    "mapping": {**_LANGUAGE, "model": {"name": _LANGUAGE["model"], "options": {"wrapped": True}}},
    "own loss": {
        **_LANGUAGE,
        "model": {"name": _LANGUAGE["model"], "options": {"own_loss": True}},
        "loss": "model",
    },
    "given loss": {**_LANGUAGE, "loss": f"{__name__}:negative"},
}


@pytest.mark.parametrize("recipe", list(RECIPES.values()), ids=list(RECIPES))
def test_a_language_model_trains_on_bytes(recipe, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text(_TEXT)
    plan = compile_recipe(make_recipe(recipe))
    assert [(record.shape, record.dtype) for record in plan.document.inputs] == [
        ((1, 8), "int64"),
        ((1, 8), "int64"),
    ]
    run = train(plan, str(text), executor="reference", epochs=2)
    assert run.test_accuracy > 0.2, "one in 256 would be chance"


def test_all_ways_to_the_loss_give_the_same_plan_of_arithmetic(tmp_path):
    totals = {name: compile_recipe(make_recipe(r)).document.totals for name, r in RECIPES.items()}
    assert totals["scores"].macs_dense == totals["mapping"].macs_dense
    assert totals["scores"].macs_dense == totals["own loss"].macs_dense


def test_an_unknown_loss_is_refused():
    with pytest.raises(UnknownNameError, match="cross_entropy"):
        compile_recipe(make_recipe({**_LANGUAGE, "loss": "crossentropy"}))


def test_a_sample_that_fits_no_memory_is_refused() -> None:
    large = make_recipe({"model": "torch.nn:Flatten", "input": {"shape": [10**7, 10**4, 10**4]}})
    with pytest.raises(UserError, match="one sample fits this machine's memory") as refused:
        compile_recipe(large)
    assert refused.value.got == "[10000000, 10000, 10000], 4,000,000 GB"


@pytest.mark.parametrize(("classes", "is_refused"), [(10, False), (4, False), (11, True)])
def test_classes_without_a_score_are_refused(
    tmp_path: Path, classes: int, is_refused: bool
) -> None:
    file = tmp_path / "ten_scores.py"
    file.write_text("from torch import nn\n\n\ndef ten():\n    return nn.Linear(4, 10)\n")
    recipe = make_recipe(
        {"model": f"{file}:ten", "input": {"shape": [4], "classes": classes}, "target": "tiny_mesh"}
    )
    if is_refused:
        with pytest.raises(UserError, match="10 scores"):
            compile_recipe(recipe, witness=False)
    else:
        compile_recipe(recipe, witness=False)


@pytest.mark.parametrize("options", ["width=-3", "width=wide", "hidden=two"])
def test_options_that_no_model_of_wefts_can_have_are_refused(options: str) -> None:
    with pytest.raises(UserError, match="options that its factory takes"):
        compile_recipe(make_recipe({"model": "mlp"}, [f"model.options.{options}"]))
