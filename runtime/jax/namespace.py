"""The namespace that update rules compute with: jax.numpy, but for factorizations."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import jax.numpy as jnp

from .ops.one_by_one import one_by_one


class Namespace:
    """jax.numpy with factorizations that are done `one_by_one` where stages are batched."""

    linalg = SimpleNamespace(qr=lambda x: one_by_one(jnp.linalg.qr, x))

    def __getattr__(self, name: str) -> Any:
        return getattr(jnp, name)


XP = Namespace()
