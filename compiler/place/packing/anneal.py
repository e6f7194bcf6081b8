"""Annealing of one slicing tree: change it at random, keep what is better or not much worse."""

from __future__ import annotations

import numpy as np
from numba import njit

from .curves import NONE
from .moves import graft, mirror_cut, mirror_part, swap, turn_cut
from .tree import empty_tree, height_at, lay, narrowest, refresh_all, wire

OVERFLOW_WEIGHT = 1.2
"""A packing that is too high by a share of the wafer costs this share more of its level's price, or
of wires as long as the wafer is high where levels cost nothing."""
_NARROW, _MIRROR, _MIRROR_PART, _TURN, _SWAP = 0.03, 0.10, 0.05, 0.10, 0.27
"""Shares of the moves; the rest are grafts."""


@njit(cache=True, nogil=True)
def _set_level(tree, number, heights, widths, level, old):
    """Give every block its curves of a level; how many blocks changed."""
    count = 0
    for block in range(number.shape[0]):
        if old >= 0 and number[block, level] == number[block, old]:
            continue
        spare = 1 - tree.live[block]
        tree.heights[block, spare] = heights[number[block, level]]
        tree.widths[block, spare] = widths[number[block, level]]
        tree.known[block, spare, :] = True
        tree.live[block] = spare
        tree.touched[count] = block
        count += 1
    return count


@njit(cache=True, nogil=True)
def _cost(tree, root, price, narrow, rows, edges, weights, limit):
    """Price of the level, of being too high, and of wires; at once infinite above `limit`."""
    columns = tree.heights.shape[2] - 1
    width = columns
    height = height_at(tree, root, columns)
    if height >= NONE:
        return np.inf, height
    over = max(0, height - rows)
    cost = price * (1 + OVERFLOW_WEIGHT * over / rows)
    if price == 0:
        cost = OVERFLOW_WEIGHT * over * weights.sum()
    if cost > limit:
        return np.inf, height
    if narrow >= 0 and over == 0:
        least = narrowest(tree, root, rows)
        width = columns - int((columns - least) * narrow)
        height = height_at(tree, root, width)
    lay(tree, root, width, height)
    return cost + wire(tree.box, edges, weights), height_at(tree, root, columns)


@njit(cache=True, nogil=True)
def place_blocks(links, root, level, narrow, rows, costs, number, heights, widths, edges, weights):
    """Boxes of a layout, its cost and its height at full width."""
    tree = empty_tree(links.copy(), heights.shape[1] - 1, widths.shape[1] - 1)
    _set_level(tree, number, heights, widths, level, -1)
    refresh_all(tree, root, 0)
    cost, height = _cost(tree, root, costs[level], narrow, rows, edges, weights, np.inf)
    return tree.box, cost, height


@njit(cache=True, nogil=True)
def anneal(
    seed, steps, hot, cold, level_share, links, root, level, narrow, rows,
    costs, number, heights, widths, edges, weights, joined, joins,
):  # fmt: skip
    """The best layout that fits, of `steps` changes while the temperature falls geometrically.

    `hot` and `cold` are temperatures in units of the cost. Returns its cost (infinite if none
    fits), links, root, level and narrowing.
    """
    np.random.seed(seed)
    blocks = number.shape[0]
    tree = empty_tree(links.copy(), heights.shape[1] - 1, widths.shape[1] - 1)
    _set_level(tree, number, heights, widths, level, -1)
    refresh_all(tree, root, 0)
    cost, height = _cost(tree, root, costs[level], narrow, rows, edges, weights, np.inf)
    kept, best = tree.links.copy(), tree.links.copy()
    best_cost, best_root, best_level, best_narrow = np.inf, root, level, narrow
    if height <= rows:
        best_cost = cost
    for step in range(steps):
        old_root, old_level, old_narrow = root, level, narrow
        touched, kind = 0, np.random.random()
        if kind < level_share:
            reach = 4 if np.random.random() < 0.3 else 1
            level += np.random.randint(-reach, reach + 1)
            if level < 0 or level >= costs.shape[0] or level == old_level:
                level = old_level
                continue
            touched = _set_level(tree, number, heights, widths, level, old_level)
            touched = refresh_all(tree, root, touched)
        else:
            kind = (kind - level_share) / (1 - level_share)
            if kind < _NARROW:
                narrow = np.random.random() if np.random.random() < 0.7 else -1.0
            elif blocks == 1:
                continue
            elif kind < _NARROW + _MIRROR:
                touched = mirror_cut(tree)
            elif kind < _NARROW + _MIRROR + _MIRROR_PART:
                touched = mirror_part(tree)
            elif kind < _NARROW + _MIRROR + _MIRROR_PART + _TURN:
                touched = turn_cut(tree, step + 1)
            elif kind < _NARROW + _MIRROR + _MIRROR_PART + _TURN + _SWAP:
                touched = swap(tree, joined, joins, step + 1)
            else:
                touched, root = graft(tree, root, joined, joins, step + 1)
            if touched < 0:
                continue
        heat = hot * (cold / hot) ** (step / steps)
        limit = cost - heat * np.log(1 - np.random.random())
        new, height = _cost(tree, root, costs[level], narrow, rows, edges, weights, limit)
        if new <= limit:
            cost = new
            kept[:] = tree.links
            if height <= rows and cost < best_cost - 1e-9:
                best_cost, best_root, best_level, best_narrow = cost, root, level, narrow
                best[:] = tree.links
        else:
            for i in range(touched):
                tree.live[tree.touched[i]] = 1 - tree.live[tree.touched[i]]
            tree.links[:] = kept
            root, level, narrow = old_root, old_level, old_narrow
    return best_cost, best, best_root, best_level, best_narrow
