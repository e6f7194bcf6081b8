"""The captured model as a value: one functional ATen graph and what its inputs and outputs mean.

model --capture--> Graph --passes--> Graph --cut--> Stages
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, fx

from ..plan.program import TensorSpec
from ..plan.program_graph import packet_name

_BACKWARD_STATE: Mapping[str, Mapping[int, int]] = {"weft.online_norm": {3: 1, 4: 2}}
"""Operator -> positions of the arguments whose "gradients" are their next values (u and v), each
with the position of an argument of equal shape. The operator's forward does not read u and v, so
that argument stands in for them in a program that runs the forward alone."""


def backward_state_positions(node: fx.Node) -> Mapping[int, int]:
    """Positions of the node's arguments that are state of the backward pass -> their stand-ins."""
    return _BACKWARD_STATE.get(packet_name(node), {})


def backward_state_arguments(node: fx.Node) -> list[fx.Node]:
    """The node's arguments that are state of the backward pass."""
    arguments = [node.args[position] for position in backward_state_positions(node)]
    return [argument for argument in arguments if isinstance(argument, fx.Node)]


@dataclass(frozen=True)
class Graph:
    """A functional graph over explicit tensors: parameters, buffers and the sample's inputs.

    `parameters` and `buffers` map placeholder names to the model's own tensor names; `frozen` holds
    the names of parameters that are not trained, those that no gradient reaches among them;
    `inputs` lists the placeholders of the sample in order. `state_updates` maps a buffer's name to
    the node that computes its next value; `constants` holds tensors the trace itself created (they
    count as buffers). `reversible` holds the paths of the modules that are updates of reversible
    layers, `not_undone` says which reversible layers are none of them, and why; `adapted` those of
    layers with an adapter. Nodes carry `meta["val"]` (a FakeTensor) and `meta["origin"]`.
    """

    module: fx.GraphModule
    parameters: Mapping[str, str]
    frozen: frozenset[str]
    buffers: Mapping[str, str]
    inputs: tuple[str, ...]
    input_specs: tuple[TensorSpec, ...]
    state_updates: Mapping[str, str]
    constants: Mapping[str, Tensor]
    loss: str
    predictions: tuple[str, ...]
    reversible: frozenset[str] = frozenset()
    not_undone: tuple[str, ...] = ()
    adapted: frozenset[str] = frozenset()

    def node(self, name: str) -> fx.Node:
        """The node called `name`."""
        return next(node for node in self.module.graph.nodes if node.name == name)
