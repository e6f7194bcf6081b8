"""The optimizer of a recipe: its keys, and what they come to at batch size 1."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ...backend.errors import UserError
from ...backend.optim import default_momentum
from ...backend.optim.scaling import AdamSetting, scale_adamw_to_batch_size, scale_to_batch_size
from .part import Decay, Positive, RecipePart, UnitShare


class ScheduleRecipe(RecipePart):
    """Learning rate over the run."""

    kind: Literal["constant", "cosine", "multistep"] = "constant"
    """cosine ends at `final` x lr, multistep multiplies by `factor` at each milestone."""
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of all updates over which the rate rises from 0 to where `kind` is then: cosine has
    begun to fall by then, and goes on."""
    final: UnitShare = 0.0
    """Last rate of cosine, as a share of lr."""
    milestones: tuple[UnitShare, ...] = ()
    """Of multistep, as shares of all updates."""
    factor: UnitShare = 0.1
    """Of multistep."""


class StageRateRecipe(RecipePart):
    """Learning rates by a stage's delay D: lr / (1 + D / `delay`)^p; null: lr for all."""

    delay: Annotated[float, Field(gt=0)] = 10.0
    """The delay, in updates, at which the rate is halved while p is 1."""
    anneal: Annotated[float, Field(gt=0, le=1)] | None = None
    """p falls from 1 to 0 over this share of all updates and stays there; null: p is 1."""


class OptimizerRecipe(RecipePart):
    """An update rule of `weft.optim`, per sample.

    Rules of matrices (muon, normuon, rotated_adamw) step what is no matrix as adamw does.
    """

    name: Literal["sgdm", "adamw", "rotated_adamw", "muon", "normuon"] = "sgdm"
    """rotated_adamw is adamw in a basis that is renewed every `rotate_every` updates."""
    lr: Annotated[float, Field(gt=0)] = 1e-4
    """Learning rate of an update, that is of a sample."""
    momentum: Decay | None = None
    """Of sgdm, muon and normuon; null: 0.9 of sgdm, 0.95 of the others."""
    weight_decay: Annotated[float, Field(ge=0)] = 2e-4
    """Times the weights: sgdm adds it to the gradient, others take it from the weights times lr."""
    nesterov: bool = False
    """Of sgdm, muon and normuon."""
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """Of adamw, and of steps as adamw does them."""
    eps: Annotated[float, Field(gt=0)] = 1e-8
    """Added to the root of the second moment; of adamw, and of steps as adamw does them."""
    rotate_every: Positive = 10
    """Updates between two bases of rotated_adamw."""
    rotate_largest: Annotated[int, Field(ge=0)] = 128
    """Longest side that rotated_adamw rotates."""
    by_element: tuple[str, ...] | None = None
    """Globs of parameter names that rules of matrices step as adamw does, too; null: the tables of
    embeddings and the last stage's parameters."""
    schedule: ScheduleRecipe = ScheduleRecipe()
    """Learning rate over the run."""
    stage_rate: StageRateRecipe | None = None
    """Learning rates by a stage's delay."""
    reference_batch_size: Positive | None = None
    """The batch size that lr, momentum and betas are meant for: they are scaled to batch size 1 by
    the optimizer's own rule. null: they are meant for batch size 1."""

    @property
    def own_momentum(self) -> float:
        """The momentum, or the rule's default."""
        return default_momentum(self.name) if self.momentum is None else self.momentum

    def at_batch_size_1(self) -> OptimizerRecipe:
        """The same optimizer without a reference batch size; itself if it has none.

        Raises UserError for a rule that no scaling is known for.
        """
        reference = self.reference_batch_size
        if reference is None:
            return self
        if self.name in ("muon", "normuon"):
            raise UserError(
                "optimizer.reference_batch_size",
                expected="sgdm, adamw or rotated_adamw: no rule is known that scales another one",
                got=self.name,
                change="leave it out, and choose lr for batch size 1",
            )
        if self.name != "sgdm":
            given = AdamSetting(self.lr, self.betas, self.eps, self.weight_decay)
            scaled = scale_adamw_to_batch_size(given, reference, 1)._asdict()
        else:
            lr, momentum = scale_to_batch_size(self.lr, self.own_momentum, reference, 1)
            scaled = {"lr": lr, "momentum": momentum}
        return self.model_copy(update={**scaled, "reference_batch_size": None})
