"""What every artefact of the pipeline must satisfy, and how it prints; one function per kind.

`violations(artefact)` gives one sentence per broken invariant. They are cheap (a sweep over the
artefact) and are verified after every pass. `text(artefact)` is what `--print-after` shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from functools import singledispatch

from torch import fx

from . import artefact_text
from .capture.graph import Graph
from .mapping.choices import Kernels, PlacedStage, Placement
from .place.share import Sharing
from .plan.check import check
from .plan.plan import Plan
from .plan.program import HOST, Source, Stage, Stages, TensorSpec
from .plan.text.show import show
from .stages.group import Assignment
from .witness.witness import Verdict


@singledispatch
def violations(artefact: object) -> Iterator[str]:
    """One sentence per broken invariant of an artefact."""
    raise TypeError(f"{type(artefact).__name__} is no artefact of the pipeline")


@singledispatch
def text(artefact: object) -> str:
    """An artefact as text for people."""
    raise TypeError(f"{type(artefact).__name__} is no artefact of the pipeline")


@violations.register
def _graph(graph: Graph) -> Iterator[str]:
    """Well formed, described node by node, and its names refer to its nodes."""
    try:
        graph.module.graph.lint()
    except RuntimeError as error:
        yield f"the graph is not well formed: {error}"
    nodes = {node.name: node for node in graph.module.graph.nodes}
    for kind in ("parameters", "buffers", "inputs"):
        for name in getattr(graph, kind):
            if name not in nodes or nodes[name].op != "placeholder":
                yield f"{kind}: %{name} is no placeholder of the graph"
    for name in (graph.loss, *graph.predictions, *graph.state_updates.values()):
        if name not in nodes:
            yield f"result %{name} is no node of the graph"
    for node in nodes.values():
        if node.op == "call_function" and not {"val", "origin"} <= node.meta.keys():
            yield f"%{node.name} does not say what it gives or where it comes from"


@violations.register
def _assignment(assignment: Assignment) -> Iterator[str]:
    """No stage is empty, numbers run from 0, and stages read only what comes before them."""
    count = len(assignment.modules)
    if set(assignment.stage_of.values()) != set(range(count)) or len(assignment.merged) != count:
        yield f"the nodes are not spread over stages 0 to {count - 1}"
    for source, sink in sorted(assignment.edges):
        if source >= sink:
            yield f"stage {sink} reads stage {source}, which does not come before it"


@violations.register
def _stages(stages: Stages) -> Iterator[str]:
    """In pipeline order, wired to what exists in equal shapes, every parameter in one stage."""
    if stages.loss.stage != len(stages) - 1:
        yield f"the loss comes from stage {stages.loss.stage}, not from the last"
    for position, stage in enumerate(stages.stages):
        if stage.index != position:
            yield f"stage {stage.name} at position {position} has index {stage.index}"
        yield from _signature(stage)
        for number, (source, spec) in enumerate(
            zip(stage.inputs, stage.program.inputs, strict=False)
        ):
            given = _output(stages, source) if source.stage < position else None
            if given != spec:
                yield f"{stage.name} input {number} takes {spec}, its source gives {given}"
    yield from (
        f"parameter {name} belongs to {count} stages"
        for name, count in Counter(n for s in stages.stages for n in s.parameters).items()
        if count > 1
    )


def _signature(stage: Stage) -> Iterator[str]:
    """The stage binds as many tensors as its program takes, and its graphs have its arity."""
    program = stage.program
    for kind in ("parameters", "forward_state", "backward_state", "inputs"):
        bound, taken = len(getattr(stage, kind)), len(getattr(program, kind))
        if bound != taken:
            yield f"{stage.name} binds {bound} {kind}, its program takes {taken}"
    gradients = sum(program.output_needs_grad)
    parameters = len(program.parameters)
    sizes = {
        "forward": (
            parameters + len(program.forward_state) + len(program.inputs),
            len(program.outputs) + len(program.forward_state) + len(program.saved),
        ),
        "backward": (
            parameters
            + sum(map(len, (program.backward_state, program.saved, program.arriving)))
            + gradients,
            sum(program.trainable)
            + sum(program.input_needs_grad)
            + len(program.backward_state)
            + len(program.rebuilt),
        ),
    }
    for phase, expected in sizes.items():
        got = _arity(getattr(program, phase).graph)
        if got != expected:
            yield f"{stage.name}: its {phase} has {got} inputs and outputs, expected {expected}"


def _arity(graph: fx.Graph) -> tuple[int, int]:
    results: Iterable[object] = graph.output_node().args[0]  # type: ignore[assignment]
    return len(graph.find_nodes(op="placeholder")), len(tuple(results))


def _output(stages: Stages, source: Source) -> TensorSpec | None:
    if source.stage == HOST:
        specs = stages.model_inputs
    else:
        specs = stages.stages[source.stage].program.outputs
    return specs[source.output] if source.output < len(specs) else None


@violations.register
def _kernels(kernels: Kernels) -> Iterator[str]:
    """Every stage is there once and has a choice; every choice fits a PE's memory."""
    own = [stage.stage for stage in kernels.stages]
    every = sorted(one.stage for stage in kernels.stages for one in (stage, *stage.guests))
    if own != sorted(own) or every != list(range(len(every))):
        yield f"stages {every} in the order {own}"
    for stage in kernels.stages:
        if not all(len(one.choices) == len(stage.choices) > 0 for one in (stage, *stage.guests)):
            yield f"stage {stage.stage} has {len(stage.choices)} choices, or its guests have others"
        for number, held in enumerate(stage.sizes.memory_bytes):
            if held > kernels.target.capacity_bytes:
                yield f"stage {stage.stage}: {stage.choices[number].tiling} holds {held} B"


@violations.register
def _placement(placement: Placement) -> Iterator[str]:
    """One rectangle per stage, of its choice's size, inside the grid, apart from the others or the
    same."""
    target = placement.target
    for position, placed in enumerate(placement.placed):
        region, choice = placed.region, placed.choice
        if placed.stage != position:
            yield f"stage {placed.stage} is placed at position {position}"
        sizes = (region.height, region.width), (choice.height, choice.width)
        if placed.is_turned and sizes[0] != sizes[1][::-1]:
            yield f"stage {placed.stage} of {choice.height} x {choice.width} PEs is in {region}"
        inside = region.row >= 0 and region.column >= 0 and 0 <= region.wafer < target.wafers
        inside = inside and region.row + region.height <= target.rows
        if not (inside and region.column + region.width <= target.columns):
            yield f"stage {placed.stage} in {region} is outside {target.rows} x {target.columns}"
    for a, b in _overlapping(placement.placed):
        if a.region != b.region or a.choice.tiling != b.choice.tiling:
            yield f"stages {a.stage} and {b.stage} overlap: {a.region}, {b.region}"


def _overlapping(placed: Iterable[PlacedStage]) -> Iterator[tuple[PlacedStage, PlacedStage]]:
    """Pairs that overlap, found among those that share a column."""
    active: list[PlacedStage] = []
    for one in sorted(placed, key=lambda one: one.region.column):
        left = one.region.column
        active = [other for other in active if left < other.region.column + other.region.width]
        yield from ((other, one) for other in active if other.region.overlaps(one.region))
        active.append(one)


@violations.register
def _plan(plan: Plan) -> Iterator[str]:
    """What the independent checker demands."""
    yield from map(str, check(plan.document, None, plan.programs))


@violations.register
def _sharing(sharing: Sharing) -> Iterator[str]:
    """No stage is in two groups, and each group lies at the place of one of its stages."""
    for number, count in Counter(n for g in sharing.groups for n in g.stages).items():
        if count > 1:
            yield f"stage {number} is in {count} groups"
    for group in sharing.groups:
        if group.at not in group.stages:
            yield f"the group {group.stages} is at stage {group.at}"


@violations.register
def _verdict(_: Verdict) -> Iterator[str]:
    """A disagreement is an error of the pass itself."""
    yield from ()


text.register(Graph, artefact_text.graph_text)
text.register(Assignment, artefact_text.assignment_text)
text.register(Stages, artefact_text.stages_text)
text.register(Kernels, artefact_text.kernels_text)
text.register(Placement, artefact_text.placement_text)
text.register(Sharing, Sharing.text)
text.register(Verdict, artefact_text.verdict_text)
text.register(Plan, lambda plan: show(plan.document))
