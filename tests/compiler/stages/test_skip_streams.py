"""Streams that pass stages on their way to a later one."""

from __future__ import annotations

import pytest
from helpers.attention_stages import STAGES
from weft.compiler.plan.document import HOST
from weft.compiler.stages.skip_streams import edge_bytes, passing_bytes


@pytest.mark.parametrize("name", STAGES)
def test_skip_fifos_hold_what_the_edges_depths_say(name):
    """An edge of depth d over d - 1 stages leaves one sample and one gradient with each of them."""
    stages = STAGES[name]()
    held = passing_bytes(stages)
    edges = [edge for edge in stages.dag.edges if HOST not in edge]
    assert sum(held) == sum(
        (sink - source - 1) * sum(edge_bytes(stages, source, sink)) for source, sink in edges
    )
    assert held[0] == held[-1] == 0
    assert any(held) == any(sink - source > 1 for source, sink in edges)
