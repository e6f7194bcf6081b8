"""Random changes of a slicing tree; each returns how many nodes it refreshed, -1 for no change.

Half of the swaps and most of the grafts bring a block beside one that it is joined to, since those
are the ones that shorten wires.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from .tree import CUT, LEFT, PARENT, RIGHT, refresh_above

_ANY = 0.7


@njit(cache=True, nogil=True)
def mirror_cut(tree):
    """Exchange the two parts of a cut."""
    links = tree.links
    cut = np.random.randint(links.shape[1] // 2 + 1, links.shape[1])
    links[LEFT, cut], links[RIGHT, cut] = links[RIGHT, cut], links[LEFT, cut]
    return 0


@njit(cache=True, nogil=True)
def mirror_part(tree):
    """Mirror everything below a cut along one axis."""
    links, blocks = tree.links, tree.links.shape[1] // 2 + 1
    axis = np.random.randint(2)
    tree.stack[0] = np.random.randint(blocks, links.shape[1])
    depth = 1
    while depth > 0:
        depth -= 1
        node = tree.stack[depth]
        if links[CUT, node] == axis:
            links[LEFT, node], links[RIGHT, node] = links[RIGHT, node], links[LEFT, node]
        for side in (LEFT, RIGHT):
            if links[side, node] >= blocks:
                tree.stack[depth] = links[side, node]
                depth += 1
    return 0


@njit(cache=True, nogil=True)
def turn_cut(tree, stamp):
    """Stack what lay abreast, or the other way round."""
    links = tree.links
    cut = np.random.randint(links.shape[1] // 2 + 1, links.shape[1])
    links[CUT, cut] = 1 - links[CUT, cut]
    return refresh_above(tree, -1, cut, stamp)


@njit(cache=True, nogil=True)
def _pick(tree):
    """A block, or now and then any node."""
    nodes = tree.links.shape[1]
    if np.random.random() < _ANY:
        return np.random.randint(0, nodes // 2 + 1)
    return np.random.randint(0, nodes)


@njit(cache=True, nogil=True)
def _is_above(links, node, other):
    """Whether `other` is `node` or lies above it."""
    while node >= 0:
        if node == other:
            return True
        node = links[PARENT, node]
    return False


@njit(cache=True, nogil=True)
def _beside(links, node):
    """The other part of the cut that a node is a part of."""
    above = links[PARENT, node]
    return links[LEFT, above] if links[RIGHT, above] == node else links[RIGHT, above]


@njit(cache=True, nogil=True)
def _replace(links, above, old, new):
    if above >= 0:
        if links[LEFT, above] == old:
            links[LEFT, above] = new
        else:
            links[RIGHT, above] = new
    links[PARENT, new] = above


@njit(cache=True, nogil=True)
def swap(tree, joined, joins, stamp):
    """Exchange two parts that do not contain each other."""
    links, blocks = tree.links, tree.links.shape[1] // 2 + 1
    first = _pick(tree)
    if first < blocks and joins[first] > 0 and np.random.random() < 0.5:
        second = joined[first, np.random.randint(joins[first])]
        if np.random.random() < 0.6 and links[PARENT, second] >= 0:
            second = _beside(links, second)
    else:
        second = _pick(tree)
    above_first, above_second = links[PARENT, first], links[PARENT, second]
    if above_first == above_second or above_first < 0 or above_second < 0:
        return -1
    if _is_above(links, first, second) or _is_above(links, second, first):
        return -1
    _replace(links, above_first, first, second)
    _replace(links, above_second, second, first)
    return refresh_above(tree, above_first, above_second, stamp)


@njit(cache=True, nogil=True)
def graft(tree, root, joined, joins, stamp):
    """Cut a part off and put it beside another; the number of refreshed nodes, and the root."""
    links, blocks = tree.links, tree.links.shape[1] // 2 + 1
    part = _pick(tree)
    if part < blocks and joins[part] > 0 and np.random.random() < 0.6:
        other = joined[part, np.random.randint(joins[part])]
        while np.random.random() < 0.4 and links[PARENT, other] >= 0:
            other = links[PARENT, other]
    else:
        other = np.random.randint(0, links.shape[1])
    cut = links[PARENT, part]
    if cut < 0 or other == cut or _is_above(links, other, part):
        return -1, root
    left_over, above = _beside(links, part), links[PARENT, cut]
    _replace(links, above, cut, left_over)
    if above < 0:
        root = left_over
    over = links[PARENT, other]
    _replace(links, over, other, cut)
    if over < 0:
        root = cut
    links[PARENT, other] = cut
    first = np.random.random() < 0.5
    links[LEFT, cut] = part if first else other
    links[RIGHT, cut] = other if first else part
    links[CUT, cut] = np.random.randint(2)
    return refresh_above(tree, above, cut, stamp), root
