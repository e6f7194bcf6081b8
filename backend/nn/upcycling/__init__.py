"""Sparse upcycling (Komatsuzaki et al. 2022): a dense model's feed-forward layers as mixtures of
experts that begin as its copies.

Reading order: feed_forward (what a layer computes, held against it), router (scores, weights,
losses), experts (the mixture), scaling (weights of fine-grained experts), transform (of a model),
loads (how many rows experts get).
"""

from __future__ import annotations

from .experts import Experts
from .feed_forward import FeedForward, feed_forward
from .loads import expert_loads
from .router import Router
from .transform import Upcycled, upcycle

__all__ = [
    "Experts",
    "FeedForward",
    "Router",
    "Upcycled",
    "expert_loads",
    "feed_forward",
    "upcycle",
]
