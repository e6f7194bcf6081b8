"""Random operators become functions of a key that is state: one key per place, one per sample.

    %y = aten.dropout(%x, 0.1, True)
    ->
    %drawn, %next = weft.uniform(%random_0_key, shape of x)
    %y = %x * ((%drawn < 0.9) / 0.9)        and %next is the next value of buffer 'random.0.key'

So a sample has a mask of its own that any executor can compute again, and nothing random is left.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.node import map_arg

from ..plan.program_graph import packet_name
from .graph import Graph

_ATEN = torch.ops.aten
Shape = tuple[int, ...]


def key_random_operators(graph: Graph) -> Graph:
    """The graph with every random draw as `weft.uniform` of a new buffer.

    Works on the graph's own module, which capture has just made. Attention with dropout is written
    out, since its mask lies between its soft-max and its second product.
    """
    sites = _Sites(graph.module.graph, graph.node(graph.loss).meta["val"])
    for node in list(graph.module.graph.nodes):
        rewrite = _REWRITES.get(packet_name(node))
        if rewrite is not None:
            sites.rewrite(node, rewrite)
    if not sites.renamed:
        return graph
    sites.keep_updates()
    graph.module.graph.eliminate_dead_code()
    return replace(
        graph,
        buffers={**graph.buffers, **sites.buffers},
        constants={**graph.constants, **sites.constants},
        state_updates={**graph.state_updates, **sites.updates},
        predictions=tuple(sites.renamed.get(name, name) for name in graph.predictions),
    )


@dataclass
class _Sites:
    """Inserts nodes before the one being rewritten, and keeps account of the new buffers."""

    graph: fx.Graph
    example: Any
    buffers: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Tensor] = field(default_factory=dict)
    updates: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)

    def rewrite(self, node: fx.Node, rewrite: Any) -> None:
        with self.graph.inserting_before(node):
            new = rewrite(self, node)
        if new is not None:
            self.replace(node, new)
            self.graph.erase_node(node)

    def replace(self, node: fx.Node, new: fx.Node) -> None:
        node.replace_all_uses_with(new)
        self.renamed[node.name] = new.name

    def keep_updates(self) -> None:
        """Make the next keys results of the graph, so that they count as used."""
        output = self.graph.output_node()
        names = set(self.updates.values())
        keys = [node for node in self.graph.nodes if node.name in names]
        output.args = ((*output.args[0], *keys),)  # type: ignore[misc]

    def call(self, like: fx.Node, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        """A call in the place of `like`: same origin, value computed on fake tensors."""
        new = self.graph.call_function(target, args, kwargs)
        new.meta = {"val": self._given(target, args, kwargs), "origin": like.meta["origin"]}
        return new

    def _given(self, target: Any, args: Any, kwargs: Any) -> Any:
        """What the call gives, computed once for equal arguments."""
        key = f"{target}{map_arg((args, kwargs), _layout)}"
        if key not in self.values:
            values, named = map_arg((args, kwargs), _value)
            with self.example.fake_mode:
                self.values[key] = target(*values, **named)
        return self.values[key]

    def mask(self, like: fx.Node, keep: Any, shape: Shape, dtype: torch.dtype) -> fx.Node:
        """A new random mask: 1 with probability `keep`, a number or a node."""
        drawn = self.uniform(like, shape)
        target = _ATEN.lt.Tensor if isinstance(keep, fx.Node) else _ATEN.lt.Scalar
        kept = self.call(drawn, target, drawn, keep)
        return self.call(drawn, _ATEN._to_copy.default, kept, dtype=dtype)

    def uniform(self, like: fx.Node, shape: Shape) -> fx.Node:
        """Random numbers in [0, 1) from a new place."""
        number = len(self.updates)
        name = f"random.{number}.key"
        key = self._placeholder(name)
        self.constants[name] = torch.tensor([number, 0])
        drawn = self.call(like, torch.ops.weft.uniform.default, key, list(shape))
        self.updates[name] = self.call(drawn, operator.getitem, drawn, 1).name
        return self.call(drawn, operator.getitem, drawn, 0)

    @cached_property
    def key_value(self) -> Tensor:
        """What stands for a key."""
        with self.example.fake_mode:
            return torch.zeros(2, dtype=torch.int64, device=self.example.device)

    def _placeholder(self, name: str) -> fx.Node:
        first = next(iter(self.graph.nodes))
        with self.graph.inserting_before(first):
            node = self.graph.placeholder(name.replace(".", "_"))
        node.meta = {"val": self.key_value}
        self.buffers[node.name] = name
        return node

    def dropped(self, node: fx.Node, value: fx.Node, p: float, shape: Shape) -> fx.Node:
        """`value` times a mask of `shape` that is 0 with probability p and else 1 / (1 - p)."""
        if p >= 1.0:
            return self.call(node, _ATEN.mul.Tensor, value, 0.0)
        mask = self.mask(node, 1.0 - p, shape, _value(value).dtype)
        scaled = self.call(mask, _ATEN.mul.Tensor, mask, 1.0 / (1.0 - p))
        return self.call(node, _ATEN.mul.Tensor, value, scaled)


def _value(node: Any) -> Any:
    return node.meta["val"]


def _layout(node: fx.Node) -> Any:
    value = _value(node)
    if not isinstance(value, Tensor):  # the result of `uniform`, which is asked for its items
        return node.name
    return tuple(value.shape), value.stride(), value.dtype, value.device


def _dropout(sites: _Sites, node: fx.Node) -> fx.Node | None:
    value, p, train = node.args  # type: ignore[misc]
    if not train or not p:
        return value  # type: ignore[return-value]
    return sites.dropped(node, value, p, tuple(_value(value).shape))  # type: ignore[arg-type]


def _native_dropout(sites: _Sites, node: fx.Node) -> None:
    """Its readers take items of a tuple; who reads the mask keeps the operator."""
    items = list(node.users)
    if any(item.args[1] != 0 and item.users for item in items):
        return
    result = _dropout(sites, node)
    for item in items:
        if result is not None:
            sites.replace(item, result)


def _feature_dropout(sites: _Sites, node: fx.Node) -> fx.Node | None:
    """Dropout of whole channels."""
    value, p, train = node.args  # type: ignore[misc]
    if not train or not p:
        return value  # type: ignore[return-value]
    shape = _value(value).shape
    channels = (*shape[:2], *([1] * (len(shape) - 2)))
    return sites.dropped(node, value, p, channels)  # type: ignore[arg-type]


def _bernoulli(sites: _Sites, node: fx.Node) -> fx.Node:
    *_, probability = node.args
    return sites.mask(node, probability, tuple(_value(node).shape), _value(node).dtype)


def _rand(sites: _Sites, node: fx.Node) -> fx.Node:
    drawn = sites.uniform(node, tuple(_value(node).shape))
    dtype = _value(node).dtype
    if dtype is torch.float32:
        return drawn
    return sites.call(node, _ATEN._to_copy.default, drawn, dtype=dtype)


def _attention(sites: _Sites, node: fx.Node) -> fx.Node | None:
    """softmax(q k^T * scale + mask) with dropout, times v."""
    named: dict[str, Any] = {
        **dict(zip(_ATTENTION_ARGUMENTS, node.args, strict=False)),
        **node.kwargs,
    }
    p = named.get("dropout_p", 0.0)
    if not p:
        return None
    query = named["query"]
    key, value = (_repeated(sites, node, named[name], query) for name in ("key", "value"))
    scale = named.get("scale") or _value(query).shape[-1] ** -0.5
    transposed = sites.call(node, _ATEN.transpose.int, key, -2, -1)
    scores = sites.call(node, _ATEN.matmul.default, query, transposed)
    scores = sites.call(node, _ATEN.mul.Tensor, scores, scale)
    mask = _causal(sites, node, scores) if named.get("is_causal") else named.get("attn_mask")
    if mask is not None:
        scores = _masked(sites, node, scores, mask)
    shares = sites.call(node, _ATEN.softmax.int, scores, -1)
    shares = sites.dropped(node, shares, p, tuple(_value(shares).shape))
    return sites.call(node, _ATEN.matmul.default, shares, value)


def _repeated(sites: _Sites, node: fx.Node, heads: fx.Node, query: fx.Node) -> fx.Node:
    """Keys or values of grouped-query attention, once per head of the query."""
    times = _value(query).shape[-3] // _value(heads).shape[-3] if _value(query).ndim > 3 else 1
    if times == 1:
        return heads
    return sites.call(node, _ATEN.repeat_interleave.self_int, heads, times, -3)


def _causal(sites: _Sites, node: fx.Node, scores: fx.Node) -> fx.Node:
    shape, device = list(_value(scores).shape[-2:]), _value(scores).device
    ones = sites.call(node, _ATEN.ones.default, shape, dtype=torch.bool, device=device)
    return sites.call(node, _ATEN.tril.default, ones)


def _masked(sites: _Sites, node: fx.Node, scores: fx.Node, mask: fx.Node) -> fx.Node:
    if _value(mask).dtype is not torch.bool:
        return sites.call(node, _ATEN.add.Tensor, scores, mask)
    hidden = sites.call(node, _ATEN.logical_not.default, mask)
    return sites.call(node, _ATEN.masked_fill.Scalar, scores, hidden, float("-inf"))


_ATTENTION_ARGUMENTS = (
    "query",
    "key",
    "value",
    "attn_mask",
    "dropout_p",
    "is_causal",
)

_REWRITES: Mapping[str, Any] = {
    "aten.dropout": _dropout,
    "aten.native_dropout": _native_dropout,
    "aten.feature_dropout": _feature_dropout,
    "aten.bernoulli": _bernoulli,
    "aten.rand": _rand,
    "aten.rand_like": _rand,
    "aten.scaled_dot_product_attention": _attention,
}
