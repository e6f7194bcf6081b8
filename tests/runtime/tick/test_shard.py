"""A pipeline cut into shards of consecutive stages, one per device, and what crosses the cuts."""

from __future__ import annotations

import pytest
from helpers.stages_of import mlp_stages, resnet8_stages
from weft.compiler.plan.program import HOST
from weft.compiler.plan.schedule import pipelined, spec_of
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.runtime.jax.shards.balance import split
from weft.runtime.tick.shard import (
    activations_across,
    bytes_across,
    gradients_across,
    hops,
    schedule_of,
)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_what_crosses_arrives_before_it_is_read(count: int) -> None:
    """Each shard's reads are of values that are old enough to have come all the way."""
    stages = resnet8_stages()
    shards = split([1] * len(stages), [0] * len(stages), count)
    whole, seen = pipelined(stages, stash=True), 0
    for number, own in enumerate(shards):
        part = schedule_of(whole, shards, number)
        for all_steps, steps in (
            (whole.forwards, part.forwards),
            (whole.backwards, part.backwards),
        ):
            assert [step.stage for step in steps] == list(own)
            for step, before in zip(steps, all_steps[own.start : own.stop], strict=True):
                reads, old = sum(step.reads, step.weights), sum(before.reads, before.weights)
                for (key, age), (same, whole_age) in zip(reads, old, strict=True):
                    assert key == same
                    assert age == whole_age - hops(shards, number, key) >= 0
                    seen += age != whole_age
    assert seen >= count - 1


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
