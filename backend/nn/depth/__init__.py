"""Fewer blocks: which ones a residual network can do without, and the network without them.

Reading order: blocks (the list of blocks of a model), distance (how much a run of blocks turns the
residual stream), prune (removal), distil (answers that a model rewrites in its own words), merge
(spherical interpolation of two tuned networks).
"""

from __future__ import annotations

from .blocks import BlockList, find_blocks
from .distance import StreamStates, angular_distances, best_run, stream_states
from .distil import Rewritten, continued, rewritten
from .merge import slerp
from .prune import prune_depth

__all__ = [
    "BlockList",
    "Rewritten",
    "StreamStates",
    "angular_distances",
    "best_run",
    "continued",
    "find_blocks",
    "prune_depth",
    "rewritten",
    "slerp",
    "stream_states",
]
