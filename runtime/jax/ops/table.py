"""The one table of what each operator means in XLA: operator name -> jax.numpy function.

A lowering takes the operator's own arguments (arrays for tensors) and returns arrays. Dtypes are
settled by `jax_lower`, from what the graph says of each node; keyword arguments that say where a
tensor lives (device, layout, pin_memory) are accepted and mean nothing here.
"""

from __future__ import annotations

from . import (
    adaptive_pooling as jax_adaptive,
)
from . import (
    elementwise as jax_elementwise,
)
from . import (
    indexing as jax_move,
)
from . import (
    normalization as jax_norm,
)
from . import (
    products as jax_contract,
)
from . import (
    reductions as jax_math,
)
from . import (
    resampling as jax_resize,
)
from . import (
    sorting as jax_order,
)
from . import (
    views as jax_shape,
)
from . import (
    windows as jax_window,
)
from .elementwise import Lowering

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
