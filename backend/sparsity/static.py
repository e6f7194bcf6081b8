"""Static sparsity: a mask drawn once and never changed (SPDF, Thangarasa et al. 2023)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from torch import Tensor

from .initializers import INITIALIZERS

Globs = Annotated[
    tuple[str, ...] | None,
    BeforeValidator(lambda value: (value,) if isinstance(value, str) else value),
]


class Static(BaseModel):
    """One group of parameters at one sparsity, the share of weights that are pruned."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    algorithm: Literal["static"] = "static"
    sparsity: float = Field(ge=0, lt=1)
    init_method: Literal["random", "topk", "from_zeros", "checkerboard"] = "random"
    param_filter: Globs = None
    seed: int = 0

    def first_mask(self, name: str, weight: Tensor) -> Tensor:
        """Bool mask of the weight's shape, True is kept."""
        return INITIALIZERS[self.init_method](name, weight, self.sparsity, self.seed)
