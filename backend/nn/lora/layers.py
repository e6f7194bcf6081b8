"""A frozen layer with its adapter, in two forms."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import UserError
from .factors import apply_weight, make_factors, product


class Adapted(nn.Module):
    """A frozen `base_layer` with the factors of an adapter.

    Without a mask: base(x) + scale * B A x, with dropout on the input of A. With one:
    (W0 + mask * scale * B A) x, so that merging is exact; the dense product B A is made at every
    call. Both are W0 x at the start, to the bit.
    """

    mask: Tensor | None

    def __init__(
        self,
        base_layer: nn.Module,
        rank: int,
        scale: float,
        dropout: float = 0.0,
        mask: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.rank, self.scale, self.dropout = rank, scale, dropout
        for name, factor in make_factors(base_layer, rank).items():
            setattr(self, name, factor)
        self.register_buffer("mask", mask, persistent=False)
        self.train(base_layer.training)

    @property
    def factors(self) -> dict[str, nn.Parameter]:
        """A and B by PEFT's names."""
        return {
            name: parameter
            for name, parameter in self.named_parameters()
            if name.startswith("lora_")
        }

    @property
    def weight(self) -> Tensor:
        """W0 + scale * B A, for modules that multiply with a layer's weight themselves (attention
        of torch). Raises `UserError` where dropout makes another input for A."""
        if self.dropout and self.training:
            raise UserError(
                "LoRA: dropout",
                expected="0 on a layer whose weight another module reads",
                got=f"{self.dropout}",
                change="leave dropout out, or that layer",
            )
        return self.merged_weight()

    @property
    def bias(self) -> Tensor | None:
        """The base layer's."""
        bias = getattr(self.base_layer, "bias", None)
        assert bias is None or isinstance(bias, Tensor)
        return bias

    def forward(self, x: Tensor) -> Tensor:
        """The shape that the base layer gives."""
        if self.mask is not None:
            return apply_weight(self.base_layer, x, self.merged_weight())
        return self.base_layer(x) + self.scale * self._low_rank(x)

    def delta(self) -> Tensor:
        """scale * B A, in the shape of the base weight."""
        a, b = self.factors.values()
        return self.scale * product(self.base_layer, a, b)

    def merged_weight(self, mask: Tensor | None = None) -> Tensor:
        """W0 + scale * B A where `mask`, by default the layer's own, is True."""
        weight, mask = self.base_layer.weight, self.mask if mask is None else mask
        assert isinstance(weight, Tensor)
        delta = self.delta()
        if mask is not None:
            delta = torch.where(mask, delta, torch.zeros_like(delta))
        return weight + delta

    def _low_rank(self, x: Tensor) -> Tensor:
        base = self.base_layer
        if isinstance(base, nn.Embedding):
            a, b = self.factors.values()
            return F.embedding(x, a.mT, base.padding_idx) @ b.mT
        down, up = self.lora_A, self.lora_B
        assert isinstance(down, nn.Module)
        assert isinstance(up, nn.Module)
        return up(down(F.dropout(x, self.dropout, self.training)))

    def extra_repr(self) -> str:
        """Rank, scale, and whether a mask is kept."""
        return f"rank={self.rank}, scale={self.scale:g}, masked={self.mask is not None}"


def adapted_paths(model: nn.Module) -> frozenset[str]:
    """Paths of the layers with an adapter, weft's or PEFT's: a `base_layer`, and `lora_...`."""
    return frozenset(name for name, part in model.named_modules() if name and _is_adapted(part))


def _is_adapted(part: nn.Module) -> bool:
    names = {name.partition(".")[0] for name, _ in part.named_parameters()}
    return "base_layer" in names and any(name.startswith("lora_") for name in names)
