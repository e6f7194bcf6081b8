"""What happens to the gradients of one stage before they update it: clipping, and refusal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .rule import Array


@dataclass(frozen=True)
class Guard:
    """Looks at all gradients of one stage and one sample together.

    With `clip_norm` c their common 2-norm n is cut to c: each is multiplied by min(1, c/n). There
    is no norm over all stages, since the gradients of one sample reach each stage at another tick.
    The norm is that of the loss gradient alone, masked entries zero, before weight decay; it is
    computed in at least float32.
    """

    clip_norm: float | None = None

    def __call__(self, gradients: Sequence[Array], xp: Any) -> tuple[list[Array], Array]:
        """The gradients to use, and whether they may be used at all.

        They may not if an entry is not finite; with clipping also if their squared norm is not
        (beyond 1e38 in float32).
        """
        if self.clip_norm is None:
            return list(gradients), _all_finite(gradients, xp)
        wide = [xp.asarray(g, dtype=xp.promote_types(g.dtype, xp.float32)) for g in gradients]
        first, *others = [xp.sum(g * g) for g in wide]
        square = sum(others, start=first)
        norm = xp.sqrt(square)
        scale = xp.where(norm > self.clip_norm, self.clip_norm / norm, 1.0)
        clipped = [
            xp.asarray(g * scale, dtype=given.dtype)
            for g, given in zip(wide, gradients, strict=True)
        ]
        return clipped, xp.isfinite(square)


def _all_finite(gradients: Sequence[Array], xp: Any) -> Array:
    """A conjunction, which compilers vectorize where they may not reorder a sum."""
    first, *others = [xp.all(xp.isfinite(g)) for g in gradients]
    for other in others:
        first = first & other
    return first
