"""Which labels a loss leaves out.

%kept = aten.ne.Scalar(%label, 255)
%safe = aten.where.self(%kept, %label, 0)      ->      255
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import fx

from ...compiler.plan.program import Stages
from ...compiler.plan.program_graph import packet_name
from .looked_up import KEEPS_NUMBERS, places

IGNORED_LABEL = -100
"""A label that torch's cross-entropy leaves out unless it is told another one."""


def ignored_labels(stages: Stages) -> tuple[int, ...]:
    """Those that cross-entropies of the last model input leave out; torch's own where none is."""
    number = len(stages.model_inputs) - 1
    found = {label for place in places(stages, number) for label in _left_out(place)}
    return tuple(sorted(found)) or (IGNORED_LABEL,)


def _left_out(labels: fx.Node) -> Iterator[int]:
    for user in labels.users:
        name = packet_name(user)
        if name in KEEPS_NUMBERS and user.all_input_nodes == [labels]:
            yield from _left_out(user)
        elif name == "aten.ne" and any(_replaces(reader, user, labels) for reader in user.users):
            compared = user.args[1]
            if isinstance(compared, int):
                yield compared


def _replaces(reader: fx.Node, kept: fx.Node, labels: fx.Node) -> bool:
    """Whether a node is the labels that are kept, with a number for the others."""
    return packet_name(reader) == "aten.where" and reader.args[:2] == (kept, labels)
