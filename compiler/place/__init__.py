"""Placement: which choice each stage takes, and where its rectangle lies.

Reading order: place (the pass), intervals (those worth trying), strips (packing), strip_layouts
(rectangles of a packing), free_layout (packing off the strips, by slicing trees in packing/),
route, row_windows (in how many parts a sample crosses a stream), streams (records and pace of the
streams), shift and slow (slow cores), balance and feature_order (masks of placed stages).
"""

from __future__ import annotations

from .place import place
from .route import route

__all__ = ["place", "route"]
