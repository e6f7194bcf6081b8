"""Which parameters a rule of matrices does not step as matrices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from .program import Stage, Stages
from .program_graph import packet_name


def stepped_by_element(stages: Stages, globs: Sequence[str] | None) -> frozenset[str]:
    """Names of parameters that a glob matches.

    By default the tables of embeddings, whose rows are no directions of one space, and all of the
    last stage that has a matrix: the head.
    """
    if globs is None:
        return frozenset((*_tables(stages), *_head(stages)))
    names = (name for stage in stages.stages for name in stage.parameters)
    return frozenset(name for name in names if any(fnmatchcase(name, glob) for glob in globs))


def _tables(stages: Stages) -> Iterator[str]:
    for stage in stages.stages:
        places = stage.program.forward.graph.find_nodes(op="placeholder")
        for name, place in zip(stage.parameters, places, strict=False):
            if any(packet_name(user) == "aten.embedding" for user in place.users):
                yield name


def _head(stages: Stages) -> tuple[str, ...]:
    last = next((stage for stage in reversed(stages.stages) if _has_matrix(stage)), None)
    return () if last is None else tuple(last.parameters)


def _has_matrix(stage: Stage) -> bool:
    return any(len(spec.shape) > 1 for spec in stage.program.parameters)
