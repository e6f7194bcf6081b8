"""Fewer blocks: which ones a residual network can do without, and the network without them.

Reading order: blocks (the list of blocks of a model), distance (how much a run of blocks turns the
residual stream), prune (removal), merge (spherical interpolation of two tuned networks).
"""

from __future__ import annotations

from .blocks import BlockList, find_blocks
from .distance import StreamStates, angular_distances, best_run, stream_states
from .merge import slerp
from .prune import prune_depth

__all__ = [
    "BlockList",
    "StreamStates",
    "angular_distances",
    "best_run",
    "find_blocks",
    "prune_depth",
    "slerp",
    "stream_states",
]
