"""The split of a pipeline into groups against trying every split there is."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from helpers.stages_of import mlp_stages, resnet8_stages
from hypothesis import given
from hypothesis import strategies as st
from weft.backend.errors import UserError
from weft.compiler.plan.program import HOST
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.runtime.jax.shards.balance import split
from weft.runtime.tick.shard import (
    Part,
    activations_across,
    bytes_across,
    gradients_across,
    spec_of,
)

pipelines = st.lists(
    st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=8
).flatmap(lambda rows: st.tuples(st.just(rows), st.integers(1, len(rows))))


@given(pipelines)
def test_split_is_the_best_there_is(pipeline: tuple[list[tuple[int, int]], int]) -> None:
    rows, count = pipeline
    costs, crossing = [cost for cost, _ in rows], [size for _, size in rows]

    def worth(cuts: tuple[int, ...]) -> tuple[int, int]:
        edges = (0, *cuts, len(costs))
        largest = max(sum(costs[a:b]) for a, b in pairwise(edges))
        return largest, sum(crossing[cut] for cut in cuts)

    groups = split(costs, crossing, count)
    assert [stage for group in groups for stage in group] == list(range(len(costs)))
    assert all(groups)
    assert len(groups) == count
    best = min(map(worth, combinations(range(1, len(costs)), count - 1)))
    assert worth(tuple(group.start for group in groups[1:])) == best


def test_more_groups_than_stages_are_refused() -> None:
    with pytest.raises(UserError, match=r"1 to 2 devices.*\n.*got: +3"):
        split([1, 1], [0, 0], 3)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_what_crosses_arrives_before_it_is_read(count: int) -> None:
    """Each group's reads are of values that are old enough to have come all the way."""
    stages = resnet8_stages()
    groups = split([1] * len(stages), [0] * len(stages), count)
    for number in range(count):
        part = Part(stages, groups, number)
        for stage in part.stages:
            for position, source in enumerate(stage.inputs):
                reach = part.activation_reach(source)
                assert reach is not None
                assert reach >= 0
                if source.stage != HOST and stage.program.input_needs_grad[position]:
                    sender = Part(stages, groups, part._group_of[source.stage])
                    assert (sender.gradient_reach((stage.index, position)) or 0) >= 0


def test_what_crosses_a_cut_is_what_the_edges_carry() -> None:
    """Counted from the graph: a value once however many read it, a gradient once per reader."""
    for stages in (mlp_stages(), resnet8_stages()):
        for first in range(1, len(stages)):
            edges = [
                (source, (stage.index, position), stage.program.input_needs_grad[position])
                for stage in stages.stages[first:]
                for position, source in enumerate(stage.inputs)
                if HOST != source.stage < first
            ]
            assert set(activations_across(stages, first)) == {source for source, _, _ in edges}
            assert set(gradients_across(stages, first)) == {r for _, r, needed in edges if needed}
            forward = sum(spec_of(stages, source).size_bytes for source in {e[0] for e in edges})
            back = sum(spec_of(stages, source).size_bytes for source, _, needed in edges if needed)
            assert bytes_across(stages, first) == forward + back


def test_what_crosses_a_cut_is_what_the_edges_of_the_plan_carry() -> None:
    """At every cut of a ResNet-20; a value that several stages read crosses once."""
    recipe = {"model": "resnet20", "input": {"shape": [3, 8, 8], "classes": 10}}
    plan = compile_recipe(make_recipe(recipe))
    for first in range(1, len(plan.stages)):
        edges = [e for e in plan.document.edges if HOST != e.source < first <= e.sink]
        values = {(e.source, e.outputs): e.forward_bytes for e in edges}
        carried = sum(values.values()) + sum(e.gradient_bytes for e in edges)
        assert bytes_across(plan.stages, first) == carried
