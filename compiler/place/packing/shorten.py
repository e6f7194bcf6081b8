"""A short walk from one layout to one with shorter wires: the same on any machine.

A little annealing finds other cuts of the whole where there is room to spare. Then parts are cut
anew in the rectangles that they have (see `refold`), which needs none. How many changes are tried
depends on the number of blocks alone; 72 blocks take 0.4 seconds of one core.
"""

from __future__ import annotations

import numpy as np

from .anneal import anneal
from .placed import blocks_of, fits
from .problem import Block, Problem, SlicedLayout
from .refold import refold
from .settle import settled, wire_of

MOST_BLOCKS = 128
"""More blocks stay as they are: settling them takes longer than all else."""
_STEPS, _STEPS_A_BLOCK = 4_000, 250
_FOLDS, _FOLDS_A_BLOCK = 80, 3
_WINDOW = 12
_HOT, _COLD = 1e-3, 2e-5
"""Heat of annealing, in shares of the level's price."""
_HEAT = 0.01
"""Heat of cutting parts anew, in shares of the wires."""
_SEED = 0


def shorten(problem: Problem, start: SlicedLayout) -> tuple[Block, ...] | None:
    """The blocks with shorter wires than in `start`; None if none were found."""
    if not 1 < problem.count <= MOST_BLOCKS or not len(problem.edges):
        return None
    end = _walk(problem, start)
    if not fits(problem, end):
        return None
    before, blocks = blocks_of(problem, start), settled(problem, blocks_of(problem, end))
    return blocks if wire_of(problem, blocks) < wire_of(problem, before) else None


def _walk(problem: Problem, start: SlicedLayout) -> SlicedLayout:
    """The best layout of a walk that begins at `start`."""
    found = _annealed(problem, start)
    price = float(problem.levels.costs[start.level])
    heat = _HEAT * (found.cost - price)
    folds = min(_FOLDS, _FOLDS_A_BLOCK * problem.count)
    random = np.random.default_rng(_SEED)
    return refold(problem, found, random, folds, heat, 0.0, whole=0, window=_WINDOW)


def _annealed(problem: Problem, start: SlicedLayout) -> SlicedLayout:
    """The cheaper of `start` and what a little annealing at its level finds."""
    levels, (joined, joins) = problem.levels.at([start.level]), problem.joined
    price, steps = float(levels.costs[0]), min(_STEPS, _STEPS_A_BLOCK * problem.count)
    cost, links, root, _, narrow = anneal(
        _SEED, steps, _HOT * price, _COLD * price, 0.0, start.links, start.root, 0, start.narrow,
        problem.rows, levels.costs, levels.number, levels.heights, levels.widths, problem.edges,
        problem.weights, joined, joins,
    )  # fmt: skip
    if cost >= start.cost:
        return start
    return SlicedLayout(links, int(root), start.level, float(narrow), float(cost))
