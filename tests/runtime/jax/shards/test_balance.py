"""The split of a pipeline into shards against trying every split there is."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from weft.backend.errors import UserError
from weft.runtime.jax.shards.balance import split

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

    shards = split(costs, crossing, count)
    assert [stage for group in shards for stage in group] == list(range(len(costs)))
    assert all(shards)
    assert len(shards) == count
    best = min(map(worth, combinations(range(1, len(costs)), count - 1)))
    assert worth(tuple(group.start for group in shards[1:])) == best


def test_more_shards_than_stages_are_refused() -> None:
    with pytest.raises(UserError, match=r"1 to 2 devices.*\n.*got: +3"):
        split([1, 1], [0, 0], 3)
