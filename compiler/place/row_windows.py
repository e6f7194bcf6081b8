"""How a sample crosses a stream: in how many parts, and how many of them its reader needs to begin.

A tensor is sent row by row: along its last axis but one, which is the height of an image (C, H, W)
and the tokens of a sequence (T, D). A stage can begin with the first rows if each row of what it
puts out depends on a few rows around it: its `window` is how many the first one needs. Whatever
mixes all rows (attention's keys, a mean over the image, the loss) needs the whole sample.

PEs that hold different positions work side by side, so a sample has no more parts than positions
that one PE goes through one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import cast

from torch import fx

from ...backend.per_object import once_per_object
from ..kernels import convolution, linear
from ..kernels.registry import KERNELS
from ..kernels.roles import calls, operand, operator_of, shape_of
from ..plan.program import StageProgram, TensorSpec
from ..plan.stage_record import Tiling

_POOLING = {"aten.avg_pool2d.default", "aten.max_pool2d_with_indices.default"}
_RESHAPES = {"aten.view.default", "aten.reshape.default", "aten.expand.default"}
_ROW_BY_ROW = {
    "getitem",
    "aten.clone.default",
    "aten._to_copy.default",
    "weft.online_norm.default",
}
_LAYER_NORM = "aten.native_layer_norm.default"
_SOFTMAX = {"aten._softmax.default", "aten._log_softmax.default"}


@dataclass(frozen=True)
class Parts:
    """A sample in `count` equal parts; the sink's forward begins with `window` of them, the
    source's backward with `gradient_window`."""

    count: int
    window: int
    gradient_window: int


@dataclass(frozen=True)
class _Rows:
    """A tensor of `count` rows whose first needs `window` rows of an input; `stride` is how many
    rows of the input make one of it."""

    count: int
    window: int = 1
    stride: int = 1


def parts(spec: TensorSpec, tilings: Sequence[Tiling], window: int, mixes_gradient: bool) -> Parts:
    """Parts of a stream of `spec` between regions of these `tilings`.

    `window` is in rows. `mixes_gradient`: the source's backward needs all rows of the gradient.
    """
    rows = _row_count(spec.shape)
    positions = prod(spec.shape[2:]) if len(spec.shape) == 4 else rows
    steps = (-(-positions // tiling.space_split) for tiling in tilings)
    count = max(1, min(rows, *steps))
    first = count if window >= rows else -(-window * count // rows)
    return Parts(count, first, count if mixes_gradient else first)


@once_per_object
def windows(program: StageProgram) -> tuple[int, ...]:
    """Per input of a stage, how many of its rows the first row of every output needs."""
    nodes = [node for node in program.forward.graph.nodes if node.op == "placeholder"]
    inputs = nodes[len(program.parameters) + len(program.forward_state) :]
    return tuple(_window(program, node) for node in inputs)


@once_per_object
def mixes_rows(program: StageProgram) -> bool:
    """Whether all rows of some input are needed for the first row of an output. Then the backward
    needs all rows of the gradient; so does one that begins with rebuilding its inputs."""
    if program.arriving:
        return True
    rows = (_row_count(spec.shape) for spec in program.inputs)
    return any(window >= count for window, count in zip(windows(program), rows, strict=True))


def _window(program: StageProgram, source: fx.Node) -> int:
    count = _row_count(shape_of(source))
    found: dict[fx.Node, _Rows | None] = {source: _Rows(count)}
    for node in calls(program.forward.graph):
        read = {other: found[other] for other in node.all_input_nodes if other in found}
        if read:
            found[node] = _through(node, read)
    end = next(node for node in program.forward.graph.nodes if node.op == "output")
    results = cast("Sequence[fx.Node]", end.args[0])[: len(program.outputs)]
    outputs = [found[node] for node in results if node in found]
    first = [rows.window if rows else count for rows in outputs]
    return min(count, max(first, default=count))


def _through(node: fx.Node, read: Mapping[fx.Node, _Rows | None]) -> _Rows | None:
    """Rows of a node's result in terms of those of what it reads; None if it mixes them."""
    known = [rows for rows in read.values() if rows is not None]
    if len(known) < len(read) or len({rows.count for rows in known}) > 1:
        return None
    worst = _Rows(known[0].count, max(r.window for r in known), max(r.stride for r in known))
    name, count = operator_of(node), _row_count(shape_of(node))
    if name == convolution.FORWARD or name in _POOLING:
        return _slid(node, read, worst)
    return worst if count == worst.count and _is_row_by_row(node, name, read) else None


def _slid(node: fx.Node, read: Mapping[fx.Node, _Rows | None], rows: _Rows) -> _Rows | None:
    """A window of `kernel` rows moves over the image; rows of padding need not come."""
    if set(read) != {operand(node, 0)} or len(shape_of(node)) != 4:
        return None
    if operator_of(node) == convolution.FORWARD:
        if node.args[6]:
            return None  # transposed
        kernel = (shape_of(operand(node, 1))[2] - 1) * _height(node, 5) + 1
        stride, padding = _height(node, 3), _height(node, 4)
    else:
        kernel = _height(node, 1)
        stride, padding = _height(node, 2) or kernel, _height(node, 3)
    ahead = max(0, kernel - 1 - padding)
    return _Rows(shape_of(node)[2], rows.window + ahead * rows.stride, rows.stride * stride)


def _height(node: fx.Node, position: int) -> int:
    """The first of a pair of sizes; 0 if the argument is left out."""
    sizes = cast("Sequence[int]", node.args[position] if position < len(node.args) else ())
    return sizes[0] if sizes else 0


def _is_row_by_row(node: fx.Node, name: str, read: Mapping[fx.Node, _Rows | None]) -> bool:
    if name in linear.OPERATORS:
        return linear.factors(node)[1] not in read
    if name in _RESHAPES:
        return shape_of(node)[-2:] == shape_of(operand(node, 0))[-2:]
    if name == _LAYER_NORM:
        return len(cast("Sequence[int]", node.args[1])) == 1
    if name in _SOFTMAX:
        return node.args[1] in (-1, len(shape_of(node)) - 1)
    return name in _ROW_BY_ROW or KERNELS[name].family == "elementwise"


def _row_count(shape: Sequence[int]) -> int:
    return shape[-2] if len(shape) > 1 else 1
