"""Random operators become functions of a key that is state: one key per place, one per sample.

    %y = aten.dropout(%x, 0.1, True)
    ->
    %drawn, %next = weft.uniform(%random_0_key, shape of x)
    %y = %x * ((%drawn < 0.9) / 0.9)        and %next is the next value of buffer 'random.0.key'

So a sample has a mask of its own that any executor can compute again, and nothing random is left.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import torch
from torch import Tensor, fx
from torch.fx.node import map_arg

from ...backend.errors import UnsupportedError
from ...backend.ops import key_name
from ..plan.program_graph import packet_name
from .draws import arguments, bernoulli, is_random, leaky, rule_of, without_rule
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
        rewrite = _REWRITES.get(packet_name(node), _by_rule if rule_of(node.target) else None)
        if rewrite is not None:
            sites.rewrite(node, rewrite)
        elif is_random(node.target) and packet_name(node) not in _LAYERS:
            raise without_rule(node.target, node.meta["origin"])
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
    place: fx.Node | None = None

    def rewrite(self, node: fx.Node, rewrite: Any) -> None:
        """Put what `rewrite` returns in the place of the node, if it returns something."""
        self.place = node
        with self.graph.inserting_before(node):
            new = _placed(partial(rewrite, self, node), node)
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

    def call(self, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        """A call in the place of the node: same origin, value computed on fake tensors."""
        assert self.place is not None
        new = self.graph.call_function(target, args, kwargs)
        new.meta = {"val": self._given(target, args, kwargs), "origin": self.place.meta["origin"]}
        return new

    def _given(self, target: Any, args: Any, kwargs: Any) -> Any:
        """What the call gives, computed once for equal arguments."""
        key = f"{target}{map_arg((args, kwargs), _layout)}"
        if key not in self.values:
            values, named = map_arg((args, kwargs), _value)
            with self.example.fake_mode:
                self.values[key] = target(*values, **named)
        return self.values[key]

    def value(self, item: fx.Node) -> Tensor:
        """The fake tensor that a node gives."""
        return _value(item)

    def uniform(self, kind: str, shape: Sequence[int]) -> fx.Node:
        """Random numbers in [0, 1) from a new place, for what `kind` says."""
        number = len(self.updates)
        name = key_name(number)
        key = self._placeholder(name)
        self.constants[name] = torch.tensor([number, 0])
        drawn = self.call(torch.ops.weft.uniform.default, key, list(shape))
        drawn.meta["draw"] = kind
        self.updates[name] = self.call(operator.getitem, drawn, 1).name
        return self.call(operator.getitem, drawn, 0)

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

    def dropped(self, value: fx.Node, p: float, shape: Shape) -> fx.Node:
        """`value` times a mask of `shape` that is 0 with probability p and else 1 / (1 - p)."""
        if p >= 1.0:
            return self.call(_ATEN.mul.Tensor, value, 0.0)
        kept = bernoulli(self, _value(value).new_empty(shape), 1.0 - p)
        scaled = self.call(_ATEN.mul.Tensor, kept, 1.0 / (1.0 - p))
        return self.call(_ATEN.mul.Tensor, value, scaled)


def _placed(rewrite: Callable[[], fx.Node | None], node: fx.Node) -> fx.Node | None:
    """The result; a draw that cannot be rewritten says where it is."""
    try:
        return rewrite()
    except UnsupportedError as error:
        raise UnsupportedError(
            f"{node.target} in {node.meta['origin']}",
            expected=error.expected,
            got=error.got,
            change=error.change,
        ) from None


def _value(node: Any) -> Any:
    return node.meta["val"]


def _layout(node: fx.Node) -> Any:
    value = _value(node)
    if not isinstance(value, Tensor):  # the result of `uniform`, which is asked for its items
        return node.name
    return tuple(value.shape), value.stride(), value.dtype, value.device


def _dropout(sites: _Sites, node: fx.Node) -> fx.Node:
    return _dropped(sites, node, tuple(_value(node.args[0]).shape))


def _feature_dropout(sites: _Sites, node: fx.Node) -> fx.Node:
    """Dropout of whole channels."""
    return _dropped(sites, node, _channels(node))


def _dropped(sites: _Sites, node: fx.Node, shape: Shape) -> fx.Node:
    value, p, train = node.args
    if not train or not p:
        return value  # type: ignore[return-value]
    return sites.dropped(value, p, shape)  # type: ignore[arg-type]


def _channels(node: fx.Node) -> Shape:
    shape = _value(node.args[0]).shape
    return (*shape[:2], *([1] * (len(shape) - 2)))


def _native_dropout(sites: _Sites, node: fx.Node) -> None:
    """Its readers take items of a tuple: the result, and what is kept of it."""
    value, p, train = node.args
    kept: Any = None
    if train and p:
        kept = bernoulli(sites, _value(value), 1.0 - p)  # type: ignore[operator, arg-type]
    for item in list(node.users):
        if item.args[1] == 0:
            scale = 0.0 if kept is not None and p == 1 else 1.0 / (1.0 - p) if p != 1 else 1.0  # type: ignore[operator]
            scaled = value if kept is None else sites.call(_ATEN.mul.Tensor, kept, scale)
            made = value if kept is None else sites.call(_ATEN.mul.Tensor, value, scaled)
        elif kept is None:
            made = sites.call(_ATEN.ones_like.default, value, dtype=torch.bool)
        else:
            made = sites.call(_ATEN._to_copy.default, kept, dtype=torch.bool)
        sites.replace(item, made)  # type: ignore[arg-type]
        sites.graph.erase_node(item)
    sites.graph.erase_node(node)


_ALPHA = 1.7580993408473766
"""Minus the limit of SELU towards minus infinity (Klambauer et al., 2017)."""


def _alpha_dropout(sites: _Sites, node: fx.Node) -> fx.Node:
    return _alpha_dropped(sites, node, tuple(_value(node.args[0]).shape))


def _feature_alpha_dropout(sites: _Sites, node: fx.Node) -> fx.Node:
    return _alpha_dropped(sites, node, _channels(node))


def _alpha_dropped(sites: _Sites, node: fx.Node, shape: Shape) -> fx.Node:
    """What is dropped becomes minus alpha; then mean and variance are put right.

    What is kept, k, scales by k * (a + b * k): the scale at 1, 0 at 0, and 1 at k's mean, so that
    the mean in the mask's place gives the value itself.
    """
    value, p, train = node.args
    p = float(p)  # type: ignore[arg-type]
    if not train or not p:
        return value  # type: ignore[return-value]
    if p >= 1.0:
        return sites.call(_ATEN.mul.Tensor, value, 0.0)
    scale = ((_ALPHA**2 * p + 1) * (1 - p)) ** -0.5
    kept = bernoulli(sites, _value(value).new_empty(shape), 1.0 - p)
    lost = sites.call(_ATEN.add.Tensor, kept, -1.0)
    shift = sites.call(_ATEN.mul.Tensor, lost, _ALPHA * scale)
    shift = sites.call(_ATEN.add.Tensor, shift, _ALPHA * scale * p)
    slope = (scale - 1 / (1 - p)) / p
    factor = sites.call(_ATEN.mul.Tensor, kept, slope)
    factor = sites.call(_ATEN.add.Tensor, factor, scale - slope)
    scaled = sites.call(_ATEN.mul.Tensor, value, sites.call(_ATEN.mul.Tensor, kept, factor))
    return sites.call(_ATEN.add.Tensor, scaled, shift)


def _rrelu(sites: _Sites, node: fx.Node) -> fx.Node | None:
    given = arguments(node.target, node.args, node.kwargs)  # type: ignore[arg-type]
    if not given["training"]:
        return None
    return leaky(sites, given["self"], given["lower"], given["upper"])[0]


def _by_rule(sites: _Sites, node: fx.Node) -> fx.Node:
    """What the operator's rule says."""
    rule = rule_of(node.target)
    assert rule is not None, node
    given = arguments(node.target, node.args, node.kwargs)  # type: ignore[arg-type]
    return rule(sites, _value(node), given)


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
    key, value = (_repeated(sites, named[name], query) for name in ("key", "value"))
    scale = named.get("scale") or _value(query).shape[-1] ** -0.5
    transposed = sites.call(_ATEN.transpose.int, key, -2, -1)
    scores = sites.call(_ATEN.matmul.default, query, transposed)
    scores = sites.call(_ATEN.mul.Tensor, scores, scale)
    mask = _causal(sites, scores) if named.get("is_causal") else named.get("attn_mask")
    if mask is not None:
        scores = _masked(sites, scores, mask)
    shares = sites.call(_ATEN.softmax.int, scores, -1)
    shares = sites.dropped(shares, p, tuple(_value(shares).shape))
    return sites.call(_ATEN.matmul.default, shares, value)


def _repeated(sites: _Sites, heads: fx.Node, query: fx.Node) -> fx.Node:
    """Keys or values of grouped-query attention, once per head of the query."""
    times = _value(query).shape[-3] // _value(heads).shape[-3] if _value(query).ndim > 3 else 1
    if times == 1:
        return heads
    return sites.call(_ATEN.repeat_interleave.self_int, heads, times, -3)


def _causal(sites: _Sites, scores: fx.Node) -> fx.Node:
    shape, device = list(_value(scores).shape[-2:]), _value(scores).device
    ones = sites.call(_ATEN.ones.default, shape, dtype=torch.bool, device=device)
    return sites.call(_ATEN.tril.default, ones)


def _masked(sites: _Sites, scores: fx.Node, mask: fx.Node) -> fx.Node:
    if _value(mask).dtype is not torch.bool:
        return sites.call(_ATEN.add.Tensor, scores, mask)
    hidden = sites.call(_ATEN.logical_not.default, mask)
    return sites.call(_ATEN.masked_fill.Scalar, scores, hidden, float("-inf"))


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
    "aten.dropout_": _dropout,
    "aten.native_dropout": _native_dropout,
    "aten.feature_dropout": _feature_dropout,
    "aten.alpha_dropout": _alpha_dropout,
    "aten.feature_alpha_dropout": _feature_alpha_dropout,
    "aten.rrelu": _rrelu,
    "aten.scaled_dot_product_attention": _attention,
}
_LAYERS = ("aten.lstm", "aten.gru", "aten.rnn_tanh", "aten.rnn_relu", "aten.rrelu")
"""Operators that draw only if told to, which these no longer are."""
