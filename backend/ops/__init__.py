"""Custom operators `torch.ops.weft.*`; importing this package registers them."""

from __future__ import annotations

from .local_loss import with_local_loss
from .online_norm import online_norm
from .routed_product import routed_product
from .uniform import draw_number, key_name, place_of, uniform

NAMESPACE = "weft"
"""Where torch.ops keeps them."""

__all__ = [
    "NAMESPACE",
    "draw_number",
    "key_name",
    "online_norm",
    "place_of",
    "routed_product",
    "uniform",
    "with_local_loss",
]
