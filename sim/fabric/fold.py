"""Equal parts of a region, so that each kind is simulated once.

PEs whose routes join form a component; what happens in one cannot touch another. Components that
have the same shape, routes and programs take the same time, so one stands for all of its class: its
routers and cores are stepped once, and every word is a vector with one entry for each component.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from .loop import LANE
from .region import FabricRegion

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class FoldedPart:
    """A class of equal components: `pes` (component, PE), numbers in the region.

    The other tables are those of the first component alone, with PEs numbered from 0.
    """

    pes: Ints
    outputs: NDArray[np.uint8]
    own_words: NDArray[np.int32]
    hops: NDArray[np.int32]
    code: NDArray[np.int32]
    starts: NDArray[np.int32]
    repeats: NDArray[np.int32]


def fold(region: FabricRegion) -> tuple[FoldedPart, ...]:
    """The classes of components that have a program, by their first PE.

    Raises UserError for routes that do not join.
    """
    hops = region.hops()
    code, starts = region.code()
    routes = region.signatures()
    classes: dict[tuple[bytes, ...], list[Ints]] = defaultdict(list)
    for pes in _components(region, hops):
        lengths = starts[pes + 1] - starts[pes]
        if lengths.any():
            program = code[_lines(starts[pes], lengths)].tobytes()
            places = np.stack(np.divmod(pes, region.width))
            places -= places.min(1, keepdims=True)
            own = places.tobytes(), routes[pes].tobytes(), lengths.tobytes(), program
            classes[own].append(pes)
    return tuple(_part(region, np.stack(found), hops, code, starts) for found in classes.values())


def _part(
    region: FabricRegion, pes: Ints, hops: np.ndarray, code: np.ndarray, starts: np.ndarray
) -> FoldedPart:
    first, colours = pes[0], region.colours
    lanes = (first[:, None] * colours + np.arange(colours)).ravel()
    local = np.zeros(region.pes, np.int64)
    local[first] = np.arange(len(first))
    own = hops[lanes].copy()
    for copy in range(4):
        lane, pe, link = (own[:, 1 + 3 * copy + part].astype(np.int64) for part in range(3))
        used = own[:, 0] > copy
        colour = lane // LANE % colours
        own[used, 1 + 3 * copy] = ((local[pe] * colours + colour) * LANE)[used]
        own[used, 2 + 3 * copy] = local[pe][used]
        own[used, 3 + 3 * copy] = (4 * local[link // 4] + link % 4)[used]
    lengths = starts[first + 1] - starts[first]
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    program = code[_lines(starts[first], lengths)]
    outputs, words = (of.reshape(-1)[lanes] for of in (region.outputs(), region.own_words()))
    return FoldedPart(pes, outputs, words, own, program, ends, region.repeats()[first])


def _lines(starts: np.ndarray, lengths: np.ndarray) -> Ints:
    """Line numbers of several programs, one after the other."""
    begins = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - begins, lengths)


def _components(region: FabricRegion, hops: np.ndarray) -> list[Ints]:
    """PE numbers of every component, ascending; components by their first PE."""
    labels = _labels(region.pes, region.colours, hops)
    order = np.argsort(labels, kind="stable")
    borders = np.nonzero(np.diff(labels[order]))[0] + 1
    return np.split(order, borders)


@njit(cache=True)
def _labels(pes, colours, hops):
    """The first PE of every PE's component (union-find with path halving)."""
    above = np.arange(pes)
    for route in range(pes * colours):
        for copy in range(hops[route, 0]):
            one, other = route // colours, hops[route, 2 + 3 * copy]
            while above[one] != one:
                above[one] = above[above[one]]
                one = above[one]
            while above[other] != other:
                above[other] = above[above[other]]
                other = above[other]
            above[max(one, other)] = min(one, other)
    for pe in range(pes):
        above[pe] = above[above[pe]]
    return above
