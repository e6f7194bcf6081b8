"""The order of the training samples.

Reading order: order (what a run asks for), shuffled (all samples, each epoch anew), self_paced
(those that a sampler takes by their losses), of_recipe (which of them a recipe has).
"""

from __future__ import annotations

from .of_recipe import order_of
from .order import Order, chunk_sizes
from .self_paced import SelfPaced
from .shuffled import Shuffled

__all__ = ["Order", "SelfPaced", "Shuffled", "chunk_sizes", "order_of"]
