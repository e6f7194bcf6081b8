"""Stage programs, each distinct one traced once.

Tracing a joint graph costs far more than looking it up: a network of many equal layers compiles in
the time of its distinct ones. An equal stage gets a copy of the program that differs only in the
origins of its nodes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace

from torch import fx

from .fxgraph import graph_module
from .graph_text import graph_to_data, program_key
from .joint import Subgraph, split_joint
from .program import Origin, StageProgram


@dataclass
class Programs:
    """Programs by the text of the captured subgraph they come from."""

    _known: dict[str, tuple[Subgraph, StageProgram]] = field(default_factory=dict)

    def of(self, subgraph: Subgraph) -> StageProgram:
        """The program of a stage, traced on first sight of its structure."""
        text = _text(subgraph)
        if text not in self._known:
            self._known[text] = (subgraph, _trace(subgraph))
            return self._known[text][1]
        first, program = self._known[text]
        return _relabel(program, dict(zip(_origins(first), _origins(subgraph), strict=True)))


def _text(subgraph: Subgraph) -> str:
    roles = [
        len(subgraph.parameters),
        len(subgraph.forward_state),
        len(subgraph.backward_state),
        subgraph.input_needs_grad,
        subgraph.output_is_read,
        subgraph.trainable,
    ]
    return json.dumps([roles, graph_to_data(subgraph.module)])


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


def _origins(subgraph: Subgraph) -> list[Origin | None]:
    return [node.meta.get("origin") for node in subgraph.module.graph.nodes]


def _relabel(program: StageProgram, origins: dict[Origin | None, Origin | None]) -> StageProgram:
    return replace(
        program,
        forward=_copy(program.forward, origins),
        backward=_copy(program.backward, origins),
    )


def _copy(module: fx.GraphModule, origins: dict[Origin | None, Origin | None]) -> fx.GraphModule:
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    for node in module.graph.nodes:
        copies[node] = graph.node_copy(node, copies.__getitem__)
        copies[node].meta = dict(node.meta)
        origin = origins.get(node.meta.get("origin"))
        if origin is not None:
            copies[node].meta["origin"] = origin
    return graph_module(graph)
