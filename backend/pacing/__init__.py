"""Self-paced data: which samples a pass over the data takes, by their losses and their diversity.

Thangarasa and Taylor 2018 (SPL-ADVisE, arXiv:1807.09200). Reading order: selection (the formula),
sampler (its state over passes), magnet (the embedding whose clusters make it diverse), clusters.
"""

from __future__ import annotations

from .clusters import cluster
from .magnet import embed, magnet_loss
from .sampler import PacedPass, PassPace, Preference, SelfPacedSampler
from .selection import admitted

__all__ = [
    "PacedPass",
    "PassPace",
    "Preference",
    "SelfPacedSampler",
    "admitted",
    "cluster",
    "embed",
    "magnet_loss",
]
