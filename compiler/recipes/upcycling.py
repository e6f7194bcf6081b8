"""The recipe's key `upcycling`: feed-forward layers that become mixtures of experts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from .part import Positive, RecipePart

if TYPE_CHECKING:  # keys are read and checked without torch
    from torch import nn

NotNegative = Annotated[float, Field(ge=0)]


class UpcyclingRecipe(RecipePart):
    """Feed-forward layers become mixtures of experts that begin as their copies; see
    `weft.nn.upcycle`."""

    layers: tuple[str, ...] = ()
    """Globs of module paths ("blocks.*.mlp"): each module that one matches is upcycled."""
    experts: Positive = 8
    """Experts of a layer."""
    top_k: Positive = 2
    """Experts that a token goes to."""
    order: Literal["top-k-softmax", "softmax-top-k"] = "top-k-softmax"
    """top-k-softmax: the weights of the chosen sum to 1; softmax-top-k: their probabilities among
    all."""
    granularity: Positive = 1
    """Parts that a layer's hidden units are cut into; an expert has one."""
    scaling: Literal["exact", "published"] | None = None
    """Factors that make up for the router's weights at the start; null: none."""
    capacity: Annotated[float, Field(gt=0)] | None = None
    """An expert takes capacity * tokens * top_k / experts tokens of a sample; null: all."""
    balance: NotNegative = 0.01
    """Weight of the loss that balances the experts, in the layer itself."""
    z: NotNegative = 0.0
    """Weight of the loss that keeps the router's logits small."""
    jitter: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The router's input is multiplied by numbers in [1 - jitter, 1 + jitter] in training."""

    def of(self, model: nn.Module) -> nn.Module:
        """The model, upcycled if there are layers. Raises what `upcycle` raises."""
        if not self.layers:
            return model
        from ...backend.nn.upcycling import upcycle

        return upcycle(model, **self.model_dump()).model
