"""A slicing tree with the curves of all its nodes, and where its blocks lie.

Nodes 0 to n - 1 are the blocks, n to 2n - 2 the cuts. `links[LEFT, v]`, `links[RIGHT, v]` are the
parts of cut v (left or lower one first), `links[PARENT, v]` is -1 at the root, `links[CUT, v]` is
STACKED (parts one above the other) or ABREAST (side by side). Every node has two sets of curves,
of which `live` names the valid one: taking a move back means switching the set.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from .curves import add, invert, least_index

LEFT, RIGHT, PARENT, CUT = 0, 1, 2, 3
STACKED, ABREAST = 0, 1
HEIGHTS, WIDTHS = 0, 1


class Tree(NamedTuple):
    """Arrays over nodes; see the module. `known[v, s, f]`: whether set s has form f."""

    links: np.ndarray  # (4, nodes)
    heights: np.ndarray  # (nodes, 2, columns + 1): least height by width
    widths: np.ndarray  # (nodes, 2, rows allowed + 1): least width by height
    known: np.ndarray  # (nodes, 2, 2)
    live: np.ndarray  # (nodes,)
    box: np.ndarray  # (4, nodes): twice left and lower edge, width, height
    stack: np.ndarray
    touched: np.ndarray
    mark: np.ndarray


@njit(cache=True, nogil=True)
def empty_tree(links, columns, rows):
    """A tree with these links and no curves yet, for at most `rows` rows."""
    nodes = links.shape[1]
    return Tree(
        links,
        np.zeros((nodes, 2, columns + 1), np.int16),
        np.zeros((nodes, 2, rows + 1), np.int16),
        np.zeros((nodes, 2, 2), np.bool_),
        np.zeros(nodes, np.int64),
        np.zeros((4, nodes), np.int64),
        np.zeros(nodes + 2, np.int64),
        np.zeros(4 * nodes, np.int64),
        np.zeros(nodes, np.int64),
    )


@njit(cache=True, nogil=True)
def want(tree, node, form):
    """Have the live curves of a node in this form."""
    live = tree.live[node]
    if not tree.known[node, live, form]:
        if form == HEIGHTS:
            invert(tree.widths[node, live], tree.heights[node, live])
        else:
            invert(tree.heights[node, live], tree.widths[node, live])
        tree.known[node, live, form] = True


@njit(cache=True, nogil=True)
def refresh(tree, cut):
    """Add up the curves of a cut's parts into its other set, which becomes the live one."""
    first, second = tree.links[LEFT, cut], tree.links[RIGHT, cut]
    form, spare = tree.links[CUT, cut], 1 - tree.live[cut]
    want(tree, first, form)
    want(tree, second, form)
    a, b = tree.live[first], tree.live[second]
    if form == HEIGHTS:
        limit = tree.widths.shape[2] - 1
        add(tree.heights[first, a], tree.heights[second, b], limit, tree.heights[cut, spare])
    else:
        limit = tree.heights.shape[2] - 1
        add(tree.widths[first, a], tree.widths[second, b], limit, tree.widths[cut, spare])
    tree.known[cut, spare, form] = True
    tree.known[cut, spare, 1 - form] = False
    tree.live[cut] = spare


@njit(cache=True, nogil=True)
def refresh_above(tree, first, second, stamp):
    """Refresh two cuts (-1 for none) and all above them, each once; how many were touched."""
    count = 0
    node = second
    while node >= 0:
        tree.mark[node] = stamp
        node = tree.links[PARENT, node]
    node = first
    while node >= 0 and tree.mark[node] != stamp:
        refresh(tree, node)
        tree.touched[count] = node
        count += 1
        node = tree.links[PARENT, node]
    node = second
    while node >= 0:
        refresh(tree, node)
        tree.touched[count] = node
        count += 1
        node = tree.links[PARENT, node]
    return count


@njit(cache=True, nogil=True)
def refresh_all(tree, root, count):
    """Refresh every cut, parts before wholes; `count` nodes were touched before."""
    cuts = tree.mark.shape[0] // 2
    if cuts == 0:
        return count
    order = np.empty(cuts, np.int64)
    tree.stack[0] = root
    depth, found = 1, 0
    while depth > 0:
        depth -= 1
        node = tree.stack[depth]
        if node > cuts:
            order[found] = node
            found += 1
            tree.stack[depth] = tree.links[LEFT, node]
            tree.stack[depth + 1] = tree.links[RIGHT, node]
            depth += 2
    for i in range(found - 1, -1, -1):
        refresh(tree, order[i])
        tree.touched[count] = order[i]
        count += 1
    return count


@njit(cache=True, nogil=True)
def height_at(tree, root, width):
    """Least height of the whole at this width, or NONE."""
    want(tree, root, HEIGHTS)
    return tree.heights[root, tree.live[root], width]


@njit(cache=True, nogil=True)
def narrowest(tree, root, height):
    """Least width of the whole at this height."""
    want(tree, root, HEIGHTS)
    return least_index(tree.heights[root, tree.live[root]], height)


@njit(cache=True, nogil=True)
def lay(tree, root, width, height):
    """Lay every block into `tree.box`, the whole from (0, 0) on; room left over lies around."""
    blocks = tree.links.shape[1] // 2 + 1
    box, links = tree.box, tree.links
    tree.stack[0] = root
    depth = 1
    box[0, root], box[1, root], box[2, root], box[3, root] = 0, 0, width, height
    while depth > 0:
        depth -= 1
        node = tree.stack[depth]
        wide, high = box[2, node], box[3, node]
        if node < blocks:
            box[2, node] = tree.widths[node, tree.live[node], high]
            box[3, node] = tree.heights[node, tree.live[node], box[2, node]]
            box[0, node] += wide - box[2, node]
            box[1, node] += high - box[3, node]
            continue
        first, second = links[LEFT, node], links[RIGHT, node]
        a, b = tree.live[first], tree.live[second]
        if links[CUT, node] == STACKED:
            along, size = 1, high
            lower, upper = tree.heights[first, a, wide], tree.heights[second, b, wide]
        else:
            along, size = 0, wide
            lower, upper = tree.widths[first, a, high], tree.widths[second, b, high]
        for part in (first, second):
            box[1 - along, part] = box[1 - along, node]
            box[3 - along, part] = box[3 - along, node]
        start = box[along, node] + size - lower - upper
        box[along, first], box[along, second] = start, start + 2 * lower
        box[2 + along, first], box[2 + along, second] = lower, upper
        tree.stack[depth] = first
        tree.stack[depth + 1] = second
        depth += 2


@njit(cache=True, nogil=True)
def wire(box, edges, weights):
    """Sum of the weighted L1 distances between the centres of joined blocks."""
    total = 0.0
    for e in range(edges.shape[0]):
        i, j = edges[e, 0], edges[e, 1]
        across = abs(box[0, i] + box[2, i] - box[0, j] - box[2, j])
        along = abs(box[1, i] + box[3, i] - box[1, j] - box[3, j])
        total += weights[e] * 0.5 * (across + along)
    return total
