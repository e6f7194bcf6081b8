"""Coarser stages and recompute: the same numbers, other delays."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from helpers.cut_networks import MODELS, cut_of, model_of, sample_of
from helpers.staged import forward_backward
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.compiler.stages.coarsen import merge_modules, merge_runs
from weft.compiler.stages.cut import cut
from weft.compiler.stages.group import Assignment, assign
from weft.compiler.stages.recompute import recompute


def check_equals_eager(name: str, stages) -> None:
    """float64: the tolerances are a few thousand roundings at most."""
    model, _ = model_of(name)
    sample = sample_of(name)
    tensors = {key: value.detach().clone() for key, value in model.state_dict().items()}
    loss, predictions, gradients, state = forward_backward(stages, tensors, sample)
    model.zero_grad()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    expected = model(*sample[:-1])
    expected_loss = F.cross_entropy(expected, sample[-1])
    expected_loss.backward()
    after = {key: value.clone() for key, value in model.state_dict().items()}
    model.load_state_dict(before)
    torch.testing.assert_close(loss, expected_loss.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(predictions[0], expected.detach(), rtol=1e-12, atol=1e-12)
    assert set(gradients) == dict(model.named_parameters()).keys()
    for key, parameter in model.named_parameters():
        torch.testing.assert_close(gradients[key], parameter.grad, rtol=1e-9, atol=1e-12)
    for key, value in state.items():
        torch.testing.assert_close(value, after[key], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("blocks", [False, True], ids=["finest", "block"])
@pytest.mark.parametrize("recomputing", [False, True], ids=["saved", "recomputed"])
def test_stages_without_delay_equal_eager_autograd(name, blocks, recomputing):
    stages = cut_of(model_of(name)[1], blocks)
    check_equals_eager(name, recompute(stages) if recomputing else stages)


@settings(max_examples=6, deadline=None)
@given(st.data())
def test_any_runs_of_stages_equal_eager_autograd_and_have_their_delays(data):
    name = data.draw(st.sampled_from(sorted(MODELS)))
    _, graph = model_of(name)
    finest = assign(graph)
    inner = range(1, len(finest.modules))
    bounds = [0, *sorted(data.draw(st.sets(st.sampled_from(inner), max_size=6)))]
    stages = cut(graph, merge_runs(finest, bounds))
    if data.draw(st.booleans()):
        stages = recompute(stages, data.draw(st.sets(st.sampled_from(range(len(bounds))))))
    assert len(stages) == len(bounds)
    assert [stages.delay(s) for s in range(len(stages))] == [
        2 * (len(bounds) - 1 - s) for s in range(len(bounds))
    ]
    check_equals_eager(name, stages)


def test_one_stage_is_the_whole_network():
    _, graph = model_of("resnet")
    stages = cut(graph, merge_runs(assign(graph), [0]))
    assert len(stages) == 1
    assert stages.delay(0) == 0
    assert set(stages.stages[0].parameters) == set(dict(model_of("resnet")[0].named_parameters()))


@given(st.data())
def test_merged_stages_stay_a_graph_without_cycles(data):
    """Equal labels share a stage, edges run forwards, the last stage stays the last one."""
    count = data.draw(st.integers(2, 9))
    pairs = [(a, b) for b in range(count) for a in range(b)]
    edges = data.draw(st.sets(st.sampled_from(pairs)))
    labels = data.draw(st.lists(st.sampled_from("xyz."), min_size=count, max_size=count))
    modules = [label if label != "." else f"own{n}" for n, label in enumerate(labels)]
    nodes = {object(): stage for stage in range(count)}
    finest = Assignment(nodes, tuple(modules), (False,) * count, frozenset(edges))  # type: ignore[arg-type]
    globs = tuple(sorted({m for m in modules if m in ("x", "y", "z")}))
    merged = merge_modules(finest, globs=globs)
    new = list(merged.stage_of.values())
    assert sorted(set(new)) == list(range(len(merged.modules)))
    assert new[-1] == len(merged.modules) - 1
    assert merged.edges == {(new[a], new[b]) for a, b in edges if new[a] != new[b]}
    assert all(a < b for a, b in merged.edges)
    for a, b in pairs:
        assert modules[a] != modules[b] or new[a] == new[b]


def test_what_lies_between_two_merged_stages_joins_them():
    nodes = {object(): stage for stage in range(4)}
    chain = frozenset({(0, 1), (1, 2), (2, 3)})
    finest = Assignment(nodes, ("a", "b", "a", "c"), (False,) * 4, chain)  # type: ignore[arg-type]
    merged = merge_modules(finest, globs=("a",))
    assert list(merged.stage_of.values()) == [0, 0, 0, 1]
    assert merged.merged == (True, False)
