"""Recurrent layers: one operator per layer, written out step by step in a stage's program.

    %out, %h, %c = lstm(%x, [%h0, %c0], [12 weights], layers 3)
    ->
    %out_0, %h_0, %c_0 = lstm(%x, [%h0[0:1], %c0[0:1]], [4 weights], layers 1)
    %out_1, ...        = lstm(dropout(%out_0), ...)          and so on; %h = cat(%h_0, %h_1, %h_2)

So each layer is a stage of its own, and what is dropped between layers is dropped like anything
else. The steps of a layer follow one another: its program is as long as the sequence.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, fx
from torch._decomp import get_decompositions
from torch.nn.modules import rnn

from .graph import Graph

_ATEN = torch.ops.aten
_OPERATORS = (_ATEN.lstm.input, _ATEN.gru.input, _ATEN.rnn_tanh.input, _ATEN.rnn_relu.input)


_SCANNED = "torch_xla.experimental.gru"
"""The module of a GRU that torch_xla, once any package imports it, has put in torch.nn."""


@contextmanager
def own_gru() -> Iterator[None]:
    """Let torch_xla's GRU compute by torch's: torch.export cannot trace its loop. The numbers are
    the same."""
    scanned = sys.modules.get(_SCANNED)
    if scanned is None:
        yield
        return
    before, scanned.GRU.forward = scanned.GRU.forward, rnn.GRU.forward
    try:
        yield
    finally:
        scanned.GRU.forward = before


@lru_cache(maxsize=1)
def step_by_step() -> Mapping[Any, Callable]:
    """Recurrent operators -> functions that write them out, all arguments by position."""
    found = get_decompositions(_OPERATORS)
    return {target: _without_fused_layer(function) for target, function in found.items()}


def _without_fused_layer(function: Callable) -> Callable:
    """torch keeps a layer in one fused operator if its input needs no gradient: let it need one."""

    def written_out(value: Tensor, *arguments: Any) -> Any:
        needed = value if value.requires_grad else value.detach().requires_grad_()
        return function(needed, *arguments)

    return written_out


def part_layers(graph: Graph) -> Graph:
    """The graph with one recurrent operator per layer. Works on the graph's own module."""
    renamed: dict[str, str] = {}
    for node in list(graph.module.graph.nodes):
        if node.op == "call_function" and node.target in _OPERATORS and node.args[4] != 1:
            with graph.module.graph.inserting_before(node):
                renamed |= _replace(node, _Stack.of(node).results())
    if not renamed:
        return graph
    graph.module.graph.eliminate_dead_code()
    names = tuple(renamed.get(name, name) for name in graph.predictions)
    return replace(graph, predictions=names)


def _replace(node: fx.Node, results: Sequence[fx.Node]) -> dict[str, str]:
    """Let the results take the places of the node's; old names -> new ones."""
    renamed = {}
    for user in list(node.users):
        new = results[user.args[1]]  # type: ignore[index]
        user.replace_all_uses_with(new)
        renamed[user.name] = new.name
    return renamed


@dataclass(frozen=True)
class _Stack:
    """The arguments of a recurrent operator; `states` are h and, of an LSTM, c."""

    node: fx.Node
    source: fx.Node
    states: Sequence[fx.Node]
    weights: Sequence[fx.Node]
    has_biases: bool
    layers: int
    dropout: float
    train: bool
    bidirectional: bool
    batch_first: bool

    @staticmethod
    def of(node: fx.Node) -> _Stack:
        source, states, *rest = node.args
        several = states if isinstance(states, list | tuple) else [states]
        return _Stack(node, source, several, *rest)  # type: ignore[arg-type]

    @property
    def ways(self) -> int:
        return 2 if self.bidirectional else 1

    def results(self) -> list[fx.Node]:
        """The last layer's output, and each state's last values of all layers."""
        made: list[list[fx.Node]] = []
        for layer in range(self.layers):
            source = self._dropped(made[-1][0]) if made else self.source
            made.append(self._layer(layer, source))
        lasts = [[results[1 + number] for results in made] for number in range(len(self.states))]
        joined = [
            self._call(_ATEN.cat.default, (own, 0), _val(state))
            for own, state in zip(lasts, self.states, strict=True)
        ]
        return [made[-1][0], *joined]

    def _dropped(self, value: fx.Node) -> fx.Node:
        if not (self.dropout and self.train):
            return value
        return self._call(_ATEN.dropout.default, (value, self.dropout, True), _val(value))

    def _layer(self, layer: int, source: fx.Node) -> list[fx.Node]:
        """One layer: its output and the last values of its states."""
        count = len(self.weights) // self.layers
        weights = list(self.weights[layer * count : (layer + 1) * count])
        states = [self._own(state, layer) for state in self.states]
        given = states if self.node.target is _ATEN.lstm.input else states[0]
        flags = (self.has_biases, 1, 0.0, self.train, self.bidirectional, self.batch_first)
        values = (self._output(), *map(_val, states))
        whole = self._call(self.node.target, (source, given, weights, *flags), values)
        return [
            self._call(operator.getitem, (whole, number), value)
            for number, value in enumerate(values)
        ]

    def _own(self, state: fx.Node, layer: int) -> fx.Node:
        first, last = layer * self.ways, (layer + 1) * self.ways
        value = _val(state).new_empty((self.ways, *_val(state).shape[1:]))
        return self._call(_ATEN.slice.Tensor, (state, 0, first, last), value)

    def _output(self) -> Tensor:
        """Every layer puts out as much as the last one."""
        return self.node.meta["val"][0]

    def _call(self, target: Any, arguments: tuple, value: Any) -> fx.Node:
        new = self.node.graph.call_function(target, arguments)
        new.meta = {"val": value, "origin": self.node.meta["origin"]}
        return new


def _val(node: fx.Node) -> Tensor:
    return node.meta["val"]
