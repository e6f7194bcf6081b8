"""Reversible networks: layers whose inputs follow from their outputs, so that none need be kept.

Reading order: layer (the protocol, and additive updates), coupling (RevNet blocks), silo (RevSilo),
replay (one evaluation as it was), kept, sequence (a chain that keeps its last output only),
recompute.
"""

from __future__ import annotations

from .coupling import AdditiveCoupling, ResidualCoupling
from .layer import AdditiveLayer, AdditiveUpdate, ReversibleLayer, StreamPart
from .recompute import Recomputed
from .sequence import ReversibleSequence
from .silo import RevSilo

__all__ = [
    "AdditiveCoupling",
    "AdditiveLayer",
    "AdditiveUpdate",
    "Recomputed",
    "ResidualCoupling",
    "RevSilo",
    "ReversibleLayer",
    "ReversibleSequence",
    "StreamPart",
]
