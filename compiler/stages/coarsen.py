"""Coarser stages: finest groups (see group.py) merged before the cut.

    finest  0: h.0.attn  1: h.0.mlp  2: h.1.attn  3: h.1.mlp  4: loss
    block   0: h.0                   1: h.1                   2: loss
    auto    0: h.0, h.1 ...: at most `max_stages` runs of consecutive stages (see balanced_runs.py)

Groups with the same label become one stage. If what lies between two of them depends on one and
feeds the other it joins them, so that stages stay a graph without cycles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import networkx as nx

from ...backend.errors import UnknownNameError
from .group import Assignment


@dataclass(frozen=True)
class Coarsen:
    """Merge the stages of a module, of a block, and runs of stages (`bounds`: where each begins).

    before: 0: stem  1: h.0.attn  2: h.0.mlp        after: 0: stem  1: h.0  2: h.1  3: loss
            3: h.1.attn  4: h.1.mlp  5: loss
    """

    blocks: bool = False
    globs: tuple[str, ...] = ()
    bounds: tuple[int, ...] | None = None

    def __call__(self, assignment: Assignment) -> Assignment:
        merged = merge_modules(assignment, blocks=self.blocks, globs=self.globs)
        return merged if self.bounds is None else merge_runs(merged, self.bounds)


def merge_modules(
    finest: Assignment, *, blocks: bool = False, globs: Sequence[str] = ()
) -> Assignment:
    """One stage per module that one of `globs` matches and, with `blocks`, per block.

    A glob is matched part by part: "layers.*" takes layers.0 whole, "model.h.?.mlp" its MLP.
    Everything else stays as it is. Raises UnknownNameError for a glob that matches no module.
    """
    _check_globs(finest, globs)
    labels = [_matched(module, globs) for module in finest.modules]
    if blocks:
        found = zip(labels, find_blocks(finest.modules), strict=True)
        labels = [label or block for label, block in found]
    return merge_labels(finest, labels)


def find_blocks(modules: Sequence[str]) -> list[str]:
    """For each stage's module path the block it is in, or '' if it is in none.

    A block is an element of a list of modules (the last part of its path ends in a digit, as in
    "h.3" or "denselayer2") with several stages; of nested ones the innermost.
    """
    prefixes = [[*_prefixes(module)] for module in modules]
    sizes = Counter(prefix for found in prefixes for prefix in found if prefix[-1].isdigit())
    return [
        next((prefix for prefix in reversed(found) if sizes[prefix] > 1), "") for found in prefixes
    ]


def merge_runs(assignment: Assignment, bounds: Sequence[int]) -> Assignment:
    """The assignment with consecutive stages merged: run k begins at stage `bounds[k]`."""
    starts = set(bounds)
    run, coarse = -1, []
    for stage in range(len(assignment.modules)):
        run += stage in starts
        coarse.append(run)
    return _renumber(assignment, coarse)


def _prefixes(module: str) -> Iterable[str]:
    parts = module.split(".")
    return (".".join(parts[: count + 1]) for count in range(len(parts)) if parts[count])


def _matched(module: str, globs: Sequence[str]) -> str:
    """The part of a module path that the first matching glob names, or ''."""
    parts = module.split(".")
    for glob in globs:
        wanted = glob.split(".")
        if len(parts) >= len(wanted) and all(map(fnmatchcase, parts, wanted)):
            return ".".join(parts[: len(wanted)])
    return ""


def _check_globs(finest: Assignment, globs: Sequence[str]) -> None:
    for glob in globs:
        if not any(_matched(module, (glob,)) for module in finest.modules):
            known = sorted({prefix for m in finest.modules for prefix in _prefixes(m)})
            raise UnknownNameError("module glob in pipeline.stages", glob, known, "weft show PLAN")


def merge_labels(finest: Assignment, labels: Sequence[str]) -> Assignment:
    """One stage per label, and per stage without one ('').

    What is on a cycle between them joins. The loss, in the last stage, is to stay there: all others
    come before it or join it.
    """
    count = len(labels)
    merged = nx.DiGraph(finest.edges)
    merged.add_edges_from((stage, count - 1) for stage in range(count - 1))
    merged.add_node(count - 1)
    first: dict[str, int] = {}
    for stage, label in enumerate(labels):
        if label and first.setdefault(label, stage) != stage:
            merged.add_edges_from([(first[label], stage), (stage, first[label])])
    condensed = nx.condensation(merged)
    earliest = {node: min(stages) for node, stages in condensed.nodes.data("members")}
    order = nx.lexicographical_topological_sort(condensed, key=earliest.__getitem__)
    position = {node: number for number, node in enumerate(order)}
    coarse = [position[condensed.graph["mapping"][stage]] for stage in range(count)]
    return _renumber(finest, coarse)


def _renumber(assignment: Assignment, coarse: Sequence[int]) -> Assignment:
    """`coarse[s]` is the new number of stage s."""
    members: list[list[int]] = [[] for _ in range(max(coarse) + 1)]
    for stage, number in enumerate(coarse):
        members[number].append(stage)
    edges = {(coarse[a], coarse[b]) for a, b in assignment.edges}
    return Assignment(
        stage_of={node: coarse[stage] for node, stage in assignment.stage_of.items()},
        modules=tuple(_common([assignment.modules[s] for s in stages]) for stages in members),
        merged=tuple(len(stages) > 1 or assignment.merged[stages[0]] for stages in members),
        edges=frozenset((a, b) for a, b in edges if a != b),
    )


def _common(modules: Sequence[str]) -> str:
    """The longest module path that all lie in."""
    parts = [module.split(".") for module in modules]
    shared = 0
    while all(len(p) > shared and p[shared] == parts[0][shared] for p in parts):
        shared += 1
    return ".".join(parts[0][:shared])
