"""What a forward saves takes the fewest bytes that its backward can do with."""

import math
import random
from itertools import chain, combinations

import pytest
import torch
import torch.nn.functional as F
from torch import fx, nn
from weft.compiler.capture.capture import capture
from weft.compiler.plan.program import Stage
from weft.compiler.plan.program_graph import ancestors
from weft.compiler.stages.cut import cut
from weft.compiler.stages.kept.least_saved import JointValues, least_saved

_ATEN = torch.ops.aten


def _between(last: nn.Module, dtype: torch.dtype = torch.float32) -> Stage:
    """The stage of a module between two linear layers, with the second of these."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 6), last, nn.Linear(6, 6), nn.Linear(6, 3)).to(dtype)
    sample = torch.ones(1, 6, dtype=dtype), torch.tensor([0])
    return cut(capture(model, sample, F.cross_entropy)).stages[1]


def _saved(last: nn.Module, dtype: torch.dtype = torch.float32) -> list[str]:
    return sorted(spec.dtype for spec in _between(last, dtype).program.saved)


@pytest.mark.parametrize("last", [nn.Hardtanh(), nn.ReLU6(), nn.LeakyReLU()])
def test_which_elements_pass_a_rectifier_takes_a_byte_each(last):
    assert _saved(last) == ["bool", "float32"]


def test_what_passes_a_rectifier_says_where_it_is_open():
    assert _saved(nn.ReLU()) == ["float32"]


def test_a_dropout_in_32_bits_keeps_which_elements_stay():
    assert _saved(nn.Dropout(0.5)) == ["bool", "float32"]


def test_a_dropout_in_16_bits_keeps_its_factors():
    """One byte less would take two passes more."""
    assert _saved(nn.Dropout(0.5), torch.bfloat16) == ["bfloat16", "bfloat16"]


def test_gradients_are_of_the_activations_of_the_forward_and_the_weights_of_the_backward():
    """By hand, with other weights in the backward, as a pipeline has them."""
    stage = _between(nn.Hardtanh())
    assert stage.parameters == ("2.weight", "2.bias")
    given, tangent, old, new = (torch.randn(*size) for size in ((1, 6), (1, 6), (6, 6), (6, 6)))
    _, *saved = stage.program.forward(old, torch.zeros(6), given)
    weight, bias, passed_on = stage.program.backward(new, torch.zeros(6), *saved, tangent)
    torch.testing.assert_close(weight, tangent.T @ given.clamp(-1, 1))
    torch.testing.assert_close(bias, tangent[0])
    torch.testing.assert_close(passed_on, (tangent @ new) * (given.abs() < 1))


@pytest.mark.parametrize("seed", range(60))
def test_no_other_choice_is_cheaper(seed):
    """Held against all choices, on graphs of a few random operators."""
    values = _random_values(random.Random(seed))
    given = {*values.weights, *values.late, *values.gradients}
    candidates = [n for n in values.nodes if n not in given and n.op != "output"]
    subsets = chain.from_iterable(combinations(candidates, k) for k in range(len(candidates) + 1))
    assert _cost(values, set(least_saved(values))) == min(_cost(values, set(s)) for s in subsets)


def _random_values(chosen: random.Random) -> JointValues:
    """Two inputs and a weight, operators of the forward, some of its results, their readers."""
    graph = fx.Graph()
    early = [_placed(graph.placeholder(f"x{i}"), chosen) for i in range(2)]
    weight, tangent = (_placed(graph.placeholder(name), chosen) for name in ("w", "t"))
    for _ in range(chosen.randint(1, 4)):
        early.append(_call(graph, chosen, [*early, weight]))
    forward = ancestors([early[-1]])
    for _ in range(chosen.randint(1, 3)):
        early.append(_call(graph, chosen, early))
    read = chosen.sample(early, chosen.randint(1, 3))
    late = [_placed(graph.call_function(_ATEN.mul.Tensor, (n, tangent)), chosen) for n in read]
    graph.output(tuple(late))
    weights = {weight}
    for node in early:
        if node.all_input_nodes and weights.issuperset(node.all_input_nodes):
            weights.add(node)
    return JointValues(list(graph.nodes), forward, weights, [tangent], late)


def _call(graph: fx.Graph, chosen: random.Random, given: list[fx.Node]) -> fx.Node:
    one, other = chosen.choices(given, k=2)
    target, operands = chosen.choice(
        [
            (_ATEN.relu.default, (one,)),
            (_ATEN.permute.default, (one,)),
            (_ATEN._to_copy.default, (one,)),
            (_ATEN.mul.Tensor, (one, 2.0)),
            (_ATEN.mul.Tensor, (one, other)),
        ]
    )
    return _placed(graph.call_function(target, operands), chosen)


def _placed(node: fx.Node, chosen: random.Random) -> fx.Node:
    dtype = chosen.choice([torch.bool, torch.bfloat16, torch.float32])
    node.meta["val"] = torch.empty(chosen.choice([1, 4, 8]), dtype=dtype, device="meta")
    return node


def _cost(values: JointValues, saved: set[fx.Node]) -> float:
    """Bytes saved and passes made again; infinite if the backward cannot be computed."""
    cost = sum(n.meta["val"].numel() * n.meta["val"].dtype.itemsize for n in saved)
    for node in ancestors(values.gradients, stop=[*saved, *values.weights, *values.late]):
        if node.op == "placeholder":
            return math.inf
        if node in values.forward:
            cost += _again(values, node)
    operands = {n for node in saved for n in ancestors([node])}
    made_late = {n for n in operands if n in values.late}
    reads_weights = {n for n in saved if n not in values.forward and _mixes(values, n)}
    return math.inf if made_late or reads_weights else cost


def _mixes(values: JointValues, node: fx.Node) -> bool:
    """Whether what the forward does not compute reads a weight on its way from what it does."""
    if node in values.forward or node.op == "placeholder":
        return False
    return any(n in values.weights or _mixes(values, n) for n in node.all_input_nodes)


def _again(values: JointValues, node: fx.Node) -> float:
    if any(operand in values.weights for operand in node.all_input_nodes):
        return math.inf
    name = str(node.target.overloadpacket)
    if name == "aten.permute":
        return 0
    is_cheap = name in ("aten.mul", "aten._to_copy") and len(node.all_input_nodes) == 1
    return node.meta["val"].numel() if is_cheap else math.inf
