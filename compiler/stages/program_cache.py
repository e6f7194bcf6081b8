"""Stage programs, each distinct one traced once.

Tracing a joint graph costs far more than looking it up: a network of many equal layers compiles in
the time of its distinct ones. Equal stages share one program, whose nodes say where the first of
them comes from; each of the others keeps what its own places are (`OriginPlaces`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import fx

from ..plan.program import Origin, OriginPlaces, StageProgram
from ..plan.program_text import calls_to_data, program_key
from .forward_backward import split_joint
from .joint import Subgraph
from .subgraph import Boundary, Cutter


@dataclass
class CutPrograms:
    """Programs by the text of the captured subgraph they come from, with its places."""

    _known: dict[str, tuple[list[Origin | None], StageProgram]] = field(default_factory=dict)

    def of(
        self, cutter: Cutter, boundary: Boundary, needs_grad: Mapping[fx.Node, bool]
    ) -> tuple[StageProgram, OriginPlaces]:
        """The program of a stage, traced on first sight of its structure, and its own places."""
        text, own = _text(cutter, boundary, needs_grad), _origins(boundary)
        if text not in self._known:
            self._known[text] = own, _trace(cutter.subgraph(boundary, needs_grad))
            return self._known[text][1], {}
        first, program = self._known[text]
        moved = zip(first, own, strict=True)
        return program, {one: other for one, other in moved if one is not None and other}


def _text(cutter: Cutter, boundary: Boundary, needs_grad: Mapping[fx.Node, bool]) -> str:
    roles = [
        len(boundary.parameters),
        len(boundary.forward_state),
        len(boundary.backward_state),
        cutter.input_needs_grad(boundary, needs_grad),
        cutter.output_is_read(boundary),
        cutter.trainable(boundary),
    ]
    inputs, results = cutter.inputs(boundary), cutter.results(boundary)
    return json.dumps([roles, calls_to_data(inputs, boundary.nodes, results)])


def _trace(subgraph: Subgraph) -> StageProgram:
    parts = split_joint(subgraph)
    return StageProgram(
        key=program_key(parts.forward, parts.backward),
        forward=parts.forward,
        backward=parts.backward,
        parameters=subgraph.parameters,
        forward_state=subgraph.forward_state,
        backward_state=subgraph.backward_state,
        inputs=subgraph.inputs,
        outputs=subgraph.outputs,
        saved=parts.saved,
        recomputed=(),
        input_needs_grad=subgraph.input_needs_grad,
        output_needs_grad=parts.output_needs_grad,
        trainable=subgraph.trainable,
    )


def _origins(boundary: Boundary) -> list[Origin | None]:
    return [node.meta.get("origin") for node in boundary.nodes]
