"""Models of five kinds, and the faults that a capture of them might have."""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from weft.compiler.capture.capture import capture
from weft.compiler.capture.graph import Graph
from weft.compiler.plan.program_graph import packet_name
from weft.nn import make_norm

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
        h = F.dropout(h, 0.4, self.training)
        centred = h - self.mean
        with torch.no_grad():
            self.mean.lerp_(h.mean(0), 0.1)
            self.steps += 1
        g = F.leaky_relu(self.second(centred), 0.2)
        h = self.norm(g / (1 + h.square()))
        h = F.dropout(h, 0.3, self.training)
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


class Spoken(nn.Module):
    """A recurrent network of two layers, dropout between them, and a cell that reads its steps."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.LSTM(4, 4, 2, batch_first=True, dropout=0.4)
        self.cell = nn.GRUCell(4, 4)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        steps, (h, c) = self.layers(x)
        state = torch.tanh(c[0])
        for step in steps.unbind(1):
            state = self.cell(step, state)
        return self.head(state - h[1])


class Shuffled(nn.Module):
    """Frozen and online norms, channels that are dropped, convolved by themselves and shuffled."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.frozen = nn.BatchNorm2d(4).eval()
        self.depth = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.norm = make_norm("online", 4)
        self.drop = nn.Dropout2d(0.4)
        self.head = nn.Linear(4, 3)
        self.frozen.running_mean += torch.tensor([0.1, -0.2, 0.3, 0.4])

    def forward(self, x: Tensor) -> Tensor:
        h = F.silu(self.frozen(self.stem(x)))
        h = self.drop(h)
        gate = self.norm(self.depth(h)).sigmoid()
        h = torch.cat([h, gate * h], 1).roll(1, 1)
        h, divisor = h.view(-1, 2, 4, 4, 4).transpose(1, 2).reshape(-1, 8, 4, 4).chunk(2, 1)
        h = h / (1 + divisor**2)
        return self.head(h.mean((2, 3)))


X = torch.tensor([[0.7, -1.3, 0.2, 2.1, -0.4]])


SAMPLES = {
    Perceptron: (X, torch.tensor([1])),
    Heads: (torch.tensor([[3, 0, 6, 2]]), torch.tensor([2])),
    Image: (torch.linspace(-1, 2, 32).sin().reshape(1, 2, 4, 4) * 2, torch.tensor([0])),
    Spoken: (torch.linspace(-1, 2, 12).sin().reshape(1, 3, 4), torch.tensor([1])),
    Shuffled: (torch.linspace(-1, 3, 32).sin().reshape(1, 2, 4, 4) * 2, torch.tensor([0])),
}


@lru_cache
def captured(kind: type[nn.Module]) -> tuple[nn.Module, Graph]:
    torch.manual_seed(0)
    model = kind()
    return model, capture(model, SAMPLES[kind], F.cross_entropy)


Change = Callable[[Graph, fx.Node], Graph | None]


Fault = tuple[type[nn.Module], str, int, Change]
"""Of a model: operator, which of its nodes, what is done to it."""


def nodes_of(graph: Graph, operator: str) -> list[fx.Node]:
    """Those of an operator, in order."""
    return [node for node in graph.module.graph.nodes if packet_name(node) == operator]


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


def swapped_in_list(graph: Graph, node: fx.Node) -> None:
    node.args = (list(reversed(node.args[0])), *node.args[1:])  # type: ignore[call-overload, arg-type]


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


def drawn_twice(graph: Graph, node: fx.Node) -> Graph:
    """A draw of the next key is read in place of the first."""
    name = graph.buffers[node.args[0].name]  # type: ignore[union-attr]
    first, key = (one for n in (0, 1) for one in node.users if one.args[1] == n)
    with node.graph.inserting_after(key):
        again = node.graph.call_function(node.target, (key, node.args[1]))  # type: ignore[arg-type]
    with node.graph.inserting_after(again):
        value = node.graph.call_function(operator.getitem, (again, 0))
        following = node.graph.call_function(operator.getitem, (again, 1))
    again.meta, value.meta, following.meta = dict(node.meta), dict(first.meta), dict(key.meta)
    first.replace_all_uses_with(value)
    return replace(graph, state_updates={**graph.state_updates, name: following.name})


def takes_another(number: int) -> Change:
    """Every part that is taken of a node's result is the same."""

    def change(graph: Graph, node: fx.Node) -> None:
        for user in list(node.users):
            user.args = (node, number)

    return change


def reads_state(graph: Graph, node: fx.Node) -> None:
    """A step over time whose result is the state that it was given."""
    node.replace_all_uses_with(node.args[1])  # type: ignore[arg-type]
