"""What runs on fake tensors, written down operator by operator as a functional graph.

`make_fx` does this for all that torch can run: symbolic sizes, tensor subclasses, values computed
while tracing, places to keep constants. A stage has none of these, and what watches for them takes
two thirds of the time of a trace.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, fx
from torch._ops import OpOverload
from torch._subclasses.fake_impls import fast_detach
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from ...backend.errors import UnsupportedError
from ..plan.program import Origin
from .draws import is_random

_ATEN = torch.ops.aten
_QUERIES = frozenset({torch.ops.prim.device.default, _ATEN.size.default, _ATEN.stride.default})
"""Questions about a tensor, which compute nothing."""


class Trace(TorchDispatchMode):
    """Writes `graph` while it is entered, inside a FakeTensorMode.

    Operators in `decompositions` are traced as what these call. A detached tensor is the tensor it
    comes from. Nodes have `origin`, where the operators that run now come from, and in
    `meta["sequence"]` the number of the autograd node they belong to: forward and backward of the
    same operator have the same (see `number_backward`).
    """

    def __init__(self, decompositions: Mapping[Any, Callable[..., Any]]) -> None:
        super().__init__()
        self.graph = fx.Graph()
        self.origin: Origin | None = None
        self._decompositions = decompositions
        self._nodes: dict[int, fx.Node] = {}
        self._stand_ins: dict[int, Tensor] = {}
        self._traced: list[Tensor] = []  # kept, so that no id is given out twice
        self._running: list[int] = []  # numbers of the autograd nodes whose backward runs
        self._in_parts: list[OpOverload] = []  # those that are being traced as what they call

    def placeholder(self, name: str, value: Tensor) -> None:
        """An argument of the graph."""
        self._track(value, self.graph.placeholder(name))

    def stand_in(self, foreign: Tensor, value: Tensor) -> None:
        """From here on `foreign`, a tensor from outside of the trace, is taken for `value`."""
        self._stand_ins[id(foreign)] = value
        self._traced.append(foreign)

    def node_of(self, value: Tensor) -> fx.Node:
        """The node that computes `value`, or what it is a detached form of.

        Raises UnsupportedError for a tensor that was neither given nor computed.
        """
        node = self._nodes.get(id(value))
        if node is None:
            raise UnsupportedError(
                f"tracing {self.origin or 'the backward of a stage'}",
                expected="operators on tensors that the stage is given or computes",
                got=f"a constant of shape {tuple(value.shape)} that torch makes on the way",
                change="express this line of the model with other operators",
            )
        return node

    def number_backward(self, results: Sequence[Tensor]) -> None:
        """Let the operators of a backward from `results` have the numbers of what they
        differentiate."""
        for node in autograd_nodes([result.grad_fn for result in results]):
            node.register_prehook(partial(_begin, self._running, node._sequence_nr()))
            node.register_hook(partial(_end, self._running))

    def finish(self, results: Any) -> fx.Graph:
        """The graph that returns `results`, without what they do not need."""
        self.graph.output(self._written(results))
        self.graph.eliminate_dead_code()
        for node in self.graph.nodes:
            if "val" in node.meta:
                node.meta["val"] = _snapshot(node.meta["val"])
        return self.graph

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if self._stand_ins:
            args, kwargs = tree_map_only(Tensor, self._replaced, (args, kwargs))
        if func in _QUERIES:
            return func(*args, **kwargs)
        if func is _ATEN.detach.default:
            value = func(*args)
            self._nodes[id(value)] = self.node_of(args[0])
            self._traced.append(value)
            return value
        found = self._written_out(func, args, kwargs)
        return self._called(func, args, kwargs) if found is NotImplemented else found

    def _replaced(self, value: Tensor) -> Tensor:
        return self._stand_ins.get(id(value), value)

    def _written_out(self, func: OpOverload, args: Sequence[Any], kwargs: Any) -> Any:
        """The result by the operator's decomposition, NotImplemented for one that has none, or
        whose decomposition calls it."""
        result = NotImplemented
        if func.namespace == "prims":  # what torch's references of operators call
            with self:
                return func.impl_aten(*args, **kwargs)  # type: ignore[attr-defined]
        if func in self._in_parts:
            return result
        self._in_parts.append(func)
        if func in self._decompositions:
            with self:
                result = self._decompositions[func](*args, **kwargs)
        if result is NotImplemented and func._can_decompose():
            with self:
                result = func.decompose(*args, **kwargs)
        self._in_parts.pop()
        return result

    def _called(self, func: OpOverload, args: Sequence[Any], kwargs: Any) -> Any:
        if is_random(func):
            raise self._refused_draw(func)
        if func._schema.is_mutable:
            self._settle(args)
        node = self.graph.create_node(
            "call_function",
            func,
            tuple(self._written(args)),
            {key: self._written(value) for key, value in kwargs.items()},
            name=func.overloadpacket.__name__,
        )
        result = func(*args, **kwargs)
        self._track(result, node)
        return result

    def _refused_draw(self, func: OpOverload) -> UnsupportedError:
        return UnsupportedError(
            f"tracing {self.origin or 'the backward of a stage'}",
            expected="draws that the model itself makes, each with a key of its own",
            got=f"{func}, drawn inside of another operator or of an autograd.Function",
            change="draw in the model's forward, and give the numbers as an argument",
        )

    def _settle(self, args: Sequence[Any]) -> None:
        """Keep what arguments are now: the operator may change shapes in place."""
        for value in args:
            if isinstance(value, Tensor):
                self.node_of(value).meta["val"] = _snapshot(value)

    def _written(self, value: Any) -> Any:
        """An argument with nodes for tensors."""
        if isinstance(value, Tensor):
            return self.node_of(value)
        if isinstance(value, list | tuple):
            return type(value)(map(self._written, value))
        return value

    def _track(self, value: Any, node: fx.Node) -> None:
        node.meta |= {"val": value, "sequence": self._sequence()}
        if self.origin is not None:
            node.meta["origin"] = self.origin
        if isinstance(value, Tensor):
            self._nodes[id(value)] = node
            self._traced.append(value)
        elif isinstance(value, list | tuple):
            for index, item in enumerate(value):
                if isinstance(item, Tensor):
                    self._track(item, self.graph.call_function(operator.getitem, (node, index)))

    def _sequence(self) -> int:
        """The number of the autograd node made last or, in a backward, of the one that runs."""
        return self._running[-1] if self._running else torch.autograd._get_sequence_nr() - 1  # type: ignore[attr-defined]


# Hooks know the numbers only: holding the trace, which holds what autograd made, they would keep
# both for ever, in a circle that Python does not see.
def _begin(running: list[int], number: int, _: object) -> None:
    running.append(number)


def _end(running: list[int], *_: object) -> None:
    running.pop()


def _snapshot(value: Any) -> Any:
    """Tensors as they are now, without what autograd knows of them."""
    if isinstance(value, FakeTensor):
        return fast_detach(value.fake_mode, value)
    return type(value)(map(_snapshot, value)) if isinstance(value, list | tuple) else value


def autograd_nodes(roots: Sequence[Any]) -> Iterator[Any]:
    """The autograd nodes that a backward from `roots` may run."""
    pending = [node for node in roots if node is not None]
    seen = set(pending)
    while pending:
        node = pending.pop()
        yield node
        fresh = {next_node for next_node, _ in node.next_functions} - seen - {None}
        seen |= fresh
        pending.extend(fresh)
