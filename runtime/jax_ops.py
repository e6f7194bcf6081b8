"""The one table of what each operator means in XLA: operator name -> jax.numpy function.

A lowering takes the operator's own arguments (arrays for tensors) and returns arrays. Dtypes are
settled by `jax_lower`, from what the graph says of each node; keyword arguments that say where a
tensor lives (device, layout, pin_memory) are accepted and mean nothing here.
"""

from __future__ import annotations

from . import (
    jax_adaptive,
    jax_contract,
    jax_elementwise,
    jax_math,
    jax_move,
    jax_norm,
    jax_order,
    jax_resize,
    jax_shape,
    jax_window,
)
from .jax_elementwise import Lowering

TABLE: dict[str, Lowering] = {
    **jax_elementwise.TABLE,
    **jax_shape.TABLE,
    **jax_contract.TABLE,
    **jax_norm.TABLE,
    **jax_math.TABLE,
    **jax_move.TABLE,
    **jax_order.TABLE,
    **jax_window.TABLE,
    **jax_adaptive.TABLE,
    **jax_resize.TABLE,
}
