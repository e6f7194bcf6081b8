"""The optimizer of a recipe: its keys, and what they come to at batch size 1."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

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


class OptimizerRecipe(Part):
    """An update rule of `weft.optim`: `lr` is per update, that is per sample.

    momentum and nesterov are for sgdm, betas and eps for adamw. With `reference_batch_size` all
    are those of that batch size, and are scaled to batch size 1 by the optimizer's own rule.
    """

    name: Literal["sgdm", "adamw"] = "sgdm"
    lr: Annotated[float, Field(gt=0)] = 1e-4
    momentum: Decay = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 2e-4
    nesterov: bool = False
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    eps: Annotated[float, Field(gt=0)] = 1e-8
    schedule: ScheduleRecipe = ScheduleRecipe()
    reference_batch_size: Positive | None = None

    def at_batch_size_1(self) -> OptimizerRecipe:
        """The same optimizer without a reference batch size; itself if it has none."""
        reference = self.reference_batch_size
        if reference is None:
            return self
        if self.name == "adamw":
            given = AdamSetting(self.lr, self.betas, self.eps, self.weight_decay)
            scaled = scale_adamw_to_batch_size(given, reference, 1)._asdict()
        else:
            lr, momentum = scale_to_batch_size(self.lr, self.momentum, reference, 1)
            scaled = {"lr": lr, "momentum": momentum}
        return self.model_copy(update={**scaled, "reference_batch_size": None})
