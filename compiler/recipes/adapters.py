"""Adapters of a frozen model: the keys, and the model with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from ...backend.errors import UserError
from .part import Decay, Positive, RecipePart

if TYPE_CHECKING:  # keys are read and checked without torch
    from torch import Tensor, nn

    from ...backend.nn.lora import LoRA

    Masks = dict[str, Tensor]


class AdaptersRecipe(RecipePart):
    """What trains of a model whose other weights are frozen (docs/adapters.md): low-rank adapters
    of `targets`, virtual tokens, or both. Sparsity is that of the frozen weights."""

    targets: tuple[str, ...] = ()
    """Globs of module names: linear layers, embeddings, convolutions without groups."""
    rank: Positive = 8
    """Rank r of an adapter B A."""
    alpha: Annotated[float, Field(gt=0)] = 8.0
    """B A is multiplied by alpha / r."""
    rank_stabilised: bool = False
    """B A is multiplied by alpha / sqrt(r) instead."""
    dropout: Decay = 0.0
    """Share of A's inputs that are dropped in training."""
    masked: bool = False
    """Pruned weights stay 0: B A is made, masked and added to the weights for every sample."""
    trained: tuple[str, ...] = ()
    """Globs of other parameters that go on training."""
    statistics: Literal["go on", "stand still"] | None = None
    """What norms with statistics do; it must be said where there are some."""
    prompt_length: Positive | None = None
    """Virtual tokens before those of a sample; null: none."""
    prompt_tokens: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Tokens that they begin as; empty: drawn at random."""
    prompt_embedding: str | None = None
    """Name of the module that embeds tokens, where it cannot be told."""

    @property
    def are_given(self) -> bool:
        """Whether there is anything to adapt."""
        return bool(self.targets) or self.prompt_length is not None

    @property
    def lora(self) -> LoRA:
        """The adapters' configuration."""
        from ...backend.nn.lora import LoRA

        return LoRA(
            self.targets,
            self.rank,
            self.alpha,
            self.rank_stabilised,
            self.dropout,
            self.masked,
            self.trained,
            self.statistics,
        )

    @model_validator(mode="after")
    def _whole(self) -> AdaptersRecipe:
        plain = {name: field.default for name, field in type(self).model_fields.items()}
        if not self.are_given and dict(self) != plain:
            raise ValueError("targets, or a prompt_length, if other keys are given")
        if self.prompt_tokens and len(self.prompt_tokens) != self.prompt_length:
            raise ValueError(f"one token for each of {self.prompt_length} virtual ones")
        return self


def with_adapters(model: nn.Module, masks: Masks, keys: AdaptersRecipe) -> tuple[nn.Module, Masks]:
    """The model, changed in place, with its adapters, and the masks by the names they have then.

    Raises UserError as `adapt` and `SoftPrompt` do.
    """
    if not keys.are_given:
        return model, masks
    from ...backend.nn.lora import adapt, adapter_parameters
    from ...backend.nn.prompt import SoftPrompt

    parameters = dict(model.named_parameters())
    held = {id(parameters[name]): mask for name, mask in masks.items()}
    if keys.targets:
        model = adapt(model, keys.lora, masks=masks)
    if keys.prompt_length is not None:
        model = SoftPrompt(
            model,
            keys.prompt_length,
            tokens=keys.prompt_tokens or None,
            embedding=keys.prompt_embedding,
            trained=(*keys.trained, *adapter_parameters(model)),
        )
    named = model.named_parameters()
    return model, {name: held[id(value)] for name, value in named if id(value) in held}


def check_static(changing: tuple[str, ...], keys: AdaptersRecipe) -> None:
    """Raises UserError for masks of frozen weights that would change."""
    if changing and keys.are_given:
        raise UserError(
            f"sparsity of '{changing[0]}'",
            expected="a mask that stays as it is: adapters freeze the weights",
            got=f"an algorithm that changes masks, of {len(changing)} parameters",
            change="set sparsity.algorithm=static, or train the sparse model before it is adapted",
        )
