"""Which parameters are made sparse: by default, and under which names."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from weft.backend.errors import UserError
from weft.sparsity import configure


class Vision(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, 8))
        self.scale = nn.Parameter(torch.ones(8, 1, 1))
        self.depthwise = nn.Conv2d(8, 8, 3, groups=8)
        self.head = nn.Linear(8, 1)


def test_by_default_what_has_one_element_per_output_stays_dense() -> None:
    assert list(configure(0.5).rules(Vision())) == ["depthwise.weight", "head.weight"]


def test_magnitudes_of_weight_norm_stay_dense() -> None:
    model = nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Linear(6, 4)),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 4, 3)),
    )
    directions = [f"{n}.parametrizations.weight.original1" for n in (0, 1)]
    assert list(configure(0.5).rules(model)) == directions


def test_frozen_parameters_are_taken_only_by_name() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[0].requires_grad_(False)
    assert list(configure(0.5).rules(model)) == ["1.weight"]
    assert list(configure(0.5).rules(dict(model.named_parameters()))) == ["1.weight"]
    named = {"sparsity": 0.5, "param_filter": "0.weight"}
    assert list(configure(named).rules(model)) == ["0.weight"]
    model[1].requires_grad_(False)
    with pytest.raises(UserError, match="frozen parameters are taken only by name"):
        configure(0.5).rules(model)


def test_a_filter_may_name_a_tied_parameter_by_any_of_its_names() -> None:
    model = nn.ModuleDict({"token": nn.Embedding(5, 4), "head": nn.Linear(4, 5, bias=False)})
    model["head"].weight = model["token"].weight
    for pattern in ("head.weight", "re:h.*", lambda name, _: name == "head.weight"):
        rules = configure({"sparsity": 0.5, "param_filter": pattern}).rules(model)
        assert list(rules) == ["token.weight"]
    with pytest.raises(UserError, match=r"head\.weight is token\.weight"):
        configure({"sparsity": 0.5, "param_filter": "head.*"}).check_first_names(model)


@pytest.mark.parametrize("config", [[], (), {"groups": []}, {"groups": None}])
def test_no_group_at_all_is_refused(config: object) -> None:
    with pytest.raises(UserError, match="at least one mapping"):
        configure(config)  # pyright: ignore[reportArgumentType]


def test_none_is_no_sparsity() -> None:
    assert configure(None).rules(nn.Linear(3, 3)) == {}
