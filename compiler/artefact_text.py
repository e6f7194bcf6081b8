"""The artefacts between model and plan as text: what `weft compile --print-after` shows."""

from __future__ import annotations

from collections import Counter

from torch import Tensor, fx

from .capture.graph import Graph
from .mapping.choices import Kernels, Placement
from .plan.program import HOST, Origin, Source, Stage, Stages, TensorSpec
from .plan.program_graph import packet_name, spec_of
from .plan.stage_record import Tiling
from .plan.text.numbers import table
from .stages.group import Assignment
from .witness.witness import Verdict


def graph_text(graph: Graph) -> str:
    """One line per node: what it gives, how, and the model's line it comes from."""
    known = {name: f"parameter {own}" for name, own in graph.parameters.items()}
    known |= {name: f"buffer {own}" for name, own in graph.buffers.items()}
    known |= {name: f"input {number}" for number, name in enumerate(graph.inputs)}
    lines = [_line(node, known) for node in graph.module.graph.nodes if node.op != "output"]
    updates = (f"next {name} = %{node}" for name, node in graph.state_updates.items())
    predictions = ", ".join(f"%{name}" for name in graph.predictions) or "none"
    return "\n".join([*lines, *updates, f"loss = %{graph.loss}", f"predictions = {predictions}"])


def program_text(module: fx.GraphModule) -> str:
    """One line per node of a stage's forward or backward."""
    return "\n".join(_line(node, {}) for node in module.graph.nodes if node.op != "output")


def _line(node: fx.Node, known: dict[str, str]) -> str:
    head = f"%{node.name}: {_kind(node.meta.get('val'))}"
    if node.op == "placeholder":
        return f"{head} = {known.get(node.name, 'input')}"
    origin = node.meta.get("origin")
    place = f"    # {origin}" if isinstance(origin, Origin) and str(origin) else ""
    arguments = [_argument(arg) for arg in node.args]
    arguments += [f"{key}={_argument(arg)}" for key, arg in node.kwargs.items()]
    return f"{head} = {_operator(node)}({', '.join(arguments)}){place}"


def _operator(node: fx.Node) -> str:
    """'aten.linear.default' of an operator, 'getitem' of a function."""
    return str(node.target) if packet_name(node) else getattr(node.target, "__name__", "?")


def _kind(value: object) -> str:
    if isinstance(value, Tensor):
        return _spec(spec_of(value))
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_kind, value))})"
    return "?"


def _spec(spec: TensorSpec) -> str:
    return f"{spec.dtype}[{', '.join(map(str, spec.shape))}]"


def _argument(value: object) -> str:
    if isinstance(value, fx.Node):
        return f"%{value.name}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_argument, value))}]"
    return str(value)


def assignment_text(assignment: Assignment) -> str:
    """One row per stage: its module, how many operations it has, which stages it reads."""
    operations = Counter(assignment.stage_of.values())
    reads: dict[int, list[int]] = {}
    for source, sink in sorted(assignment.edges):
        reads.setdefault(sink, []).append(source)
    rows = [
        (stage, module or "<model>", operations[stage], ", ".join(map(str, reads.get(stage, ()))))
        for stage, module in enumerate(assignment.modules)
    ]
    return table(("stage", "module", "operations", "reads"), rows)


def stages_text(stages: Stages) -> str:
    """One row per stage: its program, what it reads, holds and gives."""
    columns = ("stage", "name", "program", "reads", "gives", "parameters", "saved bytes", "from")
    rows = [_stage_row(stage) for stage in stages.stages]
    distinct = len({stage.program.key for stage in stages.stages})
    return f"{len(stages)} stages, {distinct} distinct programs\n{table(columns, rows)}"


def _stage_row(stage: Stage) -> tuple[object, ...]:
    return (
        *(stage.index, stage.name, stage.program.key),
        ", ".join(map(_source, stage.inputs)),
        ", ".join(map(_spec, stage.program.outputs)),
        ", ".join(stage.parameters) or "none",
        stage.program.saved_bytes,
        str(stage.origin),
    )


def _source(source: Source) -> str:
    return f"{'host' if source.stage == HOST else source.stage}.{source.output}"


def verdict_text(verdict: Verdict) -> str:
    """What was held against the model itself, and how near it is."""
    if not verdict.counts:
        return f"{verdict.level}: nothing was run"
    counts = ", ".join(f"{count} {kind}" for kind, count in verdict.counts.items())
    return f"{verdict.level}: {counts} agree to {verdict.distance:.1e}"


def _tiling(tiling: Tiling) -> str:
    splits = f"in {tiling.in_split}, space {tiling.space_split}, out {tiling.out_split}"
    order = ", interleaved" if tiling.interleaved else ""
    return splits + order + ("" if tiling.algorithm == "multicast" else f", {tiling.algorithm}")


def kernels_text(kernels: Kernels) -> str:
    """One row per choice of every stage."""
    columns = ("stage", "PEs", "rows", "columns", "interval cycles", "bytes/PE", "tiling")
    rows = [
        (
            *(stage.stage, choice.area, choice.height, choice.width, choice.interval_cycles),
            choice.memory.total_bytes,
            _tiling(choice.tiling),
        )
        for stage in kernels.stages
        for choice in stage.choices
    ]
    return f"{len(rows)} choices for {len(kernels.stages)} stages\n{table(columns, rows)}"


def placement_text(placement: Placement) -> str:
    """One row per stage: its rectangle and what it takes there."""
    columns = ("stage", "row", "column", "height", "width", "interval cycles", "bytes/PE")
    rows = [
        (
            *(one.stage, one.region.row, one.region.column, one.region.height, one.region.width),
            *(one.choice.interval_cycles, one.choice.memory.total_bytes),
        )
        for one in placement.placed
    ]
    target = placement.target
    return f"{len(rows)} regions on {target.rows} x {target.columns} PEs\n{table(columns, rows)}"
