"""The first operator where a captured graph and the model itself compute different things."""

from __future__ import annotations

import copy
import operator
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch.nn.functional as F
from helpers.faulty_graphs import (
    ATEN,
    SAMPLES,
    Fault,
    Heads,
    Image,
    Perceptron,
    Shuffled,
    Spoken,
    all_dropped,
    calls,
    captured,
    detached,
    drawn_again,
    drawn_twice,
    dropped,
    given,
    negated,
    nodes_of,
    one_draw_left_out,
    reads,
    reads_result,
    reads_state,
    set_to,
    swapped,
    swapped_in_list,
    takes_another,
    without_write,
    writes,
)
from torch import fx, nn
from weft.backend.errors import WitnessError
from weft.compiler.capture.graph import Graph
from weft.compiler.capture.sample import OneSample
from weft.compiler.stages.cut import cut
from weft.compiler.witness.witness import Witness

FAULTS: dict[str, dict[str, Fault]] = {
    "a dropped view": {
        "keys not turned": (Heads, "aten.transpose", 0, dropped),
        "columns not turned": (Heads, "aten.permute", 0, dropped),
        "not flipped": (Heads, "aten.flip", 0, dropped),
        "not rolled": (Heads, "aten.roll", 0, dropped),
        "channels not shuffled": (Shuffled, "aten.transpose", 0, dropped),
        "channels shuffled otherwise": (Shuffled, "aten.reshape", -2, set_to(1, [-1, 4, 2, 4, 4])),
        "another layer's last state": (Spoken, "aten.select", -1, set_to(2, 0)),
        "the first channels": (Shuffled, "aten.chunk", 0, takes_another(1)),
    },
    "a detach": {
        "tanh": (Perceptron, "aten.tanh", 0, detached),
        "linear": (Perceptron, "aten.linear", 1, detached),
        "norm": (Perceptron, "aten.layer_norm", 0, detached),
        "none": (Perceptron, "aten.detach", 0, all_dropped),
        "softmax": (Heads, "aten.softmax", 0, detached),
        "relu": (Image, "aten.relu", 1, detached),
        "state": (Spoken, "aten.tanh", 0, detached),
        "a step of the cell": (Spoken, "aten.gru_cell", 1, detached),
        "gate": (Shuffled, "aten.sigmoid", 0, detached),
        "depthwise": (Shuffled, "aten.conv2d", 1, detached),
    },
    "a wrong constant": {
        "scale of 1.5": (Perceptron, "aten.mul", 0, set_to(1, 1.5000001)),
        "slope": (Perceptron, "aten.leaky_relu", 0, set_to(1, 0.02)),
        "epsilon": (Perceptron, "aten.layer_norm", 0, given(eps=1e-6)),
        "rate of the mean": (Perceptron, "aten.lerp", 0, set_to(2, 0.11)),
        "labels smoothed": (Perceptron, "aten.cross_entropy_loss", 0, given(label_smoothing=0.1)),
        "mask of other rows": (Heads, "aten.triu", 0, set_to(1, 2)),
        "softmax of columns": (Heads, "aten.softmax", 0, set_to(1, 1)),
        "scale of scores": (Heads, "aten.mul", 0, set_to(1, 0.51)),
        "groups of channels": (Image, "aten.group_norm", 0, set_to(1, 4)),
        "epsilon, frozen": (Shuffled, "aten.batch_norm", 0, set_to(7, 1e-6)),
        "exponent": (Shuffled, "aten.pow", 0, set_to(1, 4)),
        "rate of online statistics": (Shuffled, "weft.online_norm", 0, set_to(5, 0.99)),
        "rate of online gradients": (Shuffled, "weft.online_norm", 0, set_to(6, 0.9)),
        "the first state": (Spoken, "aten.zeros", 1, calls(ATEN.ones.default)),
    },
    "a lost buffer write": {
        "mean": (Perceptron, "aten.lerp", 0, without_write("mean")),
        "steps": (Perceptron, "aten.add", 0, without_write("steps")),
        "mean written wrong": (Perceptron, "aten.lerp", 0, writes("mean", "aten.mean", 0)),
        "mean of online norm": (Shuffled, "weft.online_norm", 0, without_write("norm.mean")),
        "variance of online norm": (Shuffled, "weft.online_norm", 0, without_write("norm.var")),
    },
    "a doubled draw": {
        "one key for two": (Perceptron, "weft.uniform", 1, drawn_again),
        "one for two masks": (Perceptron, "weft.uniform", 1, one_draw_left_out),
        "two for a mask of a perceptron": (Perceptron, "weft.uniform", 0, drawn_twice),
        "two between layers over time": (Spoken, "weft.uniform", 0, drawn_twice),
        "two for a mask of channels": (Shuffled, "weft.uniform", 0, drawn_twice),
        "keeps less": (Perceptron, "aten.lt", 0, set_to(1, 0.2)),
        "keeps the dropped": (Perceptron, "aten.lt", 1, calls(ATEN.ge.Scalar)),
        "keeps more, over time": (Spoken, "aten.lt", 0, set_to(1, 0.7)),
        "keeps other channels": (Shuffled, "aten.lt", 0, calls(ATEN.ge.Scalar)),
    },
    "a swapped operand": {
        "difference": (Perceptron, "aten.sub", 0, swapped),
        "quotient": (Perceptron, "aten.div", 0, swapped),
        "scores": (Heads, "aten.matmul", 0, swapped),
        "residual": (Image, "aten.sub", 0, swapped),
        "step and state": (Spoken, "aten.gru_cell", 1, swapped),
        "last difference": (Spoken, "aten.sub", 0, swapped),
        "quotient of channels": (Shuffled, "aten.div", 0, swapped),
        "halves of channels": (Shuffled, "aten.cat", 0, swapped_in_list),
        "keys for values": (Heads, "aten.matmul", 1, reads_result(1, "aten.linear", 1)),
    },
    "another weight": {
        "another layer's": (Perceptron, "aten.linear", 1, reads(1, "first.weight")),
        "another layer's bias": (Perceptron, "aten.linear", 0, reads(2, "second.bias")),
        "no bias": (Perceptron, "aten.linear", 2, set_to(2, None)),
        "norm without weight": (Perceptron, "aten.layer_norm", 0, reads(2, "norm.bias")),
        "query's for the key": (Heads, "aten.linear", 1, reads(1, "query.weight")),
        "of the state for the step": (Spoken, "aten.gru_cell", 2, reads(2, "cell.weight_hh")),
        "mean for the weight": (Shuffled, "aten.batch_norm", 0, reads(1, "frozen.running_mean")),
    },
    "another operator": {
        "tanh dropped": (Perceptron, "aten.tanh", 0, dropped),
        "sum as a product": (Perceptron, "aten.add", -1, calls(ATEN.mul.Tensor)),
        "square as absolute value": (Perceptron, "aten.square", 0, calls(ATEN.abs.default)),
        "mask dropped": (Heads, "aten.masked_fill", 0, dropped),
        "relu dropped": (Image, "aten.relu", 0, dropped),
        "residual added": (Image, "aten.sub", 0, calls(ATEN.add.Tensor)),
        "average for maximum": (Image, "aten.max_pool2d", 0, calls(ATEN.avg_pool2d.default)),
        "negated": (Image, "aten.conv2d", 1, negated),
        "silu as relu": (Shuffled, "aten.silu", 0, calls(ATEN.relu.default)),
        "a step left out": (Spoken, "aten.gru_cell", 1, reads_state),
    },
}
"""Kind of fault -> the faults."""

ALL = {f"{kind}: {name}": fault for kind, own in FAULTS.items() for name, fault in own.items()}


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
    """File and line of a node, of what reads it (also as an item) and of what it reads."""
    items = [user for user in node.users if user.target is operator.getitem]
    for one in (
        node,
        *node.users,
        *node.all_input_nodes,
        *(u for item in items for u in item.users),
    ):
        origin = one.meta.get("origin")
        if one.op == "call_function" and origin is not None:
            yield f"{origin.file}:{origin.line}" if origin.file else "the loss"


@pytest.mark.parametrize("fault", ALL.values(), ids=ALL)
def test_a_fault_is_found_and_placed(fault):
    model, graph, lines = seeded(fault)
    sample = SAMPLES[fault[0]]
    with pytest.raises(WitnessError) as found:
        Witness(OneSample(model, F.cross_entropy), sample, graph)(cut(graph))
    place = re.search(r"[\w/]+\.py:\d+|the loss", found.value.where)
    assert place is not None, found.value
    assert place.group() in lines, (found.value, lines)


def test_there_are_enough_of_every_kind():
    assert len(ALL) >= 70
    assert min(map(len, FAULTS.values())) >= 5
    assert {fault[0] for fault in ALL.values()} == set(SAMPLES)


@pytest.mark.parametrize("kind", SAMPLES)
def test_without_a_fault_there_is_no_difference(kind):
    model, graph = captured(kind)
    verdict = Witness(OneSample(model, F.cross_entropy), SAMPLES[kind], graph)(cut(graph))
    assert verdict.level == "float64"
    assert verdict.distance < 1e-12
