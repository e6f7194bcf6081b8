"""Calls that were not traced get the nodes of the one that was, in an exported program.

    enter [%x], 0
    %y = linear(%x, %h_0_weight)               %y = linear(%x, %h_0_weight)
    leave [%y], 0                        ->
    %z = again [%y], 2, body of 0              %a = linear(%y, %h_2_weight)
    %a = getitem(%z, 0)

A copy keeps its source line. Module paths, parameters and buffers become those of the call's own
module. Before anything is copied the body's nodes are held against those of its witness.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from ..origin import user_frame
from .operators import AGAIN, ENTER, LEAVE, body_call
from .structure import RepeatedModule

_STACK = "nn_module_stack"
_MARKS = (ENTER, LEAVE, AGAIN)

Stack = Mapping[str, tuple[str, Any]]
"""The modules a node is in, outermost first: their paths and classes."""


class UnlikeError(Exception):
    """A body does not stand for all calls; the model is to be traced as a whole."""


@dataclass
class _Traced:
    """A call: its instance, the modules it is in, operands, nodes and results."""

    instance: RepeatedModule
    stack: Stack
    operands: Sequence[fx.Node]
    nodes: list[fx.Node] = field(default_factory=list)
    results: Sequence[fx.Node] = ()


@dataclass
class _Copy:
    """What `body` is for another instance; `nodes` are those that stand for its nodes."""

    body: _Traced
    instance: RepeatedModule
    nodes: dict[fx.Node, fx.Node]


def expand(
    module: fx.GraphModule,
    tensors: Mapping[str, str],
    calls: Mapping[int, RepeatedModule],
    witnesses: Mapping[int, int],
) -> None:
    """Write out all repeated calls in the module's graph, and remove the marks.

    `tensors` are the names of parameters and buffers by placeholder, `calls` the instances by the
    numbers of their calls, and `witnesses` the calls that agree with another. Raises UnlikeError.
    """
    _refuse_hidden_marks(module)
    expansion = _Expansion(module.graph, tensors, calls, witnesses)
    for node in list(module.graph.nodes):
        expansion.visit(node)
    module.graph.eliminate_dead_code()


class _Expansion:
    def __init__(
        self,
        graph: fx.Graph,
        tensors: Mapping[str, str],
        calls: Mapping[int, RepeatedModule],
        witnesses: Mapping[int, int],
    ) -> None:
        self.graph, self.tensors = graph, tensors
        self.calls, self.witnesses = calls, witnesses
        self.node_of = {tensors[n.name]: n for n in graph.nodes if n.name in tensors}
        self.open: dict[int, _Traced] = {}
        self.traced: dict[int, _Traced] = {}

    def visit(self, node: fx.Node) -> None:
        """Take the next node of the graph as it was exported."""
        if node.target is ENTER:
            operands, call = node.args
            self.open[call] = _Traced(self.calls[call], _stack(node), operands)  # type: ignore
            self.graph.erase_node(node)
        elif node.target is LEAVE:
            self._leave(*node.args)  # type: ignore[arg-type]
            self.graph.erase_node(node)
        elif node.target is AGAIN:
            self._again(node, *node.args)  # type: ignore[arg-type]
        elif node.op == "call_function" and not node._erased:
            self._note([node])

    def _note(self, nodes: Sequence[fx.Node]) -> None:
        for traced in self.open.values():
            traced.nodes += nodes

    def _leave(self, results: Sequence[fx.Node], call: int) -> None:
        traced = self.traced[call] = self.open.pop(call)
        traced.results = results
        if call in self.witnesses:
            self._compare(self.traced[self.witnesses[call]], traced)

    def _compare(self, body: _Traced, witness: _Traced) -> None:
        """Raises UnlikeError unless the witness is what would be copied from the body for it."""
        copy = _Copy(body, witness.instance, self._operands(body, witness.operands))
        for node, own in zip_longest(body.nodes, witness.nodes):
            if node is None or own is None or _seen(node) != _seen(own):
                raise UnlikeError
            if self._mapped((node.args, node.kwargs), copy) != (own.args, own.kwargs):
                raise UnlikeError
            moved = _moved(_stack(node), body.stack, witness.stack)
            if list(moved.values()) != list(_stack(own).values()):
                raise UnlikeError
            copy.nodes[node] = own
        if self._mapped(body.results, copy) != witness.results:
            raise UnlikeError

    def _again(self, node: fx.Node, operands: Sequence[fx.Node], call: int, text: str) -> None:
        """Put the nodes of the body in the place of `node`."""
        body = self.traced[body_call(text)]
        copy = _Copy(body, self.calls[call], self._operands(body, operands))
        with self.graph.inserting_before(node):
            for source in body.nodes:
                args, kwargs = self._mapped((source.args, source.kwargs), copy)
                new = self.graph.call_function(source.target, args, kwargs)  # type: ignore[arg-type]
                stack = _moved(_stack(source), body.stack, _stack(node))
                new.meta = {**source.meta, _STACK: stack}
                copy.nodes[source] = new
        self._note([copy.nodes[source] for source in body.nodes])
        self._hand_over(node, self._mapped(body.results, copy))

    def _hand_over(self, node: fx.Node, results: Sequence[fx.Node]) -> None:
        """Readers of an item of `node` read the result; what the model returns keeps its name."""
        for item in list(node.users):
            result = results[item.args[1]]  # type: ignore[index]
            is_returned = any(user.op == "output" for user in item.users)
            item.replace_all_uses_with(result)
            self.graph.erase_node(item)
            if is_returned and result.op == "call_function":
                result.name = item.name
        self.graph.erase_node(node)

    def _operands(self, body: _Traced, operands: Sequence[fx.Node]) -> dict[fx.Node, fx.Node]:
        """What stands for the body's operands, none of which is a tensor of its own module."""
        own = body.instance.name + "."
        if any(self.tensors.get(operand.name, "").startswith(own) for operand in body.operands):
            raise UnlikeError
        return dict(zip(body.operands, operands, strict=True))

    def _mapped(self, value: Any, copy: _Copy) -> Any:
        return fx.map_arg(value, lambda node: copy.nodes.get(node) or self._tensor(node, copy))

    def _tensor(self, node: fx.Node, copy: _Copy) -> fx.Node:
        """The parameter or buffer of the copy that is `node` in the body; others are shared."""
        name, own = self.tensors.get(node.name), copy.body.instance.name + "."
        if name is None:
            raise UnlikeError
        if not name.startswith(own):
            return node
        return self.node_of[f"{copy.instance.name}.{name.removeprefix(own)}"]


def _stack(node: fx.Node) -> Stack:
    return node.meta[_STACK]


def _moved(stack: Stack, body: Stack, outer: Stack) -> Stack:
    """The modules a node of the body is in, its block being the last of `outer`, not of `body`."""
    outside, inside = list(stack.values())[: len(body)], list(stack.values())[len(body) :]
    path, own_path = _path(body), _path(outer)
    if outside != list(body.values()) or not all(own.startswith(path) for own, _ in inside):
        raise UnlikeError
    key = list(outer)[-1]
    inner = [(own.removeprefix(path), kind) for own, kind in inside]
    return {**outer, **{key + own: (own_path + own, kind) for own, kind in inner}}


def _path(stack: Stack) -> str:
    """The path of the innermost module."""
    return list(stack.values())[-1][0]


def _seen(node: fx.Node) -> Any:
    """What a node gives, and the line it comes from."""
    values = tree_leaves(node.meta.get("val"))
    tensors = [(v.shape, v.stride(), v.dtype) for v in values if isinstance(v, Tensor)]
    return node.target, user_frame(node.stack_trace or ""), tensors


def _refuse_hidden_marks(module: fx.GraphModule) -> None:
    """Blocks inside of what is no plain operator stay as they are: raises UnlikeError."""
    for node in module.graph.find_nodes(op="get_attr"):
        inner = getattr(module, str(node.target), None)
        for part in inner.modules() if isinstance(inner, fx.GraphModule) else ():
            if isinstance(part, fx.GraphModule) and any(
                n.target in _MARKS for n in part.graph.nodes
            ):
                raise UnlikeError
