"""Rules about reversible stages: what one is given back, a later stage gives back; and anchors."""

from __future__ import annotations

from collections.abc import Iterator

from ..program import StageProgram
from ..stage_record import SourceRecord, StageRecord
from .violation import Finding, Subject


def given_back(subject: Subject) -> Iterator[Finding]:
    """A backward is given back only what exactly one later stage gives back."""
    plan, givers = subject.plan, dict[SourceRecord, list[int]]()
    for stage, program in _programs(subject):
        for number in program.rebuilt:
            givers.setdefault(stage.inputs[number], []).append(stage.index)
    for stage, program in _programs(subject):
        if stage.rebuilds != bool(program.arriving):
            yield Finding(f"{stage.id}.rebuilds", bool(program.arriving), stage.rebuilds)
        for kind, number in program.arriving:
            own = SourceRecord(stage.index, number)
            source = own if kind == "output" else stage.inputs[number]
            found = givers.get(source, [])
            if len(found) != 1 or not stage.index < found[0] < len(plan.stages):
                expected = f"{kind} {number} given back by one later stage"
                yield Finding(f"{stage.id}.rebuilds", expected, found)


def anchors(subject: Subject) -> Iterator[Finding]:
    """An anchor's backward returns an argument, which its forward returned as it was given it."""
    for stage, program in _programs(subject):
        found = tuple(number for number in program.rebuilt if _is_kept(program, number))
        if stage.anchors != found:
            yield Finding(f"{stage.id}.anchors", found, stage.anchors)


def _programs(subject: Subject) -> Iterator[tuple[StageRecord, StageProgram]]:
    """Stages whose inputs are those of their program."""
    for stage in subject.plan.stages:
        program = subject.programs.get(stage.program)
        if program is not None and len(stage.inputs) == len(program.inputs):
            yield stage, program


def _is_kept(program: StageProgram, number: int) -> bool:
    forward, backward = program.forward.graph, program.backward.graph
    taken = forward.find_nodes(op="placeholder")[-len(program.inputs) :][number]
    results: tuple = backward.output_node().args[0]  # type: ignore[assignment]
    result = results[len(results) - len(program.rebuilt) + program.rebuilt.index(number)]
    given: tuple = forward.output_node().args[0]  # type: ignore[assignment]
    own = len(program.parameters) + len(program.backward_state)
    arguments = backward.find_nodes(op="placeholder")[own : own + len(program.saved)]
    pairs = zip(given[len(given) - len(program.saved) :], arguments, strict=True)
    return any(saved is taken and argument is result for saved, argument in pairs)
