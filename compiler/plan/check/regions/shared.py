"""Regions of several stages, derived again: who uses them, and which weights lie in them once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from torch import fx

from ...document import HOST, EdgeRecord, PlanDocument
from ...program import StageProgram
from ...stage_record import ProductStep


def users_of(plan: PlanDocument) -> list[set[int]]:
    """Of every stage the positions of those on its region, itself among them."""
    found = [{position} for position in range(len(plan.stages))]
    for group in groups_of(plan):
        for position in group:
            found[position].update(group)
    return found


def readers_of(plan: PlanDocument) -> dict[tuple[int, int], list[tuple[int, int]]]:
    """Of every output, given by stage and number, the stages that read it, and as which input."""
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for reader, stage in enumerate(plan.stages):
        for number, source in enumerate(stage.inputs):
            found.setdefault((source.stage, source.output), []).append((reader, number))
    return found


def groups_of(plan: PlanDocument) -> list[list[int]]:
    """Positions of the stages of every region, in order."""
    found: dict[str, list[int]] = {}
    for position, stage in enumerate(plan.stages):
        for use in stage.uses:
            found.setdefault(use.region.id, []).append(position)
    return list(found.values())


def is_inside(plan: PlanDocument, edge: EdgeRecord) -> bool:
    """Whether both ends of an edge are on one region."""
    if edge.source == HOST or not 0 <= edge.source < len(plan.stages) > edge.sink >= 0:
        return False
    ends = (plan.stages[edge.source], plan.stages[edge.sink])
    return ends[0].uses[0].region.id == ends[1].uses[0].region.id


def roomy(edge: EdgeRecord) -> EdgeRecord:
    """An edge inside a region: samples go in one piece, and as many rest as the turns need."""
    return replace(edge, depth=2 * edge.depth + 1, parts=1, window=1, gradient_window=1)


def lent_inputs(
    plan: PlanDocument, programs: Mapping[str, StageProgram], position: int
) -> dict[int, tuple[int, int]]:
    """Inputs of a stage that are a parameter of another one of its region: which stage's, which."""
    found = {}
    for number, source in enumerate(plan.stages[position].inputs):
        if source.stage == HOST or not 0 <= source.stage < position:
            continue
        owner = plan.stages[source.stage]
        program = programs.get(owner.program)
        if owner.uses[0].region.id != plan.stages[position].uses[0].region.id or program is None:
            continue
        index = given_parameters(program).get(source.output)
        if index is not None:
            found[number] = source.stage, index
    return found


def is_turned(plan: PlanDocument, users: Iterable[int]) -> bool:
    """Whether tied weights of a region with these stages lie with in features over its columns of
    PEs: what a forward multiplies with them is then an input gradient's product."""
    return any(
        isinstance(step, ProductStep) and step.kind == "input gradient"
        for position in users
        for operator in plan.stages[position].operators
        if operator.phase == "forward"
        for step in operator.steps
    )


def given_parameters(program: StageProgram) -> dict[int, int]:
    """Outputs of a forward that are one of its parameters as it is, with its number."""
    nodes = arguments(program.forward.graph)[: len(program.parameters)]
    given = results(program.forward.graph)[: len(program.outputs)]
    return {output: nodes.index(node) for output, node in enumerate(given) if node in nodes}


def saved_inputs(program: StageProgram) -> dict[int, int]:
    """Which input each saved value is, of those that are one as it is."""
    first = len(program.parameters) + len(program.forward_state)
    inputs = arguments(program.forward.graph)[first:]
    kept = results(program.forward.graph)[len(program.outputs) + len(program.forward_state) :]
    return {number: inputs.index(node) for number, node in enumerate(kept) if node in inputs}


def gradient_of_input(program: StageProgram, number: int) -> fx.Node | None:
    """The result of the backward that is the gradient of an input."""
    if not program.input_needs_grad[number]:
        return None
    before = sum(program.trainable) + sum(program.input_needs_grad[:number])
    return results(program.backward.graph)[before]


def arguments(graph: fx.Graph) -> list[fx.Node]:
    """What a graph is given, in order."""
    return [node for node in graph.nodes if node.op == "placeholder"]


def results(graph: fx.Graph) -> list[Any]:
    """What a graph gives, in order."""
    (output,) = graph.find_nodes(op="output")
    given: Any = output.args[0]
    return list(given)
