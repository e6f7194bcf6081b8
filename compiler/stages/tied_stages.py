"""Stages that a tied weight joins, and a stage's program when its weight lies in its own region.

    stage 0: owns %w, streams it        ->   stages 0 and 9 on one region, in which %w lies
    stage 9: logits = linear(x, sent)        stage 9: logits = linear(x, %w)

What is computed stays the same: a reader sees the version that the owner's forward of the same
sample used. Versions and gradients on their way rest in the region, where the weight lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from torch import fx

from ..plan.program import Source, Stage, StageProgram, Stages
from ..plan.program_graph import graph_module


@dataclass(frozen=True)
class Tie:
    """Parameter `index` of stage `owner`, which leaves it as `output`; stages and positions of the
    inputs that read it."""

    owner: int
    index: int
    output: int
    readers: tuple[tuple[int, int], ...]


def ties_of(stages: Stages) -> tuple[Tie, ...]:
    """All parameters that a stage streams to others."""
    return tuple(tie for stage in stages.stages for tie in _ties(stages, stage))


def _ties(stages: Stages, stage: Stage) -> Iterator[Tie]:
    own = _placeholders(stage.program.forward.graph)[: len(stage.parameters)]
    results = stage.program.forward_result(_results(stage.program.forward.graph)).outputs
    for output, result in enumerate(results):
        readers = stages.readers.get(Source(stage.index, output), ())
        if result in own and readers:
            yield Tie(stage.index, own.index(result), output, readers)


def joined_stages(stages: Stages) -> tuple[tuple[int, ...], ...]:
    """Stages that ties join, directly or through others, in order."""
    group_of = {stage.index: {stage.index} for stage in stages.stages}
    for tie in ties_of(stages):
        for reader, _ in tie.readers:
            joined = group_of[tie.owner] | group_of[reader]
            for member in joined:
                group_of[member] = joined
    groups = {tuple(sorted(group)) for group in group_of.values() if len(group) > 1}
    return tuple(sorted(groups))


def can_lend(stages: Stages, group: Sequence[int]) -> bool:
    """Whether each reader of a group keeps the tied weight for its backward as it read it, not
    packed into fewer bytes or left out."""
    for tie in ties_of(stages):
        for number, position in tie.readers:
            program = stages.stages[number].program
            first = len(program.parameters) + len(program.forward_state)
            node = _placeholders(program.forward.graph)[first + position]
            saved = program.forward_result(_results(program.forward.graph)).saved
            if tie.owner in group and number in group and node not in saved:
                return False
    return True


@dataclass(frozen=True)
class ResidentStage:
    """A stage as its region sees it. Parameters of others that lie there are among its own, by
    index in `lent`; inputs and outputs are those that cross the region's edge. `tied` are the
    indices of all parameters of it that other stages of the region use."""

    stage: Stage
    lent: frozenset[int]
    tied: frozenset[int]
    positions: Mapping[int, int]
    """Of each input of the stage that is lent, the index as a parameter."""


def resident(stages: Stages, group: Sequence[int], number: int) -> ResidentStage:
    """A stage of a group on one region."""
    stage = stages.stages[number]
    ties = [tie for tie in ties_of(stages) if tie.owner in group]
    positions = [p for tie in ties for reader, p in tie.readers if reader == number]
    owned = frozenset(t.index for t in ties if t.owner == number and _stays(t, group))
    program = _with_lent(stage.program, positions)
    inside = [p for p, source in enumerate(stage.inputs) if source.stage in group]
    outputs = [k for k in range(len(program.outputs)) if _leaves(stages, Source(number, k), group)]
    program = replace(
        program,
        key=f"{program.key} on the region of {group}",
        inputs=tuple(s for p, s in enumerate(stage.program.inputs) if p not in inside),
        outputs=tuple(program.outputs[k] for k in outputs),
    )
    count = len(stage.parameters)
    lent = frozenset(range(count, count + len(positions)))
    names = tuple(_name_of(stages, stage.inputs[p]) for p in positions)
    return ResidentStage(
        replace(stage, program=program, parameters=(*stage.parameters, *names)),
        lent,
        lent | owned,
        {p: count + number for number, p in enumerate(positions)},
    )


def _stays(tie: Tie, group: Sequence[int]) -> bool:
    return any(reader in group for reader, _ in tie.readers)


def _leaves(stages: Stages, output: Source, group: Sequence[int]) -> bool:
    """Whether an output is read outside of a group, or by nobody."""
    readers = {reader for reader, _ in stages.readers.get(output, ())}
    return output in stages.results or not readers or not readers <= {*group}


def _name_of(stages: Stages, source: Source) -> str:
    (tie,) = (t for t in ties_of(stages) if (t.owner, t.output) == (source.stage, source.output))
    return stages.stages[source.stage].parameters[tie.index]


def _with_lent(program: StageProgram, positions: Sequence[int]) -> StageProgram:
    """The program with these inputs among its parameters, trained if they need a gradient."""
    if not positions:
        return program
    own, state = len(program.parameters), len(program.forward_state)
    forward = _placeholders(program.forward.graph)
    lent = [forward[own + state + p] for p in positions]
    rest = [node for node in forward[own:] if node not in lent]
    result = program.forward_result(_results(program.forward.graph))
    kept = [k for k, node in enumerate(result.saved) if node not in lent]
    saved = [result.saved[k] for k in kept]
    gradients = program.input_needs_grad
    return replace(
        program,
        forward=_reordered(
            program.forward.graph,
            [*forward[:own], *lent, *rest],
            [*result.outputs, *result.state, *saved],
        ),
        backward=_backward(program, positions, [result.saved.index(n) for n in lent]),
        parameters=(*program.parameters, *(program.inputs[p] for p in positions)),
        saved=tuple(program.saved[k] for k in kept),
        trainable=(*program.trainable, *(gradients[p] for p in positions)),
    )


def _backward(
    program: StageProgram, positions: Sequence[int], saved_as: Sequence[int]
) -> fx.GraphModule:
    graph, own = program.backward.graph, len(program.parameters)
    nodes = _placeholders(graph)
    first = own + len(program.backward_state)
    lent = [nodes[first + number] for number in saved_as]
    result = program.backward_result(_results(graph))
    needed = [p for p, needs in enumerate(program.input_needs_grad) if needs]
    of_lent = [result.inputs[needed.index(p)] for p in positions if p in needed]
    others = [g for p, g in zip(needed, result.inputs, strict=True) if p not in positions]
    rest = [node for node in nodes[own:] if node not in lent]
    results = [*result.parameters, *of_lent, *others, *result.state]
    return _reordered(graph, [*nodes[:own], *lent, *rest], results)


def _reordered(
    graph: fx.Graph, inputs: Sequence[fx.Node], results: Sequence[fx.Node]
) -> fx.GraphModule:
    """The graph with its inputs and results in another order."""
    copy = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    inner = (node for node in graph.nodes if node.op not in ("placeholder", "output"))
    for node in (*inputs, *inner):
        copies[node] = copy.node_copy(node, copies.__getitem__)
        copies[node].name = node.name
    copy.output(tuple(copies[node] for node in results))
    return graph_module(copy)


def _placeholders(graph: fx.Graph) -> list[fx.Node]:
    return [node for node in graph.nodes if node.op == "placeholder"]


def _results(graph: fx.Graph) -> list[fx.Node]:
    return list(graph.output_node().args[0])  # type: ignore[arg-type]
