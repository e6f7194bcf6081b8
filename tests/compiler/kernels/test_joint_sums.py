"""Sums that nothing in their phase reads, of a compiled convolution with its norm."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import fx, nn
from weft.backend.nn.online_norm import OnlineNorm
from weft.compiler.kernels.joint_sums import behind, joined, waited_for, waited_for_in_both
from weft.compiler.machine.collectives import AllReduce
from weft.compiler.machine.cost import Cost
from weft.compiler.pipeline import Options, compile_model
from weft.compiler.plan.stage_record import SumStep, Tiling
from weft.compiler.targets import load_target

WSE2 = load_target("wse2")
TILING = Tiling(in_split=4, space_split=6, out_split=8)


@cache
def middle_stage():
    """A convolution behind its norm, with a gradient for its inputs."""
    layers = [nn.Conv2d(2, 8, 1), OnlineNorm(8), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)]
    model = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    sample = torch.zeros(1, 2, 12, 12), torch.zeros(1, dtype=torch.long)
    options = Options(tilings={"3": TILING})
    plan = compile_model(model, sample, F.cross_entropy, WSE2, options)
    return next(s for s in plan.document.stages if s.forward_state)


def operators(phase, name):
    return [o for o in middle_stage().operators if o.phase == phase and name in o.operator]


def sums_of(operator):
    return [step for step in operator.steps if isinstance(step, SumStep)]


def test_statistics_of_a_forward_are_summed_behind_the_product():
    """Its own words in the cores and on the links is all that the norm takes for them."""
    (norm,) = operators("forward", "online_norm")
    (one,) = sums_of(norm)
    assert one.is_behind
    own = 2 * 3 * (one.words + WSE2.noc.issue_cycles) + one.words + one.spacing * one.words
    assert norm.network_cycles == own


def test_sums_after_the_last_product_of_a_backward_go_on_behind_the_forward():
    (norm,) = operators("backward", "online_norm")
    assert middle_stage().backward_first
    assert all(one.is_behind for one in sums_of(norm))


def test_gradients_of_scale_and_shift_go_with_the_sums_of_the_norm():
    """Two values a channel more."""
    (norm,) = operators("backward", "online_norm")
    (one,) = sums_of(norm)
    assert one.words == (4 + 1 + 1) * 8 // TILING.in_split
    gradients = operators("backward", "aten.sum.dim_IntList")
    assert len(gradients) == 2
    assert all(not o.steps and o.network_cycles == 0 for o in gradients)


def of(words, spacing=1):
    sizes = (np.array([n]) for n in (words, 8, 3, spacing, 0))
    return AllReduce(1, *sizes)


def nodes(count):
    graph = fx.Graph()
    return [graph.call_function(torch.add, (number, number)) for number in range(count)]


def summing(one, compute=0.0):
    return Cost(np.array([compute]), one.cycles(WSE2.noc), sums=(one,))


def test_one_message_has_the_words_of_all():
    a, b, c = nodes(3)
    costs = {a: summing(of(1)), b: summing(of(2)), c: summing(of(3))}
    (_, first), (_, second), (_, third) = joined(list(costs.items()), [a, b, c], WSE2.noc)
    assert first.network[0] == second.network[0] == 0
    assert not first.sums
    assert third.sums[0].words[0] == 6
    assert third.network[0] == of(6).cycles(WSE2.noc)[0]


@pytest.mark.parametrize("other", ["read", "elsewhere"])
def test_sums_that_are_read_or_lie_elsewhere_go_alone(other):
    a, b = nodes(2)
    costs = [(a, summing(of(1))), (b, summing(of(2, spacing=1 if other == "read" else 4)))]
    found = joined(costs, [a] if other == "read" else [a, b], WSE2.noc)
    assert [cost.network[0] for _, cost in found] == [cost.network[0] for _, cost in costs]


@pytest.mark.parametrize("following", [10.0, 5000.0])
def test_what_is_left_of_a_sum_is_waited_for(following):
    """A phase takes its operators one after the other, or at least the sum from where it began."""
    norm, product = nodes(2)
    alone = of(4)
    multiply = replace(Cost(np.array([following]), np.zeros(1)), products=("one",))
    found = waited_for(behind([(norm, summing(alone, 7.0)), (product, multiply)], [norm], WSE2))
    total = sum(float((cost.compute + cost.network)[0]) for _, cost in found)
    began = 7 + alone.beside_cycles(WSE2.noc)[0]
    assert total == max(began + following, began + alone.cycles(WSE2.noc)[0])


def left_behind(compute, behind, lead=0.0):
    return Cost(np.array([compute]), np.zeros(1), behind=np.array([behind]), lead=np.array([lead]))


def total_of(found):
    return sum(float((cost.compute + cost.network)[0]) for _, cost in found)


def test_a_sum_begins_where_its_operator_has_made_the_words():
    one, other = nodes(2)
    found = [(one, left_behind(100.0, 300.0, lead=60.0)), (other, left_behind(50.0, 0.0))]
    assert total_of(waited_for(found)) == 100 - 60 + 300


@pytest.mark.parametrize("following", [10.0, 250.0, 900.0])
def test_sums_of_a_backward_may_take_as_long_as_the_forward(following):
    """The sum ends 300 cycles after the backward, the forward when it does."""
    one, other = nodes(2)
    backward, forward = waited_for_in_both(
        [(one, left_behind(100.0, 300.0))], [(other, left_behind(following, 0.0))]
    )
    assert total_of(backward) + total_of(forward) == 100 + max(300, following)
    assert total_of(forward) == following


@pytest.mark.parametrize("between", [100.0, 900.0])
def test_sums_of_a_forward_may_take_as_long_as_the_next_backward_and_forward(between):
    """Nobody reads them before the forward after that."""
    one, other = nodes(2)
    backward, forward = waited_for_in_both(
        [(one, left_behind(between, 0.0))], [(other, left_behind(50.0, 400.0))]
    )
    assert total_of(backward) + total_of(forward) == max(between + 50, 400)


def test_borders_wait_for_sums_before_them():
    """Both use the same colours."""
    one, other = nodes(2)
    product = Cost(np.array([80.0]), np.array([20.0]), border=np.array([20.0]))
    found = waited_for([(one, left_behind(100.0, 300.0)), (other, product)])
    assert total_of(found) == 100 + 300 + 20
