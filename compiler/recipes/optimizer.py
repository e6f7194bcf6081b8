"""The optimizer of a recipe: its keys, and what they come to at batch size 1."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ...backend.errors import UserError
from ...backend.optim import default_momentum
from ...backend.optim.scaling import AdamSetting, scale_adamw_to_batch_size, scale_to_batch_size
from .part import Decay, Part, Positive, Share


class ScheduleRecipe(Part):
    """Learning rate over the run; `warmup` and `milestones` are shares of all updates.

    'cosine' ends at `final` x lr, 'multistep' multiplies by `factor` at each milestone.
    """

    kind: Literal["constant", "cosine", "multistep"] = "constant"
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.0
    final: Share = 0.0
    milestones: tuple[Share, ...] = ()
    factor: Share = 0.1


class StageRateRecipe(Part):
    """Learning rates by a stage's delay D: lr / (1 + D / `delay`)^p.

    p is 1, or falls from 1 to 0 over a share `anneal` of all updates and stays there.
    """

    delay: Annotated[float, Field(gt=0)] = 10.0
    anneal: Annotated[float, Field(gt=0, le=1)] | None = None


class OptimizerRecipe(Part):
    """An update rule of `weft.optim`: `lr` is per update, that is per sample.

    momentum (null: 0.9, of muon 0.95) and nesterov are for sgdm, muon and normuon, betas and eps
    for adamw. rotated_adamw is adamw in a basis that is renewed every `rotate_every` updates, for
    sides of at most `rotate_largest`. Rules of matrices (muon, normuon, rotated_adamw) step what is
    no matrix as adamw does, and what `by_element` matches, globs of parameter names; null: the
    tables of embeddings and the last stage's parameters. With `reference_batch_size` all
    are those of that batch size, and are scaled to batch size 1 by the optimizer's own rule.
    """

    name: Literal["sgdm", "adamw", "rotated_adamw", "muon", "normuon"] = "sgdm"
    lr: Annotated[float, Field(gt=0)] = 1e-4
    momentum: Decay | None = None
    weight_decay: Annotated[float, Field(ge=0)] = 2e-4
    nesterov: bool = False
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: Annotated[float, Field(gt=0)] = 1e-8
    rotate_every: Positive = 10
    rotate_largest: Annotated[int, Field(ge=0)] = 128
    by_element: tuple[str, ...] | None = None
    schedule: ScheduleRecipe = ScheduleRecipe()
    stage_rate: StageRateRecipe | None = None
    reference_batch_size: Positive | None = None

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
