"""The one table of what each operator means in XLA: operator name -> jax.numpy function.

A lowering takes the operator's own arguments (arrays for tensors) and returns arrays. Dtypes are
settled by `lower.py`, from what the graph says of each node; keyword arguments that say where a
tensor lives (device, layout, pin_memory) are accepted and mean nothing here.
"""

from __future__ import annotations

from . import (
    adaptive_pooling,
    elementwise,
    factorization,
    indexing,
    normalization,
    products,
    reductions,
    resampling,
    sorting,
    special,
    views,
    windows,
)
from .elementwise import Lowering

TABLE: dict[str, Lowering] = {
    **elementwise.TABLE,
    **views.TABLE,
    **products.TABLE,
    **normalization.TABLE,
    **reductions.TABLE,
    **indexing.TABLE,
    **sorting.TABLE,
    **windows.TABLE,
    **adaptive_pooling.TABLE,
    **resampling.TABLE,
    **special.TABLE,
    **factorization.TABLE,
}
