"""What a Python user may hand to weft.compile; mistakes are told with what to do."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from weft.backend.errors import UnknownNameError, UserError
from weft.compiler.pipeline import Options
from weft.compiler.recipes.given import as_loss, as_module, as_options, as_sample


def test_what_is_right_is_kept():
    module, options = nn.Linear(2, 2), Options(recompute=True)
    assert as_module(module) is module
    assert as_options(options) is options
    assert as_options(None) is None
    assert as_loss(F.mse_loss) is F.mse_loss
    assert as_loss(None) is None


def test_options_may_be_a_mapping():
    given = {"granularity": "block", "masks": {"w": 0.5}}
    assert as_options(given) == Options(granularity="block", masks={"w": 0.5})
    with pytest.raises(UnknownNameError, match="granularity"):
        as_options({"granularty": "block"})
    with pytest.raises(UserError, match=r"weft\.Options"):
        as_options("block")


def test_losses_go_by_the_names_of_recipes():
    scores, label = torch.randn(1, 5), torch.tensor([3])
    named = as_loss("cross_entropy")
    assert named(scores, label) == F.cross_entropy(scores, label)
    assert named({"logits": scores}, label) == F.cross_entropy(scores, label)
    with pytest.raises(UnknownNameError, match="cross_entropy"):
        as_loss("crossentropy")


def test_a_tensor_alone_is_the_input_of_a_model_with_its_own_loss():
    x = torch.zeros(1, 3)
    assert as_sample(x, None)[0] is x
    with pytest.raises(UserError, match="target"):
        as_sample(x, F.mse_loss)


@pytest.mark.parametrize(
    ("model", "remedy"),
    [
        (nn.Linear, r"make one: Linear\(\.\.\.\)"),
        ("resnet20", "compile_recipe"),
        (lambda: nn.Linear(2, 2), "call it"),
        (3, "pass the module"),
    ],
)
def test_what_is_no_module_is_refused(model, remedy):
    with pytest.raises(UserError, match=remedy):
        as_module(model)


def test_a_loss_that_is_a_class_is_to_be_made():
    with pytest.raises(UserError, match=r"make one: CrossEntropyLoss\(\)"):
        as_loss(torch.nn.CrossEntropyLoss)  # type: ignore[arg-type]
