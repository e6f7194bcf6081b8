"""What comes out of dispatches of many ticks, and what goes in, padded to their fixed size."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ...compiler.plan.program import Stages
from .job import Results, Stream, sample_arrays, to_rows


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


def in_batches(
    stages: Stages,
    inputs: Sequence[np.ndarray],
    rows: int,
    predict: Callable[[list[np.ndarray], int], Sequence[np.ndarray]],
) -> tuple[np.ndarray, ...]:
    """Predictions for all samples by `predict(batch, count)`, of `rows` rows of which `count` are
    samples and the others zeros. Raises UserError for inputs that do not fit."""
    arrays, parts = sample_arrays(stages, inputs), []
    for start in range(0, len(arrays[0]), rows):
        slices = [array[start : start + rows] for array in arrays]
        count = len(slices[0])
        made = predict([padded(array, rows) for array in slices], count)
        parts.append([values[:count] for values in made])
    columns = zip(*parts, strict=True)
    return tuple(to_rows([row for part in column for row in part]) for column in columns)
