"""A module that keeps its input only and evaluates itself again in the backward pass."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from .kept import KeptActivations
from .replay import gradients_of_replay, noted


class Recomputed(nn.Module):
    """Wraps a module of one tensor; draws and running statistics are those of one evaluation.

    `torch.utils.checkpoint` would advance the statistics of a normalization twice. Second
    derivatives are not defined. Under `torch.export` and `torch.compile` it is the module itself.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        """What the module gives."""
        compiling = torch.compiler.is_exporting() or torch.compiler.is_dynamo_compiling()
        parameters = [p for p in self.module.parameters() if p.requires_grad]
        needed = torch.is_grad_enabled() and (x.requires_grad or parameters)
        if compiling or not needed:
            return self.module(x)
        return cast("Tensor", _Recompute.apply(self.module, x, *parameters))


class _Recompute(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, module: nn.Module, x: Tensor, *parameters: Tensor) -> Tensor:
        with noted(module, (x,)) as notes:
            output = module(x)
        ctx.module, ctx.evaluation, ctx.parameters = module, notes[0], parameters
        ctx.kept = KeptActivations.of(x)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        x = ctx.kept.take().detach().requires_grad_()
        with ctx.evaluation.replaying(), torch.enable_grad():
            output = ctx.module(x)
        return (None, *gradients_of_replay([output], gradients, [x], ctx.parameters))
