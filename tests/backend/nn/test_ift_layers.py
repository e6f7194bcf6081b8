"""Sparse Parallel, Factorized and Doped forms of one linear layer or convolution."""

from __future__ import annotations

import pytest
import torch
from helpers.transformed_networks import transformed
from torch import nn
from weft.backend.errors import UserError


def test_forms_compute_what_they_say() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 20, requires_grad=False)
    keep = ("0", "7")
    hidden = torch.randn(3, 96)
    parallel = transformed("linear", "parallel", 0.75, keep=keep).model.get_submodule("3")
    parts = [parallel.get_submodule(f"branches.{i}")(hidden) for i in range(4)]
    assert torch.allclose(parallel(hidden), sum(parts), atol=1e-5)
    doped = transformed("linear", "doped", 0.75, keep=keep).model.get_submodule("3")
    low = doped.get_submodule("up")(doped.get_submodule("down")(hidden))
    assert torch.allclose(doped(hidden), doped.get_submodule("sparse")(hidden) + low)
    factorized = transformed("linear", "factorized", 0.75, activation=nn.Tanh, keep=keep).model
    form = factorized.get_submodule("3")
    inner = torch.tanh(form.get_submodule("inner")(hidden))
    assert torch.allclose(form(hidden), form.get_submodule("outer")(inner))
    assert factorized(x).shape == (2, 10)


def test_branches_may_end_in_a_norm() -> None:
    form = transformed("convolution", "parallel", 0.5, norm=nn.BatchNorm2d).model.get_submodule("3")
    assert [type(norm) for norm in form.get_submodule("norms").children()] == [nn.BatchNorm2d] * 2


def test_a_norm_may_be_between_the_factors() -> None:
    """U, batch norm, ReLU, V, as published."""
    model = transformed("convolution", "factorized", 0.5, norm=nn.BatchNorm2d).model
    form = model.get_submodule("3")
    norm, inner = form.get_submodule("norm"), form.get_submodule("inner")
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.num_features == inner.weight.shape[0]  # type: ignore[union-attr]
    hidden = norm(inner(x := torch.randn(2, inner.weight.shape[1], 8, 8)))  # type: ignore[union-attr,misc]
    torch.testing.assert_close(form(x), form.get_submodule("outer")(torch.relu(hidden)))
    with pytest.raises(UserError, match=r"lazy[\s\S]*norm=nn.BatchNorm2d"):
        transformed("convolution", "factorized", 0.5, activation=nn.LazyBatchNorm2d)
