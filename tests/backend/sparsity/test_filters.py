"""Which parameters a sparsity group takes."""

from __future__ import annotations

from typing import Any

from torch import nn
from weft.sparsity import configure


def test_filters_by_glob_regular_expression_and_function() -> None:
    model = nn.ModuleDict(
        {"q": nn.Linear(4, 4), "k": nn.Linear(4, 4), "LayerNorm": nn.Linear(4, 4)}
    )

    def chosen(param_filter: Any) -> set[str]:
        return set(configure({"sparsity": 0.5, "param_filter": param_filter}).rules(model))

    assert chosen("q.*ght") == {"q.weight"}
    assert chosen(["re:[qk]\\.weight"]) == {"q.weight", "k.weight"}
    assert chosen(lambda name, weight: weight.dim() == 1) == {"q.bias", "k.bias", "LayerNorm.bias"}
    assert chosen(None) == {"q.weight", "k.weight"}
