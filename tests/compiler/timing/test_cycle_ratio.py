"""The maximum cycle ratio against all cycles written out one by one."""

from __future__ import annotations

from fractions import Fraction

import networkx as nx
from hypothesis import given, settings
from hypothesis import strategies as st
from weft.compiler.timing.cycle_ratio import Arc, longest_path, maximum_cycle_ratio

EVENTS = 6
event = st.integers(0, EVENTS - 1)
tokens = st.integers(-1, 3)


@st.composite
def arcs(draw):
    """At most one arc between two events, as networkx lists cycles of simple graphs."""
    pairs = draw(st.sets(st.tuples(event, event), max_size=14))
    return tuple(
        Arc(tail, head, draw(st.integers(0, 50)), draw(tokens), number)
        for number, (tail, head) in enumerate(sorted(pairs))
    )


def all_cycles(given_arcs):
    """(weight, tokens) of every cycle."""
    graph = nx.DiGraph()
    for arc in given_arcs:
        graph.add_edge(arc.tail, arc.head, arc=arc)
    for cycle in nx.simple_cycles(graph):
        steps = zip(cycle, [*cycle[1:], cycle[0]], strict=True)
        found = [graph.edges[step]["arc"] for step in steps]
        yield sum(arc.weight for arc in found), sum(arc.tokens for arc in found)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(arcs())
def test_against_all_cycles(given_arcs):
    cycles = list(all_cycles(given_arcs))
    critical = maximum_cycle_ratio(EVENTS, given_arcs)
    if any(count <= 0 for _, count in cycles):
        assert critical.ratio is None
        assert sum(arc.tokens for arc in critical.arcs) <= 0
    else:
        ratios = [Fraction(weight, count) for weight, count in cycles]
        assert critical.ratio == max(ratios, default=0)
    heads = [arc.head for arc in critical.arcs]
    assert [arc.tail for arc in critical.arcs] == [*heads[1:], *heads[:1]]


def test_longest_path():
    path = (Arc(0, 1, 5, 0, 0), Arc(1, 2, 7, 0, 0), Arc(0, 2, 11, 0, 0))
    assert list(longest_path(3, path)) == [0, 5, 12]
