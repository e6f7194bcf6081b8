"""How the trained parameters of a stage with frozen ones lie, written out from docs/adapters.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, prod

from torch import fx

from ...program import StageProgram
from ...stage_record import Tiling
from ..timeline import Features, Phase, features, forward_phase, is_whole_view, products


def trained_bytes(program: StageProgram, tiling: Tiling) -> int | None:
    """Of the trained parameters, those on the fullest PE; None where one is no plain matrix."""
    forward = forward_phase(program.forward.graph, len(program.parameters))
    known, total = features(forward), 0
    elsewhere = _elsewhere(forward, program.trainable, known, tiling)
    for number, spec in enumerate(program.parameters):
        if not program.trainable[number]:
            continue
        if len(spec.shape) != 2 or prod(known.get(number, (0,))) != spec.elements:
            return None
        into, out = known[number]
        tile = ceil(into / tiling.in_split) * ceil(out / tiling.out_split)
        total += tile * spec.torch_dtype.itemsize * (number not in elsewhere)
    return total


def _elsewhere(
    forward: Phase, trainable: Sequence[bool], known: Features, tiling: Tiling
) -> set[int]:
    """Low-rank factors that have their rows on other lines of PEs than the longest have."""
    if tiling.algorithm != "multicast":
        return set()
    pairs = list(_pairs(forward, trainable))
    columns = {down: known[down][::-1] for down, _ in pairs}
    rows = {up: known[up] for _, up in pairs}
    found: set[int] = set()
    for lines, ends in ((tiling.out_split, columns), (tiling.in_split, rows)):
        for rank in {rank for rank, _ in ends.values()}:
            lengths = {n: length for n, (own, length) in ends.items() if own == rank}
            longest_first = sorted(lengths, key=lambda n: -lengths[n])
            apart = max(1, lines // rank)
            found.update(n for place, n in enumerate(longest_first) if place % apart)
    return found


def _pairs(forward: Phase, trainable: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Numbers of A and B wherever B (A x) is added to the product of the same x with a frozen
    weight."""
    made = {node: (number, _source(rows)) for node, number, rows in products(forward)}
    for node in forward.graph.nodes:
        if str(node.target) != "aten.add.Tensor":
            continue
        ends = [end for end in node.args[:2] if isinstance(end, fx.Node)]
        for base, up in zip(ends, reversed(ends), strict=True):
            base, up = _source(base), _unscaled(up, node)
            frozen, x = made.get(base, (None, None))
            number, u = made.get(up, (None, None))
            if frozen is None or number is None or u not in made:
                continue
            down, own = made[u]
            trains = not trainable[frozen] and trainable[number] and trainable[down]
            if trains and own is x and len(ends) == 2:
                yield down, number


def _source(node: fx.Node) -> fx.Node:
    while is_whole_view(node) and isinstance(node.args[0], fx.Node):
        node = node.args[0]
    return node


def _unscaled(node: fx.Node, reader: fx.Node) -> fx.Node:
    """What reaches its reader, and nothing else, through views and scales."""
    while len(node.users) == 1 and reader in node.users:
        is_scale = str(node.target) == "aten.mul.Tensor" and len(node.all_input_nodes) == 1
        if not (is_scale or is_whole_view(node)):
            break
        node, reader = node.all_input_nodes[0], node
    return node
