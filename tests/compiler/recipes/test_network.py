"""What a recipe names is found and built without what captures and compiles."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from weft.backend.errors import UserError
from weft.compiler.recipes.network import (
    LOSSES,
    build_model,
    check_recipe,
    class_loss,
    loss_function,
)
from weft.compiler.recipes.read import make_recipe
from weft.compiler.recipes.recipe import REAL_LABELS

CHECK = """
import sys
from weft.compiler.recipes.network import check_recipe
from weft.compiler.recipes.read import make_recipe
check_recipe(make_recipe({"model": "mlp", "sparsity": 0.5}))
print([name for name in ("torch._dynamo", "scipy.optimize", "numba") if name in sys.modules])
"""


def test_a_recipe_is_checked_without_what_compiles() -> None:
    done = subprocess.run([sys.executable, "-c", CHECK], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize("loss", ["mse", "l1", "binary_cross_entropy"])
def test_numbers_of_classes_are_no_labels_of_a_loss_of_reals(loss: str) -> None:
    given = {"model": "mlp", "loss": loss}
    with pytest.raises(UserError, match="int64") as refused:
        check_recipe(make_recipe(given, ["input.label_dtype=int64"]))
    assert refused.value.change == "--set input.label_dtype=float32"
    right = make_recipe(given)
    assert right.input.label_dtype == "float32"
    given_loss = loss_function(right)
    assert given_loss is not None
    assert given_loss(torch.zeros(1, 3), torch.ones(1, 3)) > 0


def test_a_model_of_weft_takes_no_sample_of_one_number() -> None:
    with pytest.raises(UserError, match="one number") as refused:
        build_model(make_recipe({"model": "mlp"}, ["input.shape=[]"]))
    assert refused.value.change.startswith("--set input.shape=[")


def test_every_named_loss_is_of_classes_or_of_reals() -> None:
    assert LOSSES.keys() == REAL_LABELS | {"cross_entropy"}
    assert make_recipe({"model": "mlp"}).input.label_dtype == "int64"


def test_the_class_loss_is_the_mean_over_positions():
    scores, labels = torch.randn(1, 5, 7), torch.randint(7, (1, 5))
    each = [F.cross_entropy(scores[:, i], labels[:, i]) for i in range(5)]
    for prediction in (scores, (scores, None), {"logits": scores}):
        torch.testing.assert_close(class_loss(prediction, labels), torch.stack(each).mean())
    torch.testing.assert_close(class_loss(scores[:, 0], labels[:, 0]), each[0])


@pytest.mark.parametrize("shape", [(1, 4, 6, 4), (1, 4, 5), (1, 3, 2, 2, 3)], ids=str)
def test_classes_of_pixels_may_be_second_as_torch_has_them(shape: tuple[int, ...]):
    """Also where there are as many as pixels in a row."""
    scores, labels = torch.randn(shape), torch.randint(shape[1], (1, *shape[2:]))
    expected = F.cross_entropy(scores, labels)
    torch.testing.assert_close(class_loss(scores, labels), expected)
    torch.testing.assert_close(class_loss(scores.movedim(1, -1), labels), expected)
