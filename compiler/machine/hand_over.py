"""What the two regions of a stage hand over to each other at the end of a tick.

A stage whose forward has PEs of its own keeps two copies of its weights. Both regions have the same
tiling and lie beside each other with their longer sides, so each PE of one has its like in the
other, a short side away. The forward hands over what it saved for the backward of the sample, the
update the new weights, with the indices of the non-zero ones. The forward waits for both. The other
region, which needs neither at once, goes on: words pass beside its work, as streams between stages
do. All words of a line of PEs pass the link at the border one after the other, those of the PE next
to it first: the last ones are near their end when they have passed it.
"""

from __future__ import annotations

import numpy as np

from ..targets.target import Noc
from .arrays import Floats, Ints
from .collectives import transfer, words
from .tilings import Tilings

OPERATOR = "weft.hand_over"
FAMILY = "movement"
WEIGHTS, SAVED = "hand_over(weights)", "hand_over(saved)"
"""Operators of the forward: before it what it computes with, after it what it kept."""


def hand_over_cycles(size_bytes: Ints, tilings: Tilings, noc: Noc) -> Floats:
    """Cycles until the bytes of every PE are with its like in the other region."""
    line = np.minimum(tilings.height, tilings.width)
    return transfer(noc, line * words(noc, size_bytes, 1), np.ones_like(line), 1)
