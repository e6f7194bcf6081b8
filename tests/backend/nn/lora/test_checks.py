"""Configurations and layers that no adapter fits are refused, with what to change."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.nn import lora

CONFIGS: dict[str, tuple[dict[str, Any], str]] = {
    "a string": ({"targets": "2"}, "a tuple of globs"),
    "no targets": ({"targets": ()}, "at least one"),
    "half a rank": ({"rank": 2.5}, "a whole number"),
    "a truth": ({"rank": True}, "a whole number"),
    "rank above": ({"rank": 5}, "from 1 to 4"),
    "alpha 0": ({"alpha": 0.0}, "above 0"),
    "alpha NaN": ({"alpha": float("nan")}, "above 0"),
    "alpha infinite": ({"alpha": float("inf")}, "above 0"),
    "all dropped": ({"dropout": 1.0}, "below 1"),
    "trained": ({"trained": ("3.*",)}, r"trained '3\.\*'[\s\S]*no match"),
    "statistics": ({"statistics": "frozen"}, "'go on' or 'stand still'"),
}


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 4))


@pytest.mark.parametrize("name", CONFIGS)
def test_values_that_no_adapter_has(name: str) -> None:
    given, said = CONFIGS[name]
    config = lora.LoRA(**{"targets": ("2",), "rank": 2, **given})
    with pytest.raises(UserError, match=said):
        lora.adapt(_model(), config)


def test_weights_that_are_computed_or_whole_numbers() -> None:
    model = _model()
    nn.utils.parametrizations.weight_norm(model.get_submodule("0"))
    with pytest.raises(UserError, match="one that is computed"):
        lora.adapt(model, lora.LoRA(("0",), rank=2))
    model = _model()
    whole = torch.ones(8, 8, dtype=torch.int8)
    model.get_submodule("0").weight = nn.Parameter(whole, requires_grad=False)
    with pytest.raises(UserError, match=r"torch\.int8"):
        lora.adapt(model, lora.LoRA(("0",), rank=2))


def test_adapters_that_are_there_go_on_training() -> None:
    model = lora.adapt(_model(), lora.LoRA(("0",), rank=2))
    model = lora.adapt(model, lora.LoRA(("2",), rank=3))
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained == lora.adapter_parameters(model).keys()
    assert len(trained) == 4


def test_a_layer_whose_weight_its_parent_reads_is_adapted_too() -> None:
    """Attention of torch multiplies with out_proj.weight itself."""
    torch.manual_seed(0)
    model, x = nn.MultiheadAttention(8, 2, batch_first=True), torch.randn(1, 3, 8)
    before = model(x, x, x)[0]
    model = lora.adapt(model, lora.LoRA(("out_proj",), rank=2))  # type: ignore[assignment]
    assert torch.equal(model(x, x, x)[0], before)
    for parameter in lora.adapter_parameters(model).values():
        nn.init.normal_(parameter)
    found: Tensor = model(x, x, x)[0]
    torch.testing.assert_close(lora.merge(model).model(x, x, x)[0], found)
    found.sum().backward()
    assert all(p.grad is not None for p in lora.adapter_parameters(model).values())


def test_merges_that_are_not_there_or_not_finite() -> None:
    model = lora.adapt(_model(), lora.LoRA(("0",), rank=2))
    with pytest.raises(UserError, match="exact or masked or dense"):
        lora.merge(model, "mask")  # type: ignore[arg-type]
    with torch.no_grad():
        next(iter(lora.adapter_parameters(model).values())).fill_(float("nan"))
    with pytest.raises(UserError, match="64 of 64 weights of B A are not"):
        lora.merge(model)
