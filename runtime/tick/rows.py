"""What comes out of dispatches of many ticks, and what goes in, padded to their fixed size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .job import Results, Stream, to_rows


def came_out(rows: np.ndarray, oldest: int, fed: range, ticks: int) -> Stream:
    """The rows of samples that were fed: row n is of sample `oldest` + n, the first `ticks` count.

    The others are of bubbles, or of ticks that the dispatch did not run.
    """
    first, last = max(fed.start, oldest), min(fed.stop, oldest + ticks)
    taken = rows[first - oldest : last - oldest] if first < last else ()
    return Stream(first, to_rows(list(taken)))


def joined(parts: Sequence[Sequence[Stream]], count: int) -> Results:
    """Streams that follow each other as one; each part has `count`, the losses first."""
    found = []
    for number in range(count):
        filled = [part[number] for part in parts if len(part[number].values)]
        filled = filled or [Stream(0, np.empty(0))]
        values = np.concatenate([stream.values for stream in filled])
        found.append(Stream(filled[0].first, values))
    return Results(found[0], tuple(found[1:]))


def padded(array: np.ndarray, rows: int) -> np.ndarray:
    """The array with rows of zeros behind it."""
    padding = np.zeros((rows - len(array), *array.shape[1:]), array.dtype)
    return np.concatenate([array, padding])
