"""The first operator where a captured graph and the model itself compute different things."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from weft.backend.errors import WitnessError
from weft.compiler.capture.capture import capture
from weft.compiler.capture.graph import Graph
from weft.compiler.capture.sample import OneSample
from weft.compiler.plan.program_graph import packet_name
from weft.compiler.stages.cut import cut
from weft.compiler.witness.witness import Witness

ATEN = torch.ops.aten


class Perceptron(nn.Module):
    """Square layers, a norm, dropout twice, a running mean, constants."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 5), nn.Linear(5, 5)
        self.norm, self.head = nn.LayerNorm(5), nn.Linear(5, 3)
        self.register_buffer("mean", torch.zeros(5))
        self.register_buffer("steps", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        h = torch.tanh(h) * 1.5
        h = F.dropout(h, 0.4)
        centred = h - self.mean
        with torch.no_grad():
            self.mean.lerp_(h.mean(0), 0.1)
            self.steps += 1
        g = F.leaky_relu(self.second(centred), 0.2)
        h = self.norm(g / (1 + h.square()))
        h = F.dropout(h, 0.3)
        h = h + (x.abs() * h).detach()
        return self.head(h)


class Heads(nn.Module):
    """Attention written out, over four tokens of width four."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(7, 4)
        self.query, self.key, self.value = (nn.Linear(4, 4, bias=False) for _ in range(3))
        self.scale = nn.Parameter(torch.tensor([1.0, 2.0, 3.0, 4.0]))
        self.head = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.tokens(x)
        query, key = self.query(h), self.key(h)
        value = self.value(h)
        scores = query @ key.transpose(1, 2) * 0.5
        scores = scores.masked_fill(torch.ones(4, 4).triu(1).bool(), -1e4)
        mixed = scores.softmax(-1) @ value
        mixed = mixed * self.scale + torch.roll(h, 1, 1)
        mixed = mixed.permute(0, 2, 1).flip(1)
        return self.head(mixed.flatten(1))


class Image(nn.Module):
    """Convolutions around a residual sum, and pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.inner = nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.head = nn.GroupNorm(2, 4), nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.stem(x))
        h = h - F.relu(self.norm(self.inner(h)))
        h = F.max_pool2d(h, 2)
        return self.head(h.flatten(1))


X = torch.tensor([[0.7, -1.3, 0.2, 2.1, -0.4]])


SAMPLES = {
    Perceptron: (X, torch.tensor([1])),
    Heads: (torch.tensor([[3, 0, 6, 2]]), torch.tensor([2])),
    Image: (torch.linspace(-1, 2, 32).sin().reshape(1, 2, 4, 4) * 2, torch.tensor([0])),
}


@lru_cache
def captured(kind: type[nn.Module]) -> tuple[nn.Module, Graph]:
    torch.manual_seed(0)
    model = kind()
    return model, capture(model, SAMPLES[kind], F.cross_entropy)


Change = Callable[[Graph, fx.Node], Graph | None]


Fault = tuple[type[nn.Module], str, int, Change]
"""Of a model: operator, which of its nodes, what is done to it."""


def dropped(graph: Graph, node: fx.Node) -> None:
    node.replace_all_uses_with(node.all_input_nodes[0])


def detached(graph: Graph, node: fx.Node) -> None:
    _wrapped(node, ATEN.detach.default)


def negated(graph: Graph, node: fx.Node) -> None:
    _wrapped(node, ATEN.neg.default)


def _wrapped(node: fx.Node, target: object) -> None:
    with node.graph.inserting_after(node):
        made = node.graph.call_function(target, (node,))  # type: ignore[arg-type]
    made.meta = dict(node.meta)
    node.replace_all_uses_with(made, lambda user: user is not made)


def set_to(position: int, value: object) -> Change:
    def change(graph: Graph, node: fx.Node) -> None:
        args = list(node.args)
        args[position] = value  # type: ignore[call-overload]
        node.args = tuple(args)

    return change


def given(**named: object) -> Change:
    def change(graph: Graph, node: fx.Node) -> None:
        node.kwargs = {**node.kwargs, **named}  # type: ignore[dict-item]

    return change


def all_dropped(graph: Graph, node: fx.Node) -> None:
    """All of its kind: a detach is written down three times."""
    for one in nodes_of(graph, packet_name(node)):
        dropped(graph, one)


def swapped(graph: Graph, node: fx.Node) -> None:
    node.args = (node.args[1], node.args[0], *node.args[2:])


def calls(target: object) -> Change:
    def change(graph: Graph, node: fx.Node) -> None:
        node.target = target  # type: ignore[assignment]

    return change


def reads(position: int, name: str) -> Change:
    """Another parameter of the same shape."""

    def change(graph: Graph, node: fx.Node) -> None:
        places = {own: key for key, own in {**graph.parameters, **graph.buffers}.items()}
        set_to(position, graph.node(places[name]))(graph, node)

    return change


def reads_result(position: int, operator: str, number: int) -> Change:
    def change(graph: Graph, node: fx.Node) -> None:
        set_to(position, nodes_of(graph, operator)[number])(graph, node)

    return change


def without_write(name: str) -> Change:
    def change(graph: Graph, _: fx.Node) -> Graph:
        left = {key: value for key, value in graph.state_updates.items() if key != name}
        return replace(graph, state_updates=left)

    return change


def writes(name: str, operator: str, number: int) -> Change:
    """The next value of a buffer is another node's."""

    def change(graph: Graph, _: fx.Node) -> Graph:
        found = nodes_of(graph, operator)[number].name
        return replace(graph, state_updates={**graph.state_updates, name: found})

    return change


def drawn_again(graph: Graph, node: fx.Node) -> Graph:
    """The second draw is that of the first key, which is drawn from twice."""
    first, second = nodes_of(graph, "weft.uniform")
    other = second.args[0]
    second.args = (first.args[0], second.args[1])
    name = graph.buffers[other.name]  # type: ignore[union-attr]
    graph.module.graph.erase_node(other)  # type: ignore[arg-type]
    return replace(
        graph,
        buffers={k: v for k, v in graph.buffers.items() if v != name},
        constants={k: v for k, v in graph.constants.items() if k != name},
        state_updates={k: v for k, v in graph.state_updates.items() if k != name},
    )


def one_draw_left_out(graph: Graph, node: fx.Node) -> Graph:
    first, second = nodes_of(graph, "weft.uniform")
    for item in [user for user in second.users if user.args[1] == 0]:
        twin = next(user for user in first.users if user.args[1] == 0)
        item.replace_all_uses_with(twin)
    return without_write(graph.buffers[second.args[0].name])(graph, node) or graph  # type: ignore


FAULTS: dict[str, Fault] = {
    # Perceptron
    "tanh dropped": (Perceptron, "aten.tanh", 0, dropped),
    "tanh detached": (Perceptron, "aten.tanh", 0, detached),
    "linear detached": (Perceptron, "aten.linear", 1, detached),
    "norm detached": (Perceptron, "aten.layer_norm", 0, detached),
    "detach dropped": (Perceptron, "aten.detach", 0, all_dropped),
    "scale of 1.5": (Perceptron, "aten.mul", 0, set_to(1, 1.5000001)),
    "slope": (Perceptron, "aten.leaky_relu", 0, set_to(1, 0.02)),
    "epsilon": (Perceptron, "aten.layer_norm", 0, given(eps=1e-6)),
    "difference turned": (Perceptron, "aten.sub", 0, swapped),
    "quotient turned": (Perceptron, "aten.div", 0, swapped),
    "sum as a product": (Perceptron, "aten.add", -1, calls(ATEN.mul.Tensor)),
    "square as absolute value": (Perceptron, "aten.square", 0, calls(ATEN.abs.default)),
    "another layer's weight": (Perceptron, "aten.linear", 1, reads(1, "first.weight")),
    "another layer's bias": (Perceptron, "aten.linear", 0, reads(2, "second.bias")),
    "no bias": (Perceptron, "aten.linear", 2, set_to(2, None)),
    "norm without weight": (Perceptron, "aten.layer_norm", 0, reads(2, "norm.bias")),
    "mean not written": (Perceptron, "aten.lerp", 0, without_write("mean")),
    "steps not written": (Perceptron, "aten.add", 0, without_write("steps")),
    "mean written wrong": (Perceptron, "aten.lerp", 0, writes("mean", "aten.mean", 0)),
    "rate of the mean": (Perceptron, "aten.lerp", 0, set_to(2, 0.11)),
    "one key for two draws": (Perceptron, "weft.uniform", 1, drawn_again),
    "one draw for two masks": (Perceptron, "weft.uniform", 1, one_draw_left_out),
    "keeps less": (Perceptron, "aten.lt", 0, set_to(1, 0.2)),
    "keeps the dropped": (Perceptron, "aten.lt", 1, calls(ATEN.ge.Scalar)),
    "labels shifted": (Perceptron, "aten.cross_entropy_loss", 0, given(label_smoothing=0.1)),
    # Heads
    "keys not turned": (Heads, "aten.transpose", 0, dropped),
    "columns not turned": (Heads, "aten.permute", 0, dropped),
    "not flipped": (Heads, "aten.flip", 0, dropped),
    "not rolled": (Heads, "aten.roll", 0, dropped),
    "mask dropped": (Heads, "aten.masked_fill", 0, dropped),
    "mask of other rows": (Heads, "aten.triu", 0, set_to(1, 2)),
    "softmax of columns": (Heads, "aten.softmax", 0, set_to(1, 1)),
    "softmax detached": (Heads, "aten.softmax", 0, detached),
    "operands of scores turned": (Heads, "aten.matmul", 0, swapped),
    "keys for values": (Heads, "aten.matmul", 1, reads_result(1, "aten.linear", 1)),
    "query's weight for the key": (Heads, "aten.linear", 1, reads(1, "query.weight")),
    "scale of scores": (Heads, "aten.mul", 0, set_to(1, 0.51)),
    # Image
    "relu dropped": (Image, "aten.relu", 0, dropped),
    "relu detached": (Image, "aten.relu", 1, detached),
    "residual turned": (Image, "aten.sub", 0, swapped),
    "residual added": (Image, "aten.sub", 0, calls(ATEN.add.Tensor)),
    "groups of channels": (Image, "aten.group_norm", 0, set_to(1, 4)),
    "average for maximum": (Image, "aten.max_pool2d", 0, calls(ATEN.avg_pool2d.default)),
    "padding of ones": (Image, "aten.conv2d", 1, negated),
}


def nodes_of(graph: Graph, operator: str) -> list[fx.Node]:
    return [node for node in graph.module.graph.nodes if packet_name(node) == operator]


def seeded(fault: Fault) -> tuple[nn.Module, Graph, set[str]]:
    """The model, its graph with the fault, and the lines that have it."""
    kind, operator, number, change = fault
    model, original = captured(kind)
    graph = replace(original, module=copy.deepcopy(original.module))
    for node, before in zip(graph.module.graph.nodes, original.module.graph.nodes, strict=True):
        node.meta = dict(before.meta)
    node = nodes_of(graph, operator)[number]
    lines = set(near(node))
    graph = change(graph, node) or graph
    graph.module.graph.lint()
    return model, graph, lines


def near(node: fx.Node) -> Iterator[str]:
    """File and line of a node, of what reads it and of what it reads."""
    for one in (node, *node.users, *node.all_input_nodes):
        origin = one.meta.get("origin")
        if one.op == "call_function" and origin is not None:
            yield f"{origin.file}:{origin.line}" if origin.file else "the loss"


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found_and_placed(fault):
    model, graph, lines = seeded(fault)
    sample = SAMPLES[fault[0]]
    with pytest.raises(WitnessError) as found:
        Witness(OneSample(model, F.cross_entropy), sample, graph)(cut(graph))
    place = re.search(r"[\w/]+\.py:\d+|the loss", found.value.where)
    assert place is not None, found.value
    assert place.group() in lines, (found.value, lines)


@pytest.mark.parametrize("kind", SAMPLES)
def test_without_a_fault_there_is_no_difference(kind):
    model, graph = captured(kind)
    verdict = Witness(OneSample(model, F.cross_entropy), SAMPLES[kind], graph)(cut(graph))
    assert verdict.level == "float64"
    assert verdict.distance < 1e-12
