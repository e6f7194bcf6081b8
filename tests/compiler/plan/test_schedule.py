"""A schedule against the definition of a tick: every read is of the sample that is worked on."""

from __future__ import annotations

import pytest
from helpers.stages_of import mlp_stages, resnet8_stages
from weft.compiler.plan.program import HOST, Source, Stages
from weft.compiler.plan.schedule import Step, TickSchedule, ValueKey, keys_of, pipelined, sequential
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe

STAGES = {"mlp": mlp_stages, "resnet8": resnet8_stages}


def played(schedule: TickSchedule, ticks: int) -> None:
    """Note at every tick of which sample a key was written, and look it up where it is read."""
    written: dict[ValueKey, dict[int, int]] = {}

    def push(tick: int, key: ValueKey, sample: int) -> None:
        written.setdefault(key, {})[tick] = sample

    def work(tick: int, step: Step) -> None:
        sample = tick - step.sample_age
        if sample < 0:
            return
        for key, age in sum(step.reads, step.weights):
            assert written[key][tick - age] == sample, (step.stage, key, age)
        for key in step.writes:
            push(tick, key, sample)

    for tick in range(ticks):
        for number, _ in enumerate(schedule.stages.model_inputs):
            push(tick, Source(HOST, number), tick)
        for step in (*schedule.forwards, *reversed(schedule.backwards)):
            work(tick, step)


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("stash", [False, True])
def test_a_pipelined_step_reads_what_was_made_of_its_sample(name: str, stash: bool) -> None:
    stages = STAGES[name]()
    schedule = pipelined(stages, stash)
    played(schedule, 5 * len(stages))
    last = len(stages) - 1
    for forward, backward in zip(schedule.forwards, schedule.backwards, strict=True):
        stage = forward.stage
        assert (forward.sample_age, backward.sample_age) == (stage, 2 * last - stage)
        assert schedule.delay(stage) == 2 * (last - stage)
        assert schedule.update_age(stage) == backward.sample_age
        assert bool(backward.weights) == (stash and bool(stages.stages[stage].parameters))
    assert (schedule.lag, schedule.rates_read) == (2 * last, len(stages))
    assert schedule.has_bubbles


@pytest.mark.parametrize("name", STAGES)
def test_a_sequential_tick_does_one_sample_and_keeps_nothing(name: str) -> None:
    schedule = sequential(STAGES[name]())
    played(schedule, 3)
    assert not schedule.has_bubbles
    assert not schedule.buffers
    assert (schedule.lag, schedule.rates_read) == (0, 1)
    assert set(schedule.result_ages) == {0}


@pytest.mark.parametrize("name", STAGES)
def test_every_argument_of_every_program_is_read_and_every_result_written(name: str) -> None:
    stages = STAGES[name]()
    schedule = pipelined(stages, stash=True)
    for stage, forward, backward in zip(
        stages.stages, schedule.forwards, schedule.backwards, strict=True
    ):
        program = stage.program
        assert len(forward.reads) == len(program.inputs)
        assert len(forward.writes) == len(program.outputs) + len(program.saved) + len(
            program.parameters
        )
        assert len(backward.reads) == len(program.saved) + sum(program.output_needs_grad)
        assert len(backward.writes) == sum(program.input_needs_grad)
    assert set(schedule.read) <= {*keys_of(stages), stages.loss}


def test_the_gradients_of_all_readers_of_a_value_are_added_in_their_order() -> None:
    stages: Stages = resnet8_stages()
    several = [s for s, readers in stages.readers.items() if len(readers) > 1 and s.stage != HOST]
    assert several  # the skips
    for source in several:
        stage = stages.stages[source.stage]
        number = len(stage.program.saved) + stage.gradient_outputs.index(source)
        terms = pipelined(stages, stash=False).backwards[source.stage].reads[number]
        assert [key for key, _ in terms] == sorted(stages.readers[source])


def test_an_edges_depth_is_the_age_at_which_its_sink_reads_it() -> None:
    """The plan counts the stages on the way; inputs of the host come just in time."""
    recipe = {"model": "resnet20", "input": {"shape": [3, 8, 8], "classes": 10}}
    plan = compile_recipe(make_recipe(recipe))
    schedule = pipelined(plan.stages, stash=False)
    edges = [edge for edge in plan.document.edges if edge.source != HOST]
    assert len(edges) > len(plan.stages)
    for edge in edges:
        carried = [Source(edge.source, number) for number in edge.outputs]
        reads = [read for terms in schedule.forwards[edge.sink].reads for read in terms]
        assert {age for key, age in reads if key in carried} == {edge.depth}
    for record in plan.stages.stages:
        assert schedule.delay(record.index) == plan.document.stages[record.index].delay
