"""The first operator where a captured graph and the model itself compute different things.

Model and graph run once more, both by torch with its own autograd, and of every operator it is
noted what it gives: a shape and two numbers. In the forward the first node of the graph whose
value the model never has is where the two part, in the backward the last node whose value the
model has, with another gradient. A value that only the graph has (dropout written out) and from
which a later one follows that both have is no difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ..capture.graph import Graph
from ..capture.sample import OneSample
from ..capture.tracing import autograd_nodes
from ..plan.program import Origin
from ..plan.program_graph import packet_name
from .compare import RELATIVE
from .eager import run_eager, values_in
from .precision import Wide
from .values import Values

Shape = tuple[int, ...]
_LARGE = 1e100
"""Stands for infinity, so that norms stay finite."""


@dataclass(frozen=True)
class Print:
    """What is noted of a tensor: its shape, its norm, its product with fixed numbers."""

    shape: Shape
    norm: float
    product: float

    def is_near(self, other: Print, tolerance: float, floor: float = 1e-300) -> bool:
        """Whether both are of the same tensor, but for rounding."""
        size = tolerance * max(self.norm, other.norm) + floor
        near = abs(self.norm - other.norm) <= size and abs(self.product - other.product) <= size
        return self.shape == other.shape and near


@dataclass(frozen=True)
class Parting:
    """The operator and the line, and whether its value or the gradient of it is different."""

    operator: str
    origin: Origin | None
    is_backward: bool

    def __str__(self) -> str:
        where = f"{self.operator} in {str(self.origin or '') or 'the loss'}"
        return f"the gradient that arrives at {where}" if self.is_backward else where


@dataclass(frozen=True)
class PartingSubject:
    """A model and its captured graph, and the numbers that both compute with: `values` by the
    model's own names, `tensors` and `inputs` for the graph."""

    sample: OneSample
    graph: Graph
    values: Values
    tensors: Mapping[str, Tensor]
    inputs: Sequence[Tensor]
    dtype: torch.dtype


def parting(subject: PartingSubject, written: Mapping[str, Tensor]) -> Parting | None:
    """Where the graph parts from the model; None if only its stages do.

    `written` says what buffers should be afterwards, of those that are something else.
    """
    model, values = _Notes(), subject.values
    watched = partial(_noting, model)
    run_eager(
        subject.sample,
        values.inputs,
        values.tensors,
        subject.dtype,
        watched,
        model.note_gradients,
    )
    graph, own = subject.graph, _of_graph(subject)
    known = _Known(model, RELATIVE.get(subject.dtype, 0.0) * 10)
    found = _in_forward(graph, own, known) or _in_backward(graph, own, known)
    return found or _in_buffers(graph, own, known, written)


@dataclass(frozen=True)
class _Value:
    """What an operator gives, and the latest autograd node: its own, if that `is_new`."""

    value: Print
    number: int
    is_new: bool


class _Notes(TorchDispatchMode):
    """Notes each value that an operator gives, with the autograd node that computes its
    gradient, and each gradient that arrives at one."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[_Value] = []
        self.gradients: dict[int, list[Print]] = {}
        self.is_forward, self.is_detaching = True, False
        self._number = -1

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        is_saving = func is torch.ops.aten.detach.default and not self.is_detaching
        is_empty = "empty" in str(func.overloadpacket)  # what was in memory
        if self.is_forward and not is_saving and not is_empty:
            number = torch.autograd._get_sequence_nr() - 1  # type: ignore[attr-defined]
            found = (leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor))
            is_new, self._number = number != self._number, number
            self.values += [_Value(print_of(leaf), number, is_new) for leaf in found]
        return result

    def note_gradients(self, loss: Tensor) -> None:
        """Before the backward from `loss` runs."""
        self.is_forward = False
        for node in autograd_nodes([loss.grad_fn]):
            node.register_prehook(partial(self._arrived, node._sequence_nr()))

    def _arrived(self, number: int, gradients: Sequence[Tensor | None]) -> None:
        given = (gradient for gradient in gradients if gradient is not None)
        self.gradients[number] = [print_of(gradient) for gradient in given]


class _Detaching(TorchFunctionMode):
    """Tells the model's own detach() from those by which autograd keeps a result."""

    def __init__(self, notes: _Notes) -> None:
        super().__init__()
        self.notes = notes

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        before = self.notes.is_detaching
        self.notes.is_detaching = before or func in _DETACHING
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.notes.is_detaching = before


_DETACHING = (Tensor.detach, torch.detach, Tensor.data.__get__)  # type: ignore[attr-defined]


@contextmanager
def _noting(notes: _Notes) -> Iterator[None]:
    with notes, _Detaching(notes):
        yield


def print_of(value: Tensor) -> Print:
    """What is noted of a tensor."""
    flat = torch.view_as_real(value) if value.is_complex() else value
    flat = flat.detach().to(torch.float64).reshape(-1).nan_to_num(0.5, _LARGE, -_LARGE)
    numbers = torch.arange(flat.numel(), dtype=torch.float64)
    product = float((flat * torch.cos(numbers * 1.7 + 0.3)).sum())
    return Print(tuple(value.shape), float(torch.linalg.vector_norm(flat)), product)


@dataclass(frozen=True)
class _Node:
    """What is noted of a node of the graph: its value, the gradient that arrives at it, and
    whether torch's autograd goes on from there."""

    value: Print
    gradient: Print | None
    is_differentiable: bool


def _of_graph(subject: PartingSubject) -> dict[fx.Node, _Node]:
    """Run the captured graph with torch's autograd."""
    graph, given = subject.graph, iter(subject.inputs)
    made: dict[fx.Node, Any] = {}
    arrived: dict[fx.Node, Print] = {}
    with values_in(subject.sample, subject.values.tensors), Wide(subject.dtype):
        for node in graph.module.graph.nodes:
            if node.op == "placeholder":
                made[node] = _operand(graph, node.name, subject.tensors, given)
            elif node.op == "call_function":
                args, named = fx.map_arg((node.args, node.kwargs), made.__getitem__)  # type: ignore
                made[node] = node.target(*args, **named)  # type: ignore[operator]
                _watch(made[node], partial(arrived.__setitem__, node))
        loss = made[graph.node(graph.loss)]
        if loss.requires_grad:
            loss.backward()
    return {
        node: _Node(print_of(value), arrived.get(node), value.requires_grad)
        for node, value in made.items()
        if isinstance(value, Tensor)
    }


def _operand(
    graph: Graph, name: str, tensors: Mapping[str, Tensor], inputs: Iterator[Tensor]
) -> Tensor | None:
    """The value of a placeholder; none for an argument that is no tensor."""
    if name in graph.parameters:
        own = graph.parameters[name]
        return tensors[own].detach().requires_grad_(own not in graph.frozen)
    if name in graph.buffers:
        return tensors[graph.buffers[name]].clone()
    return next(inputs) if name in graph.inputs else None


def _watch(value: Any, note: Callable[[Print], None]) -> None:
    if isinstance(value, Tensor) and value.requires_grad:
        value.register_hook(lambda gradient: None if gradient is None else note(print_of(gradient)))


class _Known:
    """The values that the model has, and the gradients of each."""

    def __init__(self, notes: _Notes, tolerance: float) -> None:
        self.notes, self.tolerance = notes, tolerance
        self.by_shape: dict[Shape, list[_Value]] = {}
        for noted in notes.values:
            self.by_shape.setdefault(noted.value.shape, []).append(noted)
        gradients = [one.norm for ones in notes.gradients.values() for one in ones]
        self.floor = 1e-12 * max(gradients, default=0.0)

    def same(self, value: Print) -> list[_Value]:
        """The values of the model that are this one."""
        found = self.by_shape.get(value.shape, [])
        return [other for other in found if other.value.is_near(value, self.tolerance)]

    def has_gradient(self, values: Sequence[_Value], gradient: Print | None) -> bool:
        """Whether this gradient, or none, arrives at one of these values."""
        for noted in values:
            known = self.notes.gradients.get(noted.number, [])
            if gradient is None or gradient.norm <= self.floor:
                if not noted.is_new or all(one.norm <= self.floor for one in known):
                    return True
            elif any(one.is_near(gradient, self.tolerance, self.floor) for one in known):
                return True
        return False


def _in_forward(graph: Graph, own: Mapping[fx.Node, _Node], known: _Known) -> Parting | None:
    """Back from what the graph computes wrong, to the first node whose operands are right."""
    results = (graph.loss, *graph.predictions, *graph.state_updates.values())
    wrong = {node for node in own if node.op == "call_function" and not known.same(own[node].value)}
    pending = [node for node in map(graph.node, results) if node in wrong]
    reached: set[fx.Node] = set()
    while pending:
        node = pending.pop()
        if node not in reached:
            reached.add(node)
            pending += [operand for operand in _computed(node, own) if operand in wrong]
    first = next((node for node in graph.module.graph.nodes if node in reached), None)
    return None if first is None else _at(first)


def _at(node: fx.Node, is_backward: bool = False) -> Parting:
    return Parting(packet_name(node) or str(node.target), node.meta.get("origin"), is_backward)


def _computed(node: fx.Node, own: Mapping[fx.Node, _Node]) -> Iterator[fx.Node]:
    """The tensors that a node reads, also as items of a tuple."""
    for operand in node.all_input_nodes:
        if operand in own:
            yield operand
        else:
            yield from _computed(operand, own)


def _in_backward(graph: Graph, own: Mapping[fx.Node, _Node], known: _Known) -> Parting | None:
    """The last node with another gradient; if autograd stops there, the first where it does."""

    def is_wrong(node: fx.Node) -> bool:
        if node.op != "call_function" or node not in own or node.name == graph.loss:
            return False
        same = known.same(own[node].value)
        return bool(same) and not known.has_gradient(same, own[node].gradient)

    node = next(filter(is_wrong, reversed(list(graph.module.graph.nodes))), None)
    if node is None:
        return None
    while not own[node].is_differentiable:
        operands = [o for o in _computed(node, own) if is_wrong(o)]
        node, last = next((o for o in operands if not own[o].is_differentiable), node), node
        if node is last:
            break
    return _at(node, is_backward=True)


def _in_buffers(
    graph: Graph, own: Mapping[fx.Node, _Node], known: _Known, written: Mapping[str, Tensor]
) -> Parting | None:
    """The node that computes what a buffer should be; if there is none, the first that reads it."""
    places = {name: graph.node(place) for place, name in graph.buffers.items()}
    for name, expected in written.items():
        wanted = print_of(expected)
        calls = [node for node in own if node.op == "call_function"]
        same = [n for n in calls if own[n].value.is_near(wanted, known.tolerance)]
        readers = list(places[name].users) if name in places else []
        for node in (*same, *readers):
            return _at(node)
    return None
