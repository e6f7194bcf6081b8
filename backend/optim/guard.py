"""What happens to the gradients of one stage before they update it: clipping, and refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .rule import Array
from .sums import sum_of_squares, wide


@dataclass(frozen=True)
class Guard:
    """Looks at all gradients of one stage and one sample together.

    With `clip_norm` c their common 2-norm n is cut to c: each is multiplied by min(1, c/n). There
    is no norm over all stages, since the gradients of one sample reach each stage at another tick.
    The norm is that of the loss gradient alone, masked entries zero, before weight decay; it is
    computed in at least float32.
    """

    clip_norm: float | None = None

    def __call__(
        self, gradients: Sequence[Array], xp: Any, squares: Sequence[Array] | None = None
    ) -> tuple[list[Array], Array]:
        """The gradients to use, and whether they may be used at all.

        They may not if an entry is not finite, or if the squared norm is not (beyond 1e38 in
        float32). `squares` are the gradients' `sum_of_squares`, where the caller has them.
        """
        if squares is None:
            squares = [sum_of_squares(gradient, xp) for gradient in gradients]
        first, *others = squares
        square = sum(others, start=first)
        is_finite = xp.isfinite(square)
        if self.clip_norm is None:
            return list(gradients), is_finite
        norm = xp.sqrt(square)
        scale = xp.where(norm > self.clip_norm, self.clip_norm / norm, 1.0)
        clipped = [
            xp.asarray(wide(gradient, xp) * scale, dtype=gradient.dtype) for gradient in gradients
        ]
        return clipped, is_finite
