"""Regions without gradient or autocast are part of the graph around them."""

from __future__ import annotations

import torch
from torch import nn
from torch._higher_order_ops.wrap import wrap_with_autocast, wrap_with_set_grad_enabled
from weft.compiler.capture.regions import UNSEEN, inline_regions


class Regions(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            scale = x.abs().max()
            with torch.autocast("cpu", enabled=False):
                scale = scale + 1
        return x / scale


def test_what_gradients_do_not_see_is_detached_and_marked() -> None:
    x = torch.randn(4, requires_grad=True)
    module = torch.export.export(Regions(), (x,), strict=False).graph_module
    inline_regions(module)
    targets = [node.target for node in module.graph.nodes]
    assert not {wrap_with_autocast, wrap_with_set_grad_enabled} & set(targets)
    module.graph.lint()
    marked = {node.target for node in module.graph.nodes if UNSEEN in node.meta}
    assert torch.ops.aten.abs.default in marked
    assert torch.ops.aten.div.Tensor not in marked
    module.recompile()
    (found,) = module(x)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    (expected,) = torch.autograd.grad(Regions()(x).sum(), x)
    assert torch.equal(gradient, expected)
