"""Rules about bytes per PE: sums, capacity, and what each class must at least hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from math import ceil, prod
from typing import Any

from ..document import HOST, TensorRecord
from ..program import StageProgram, TensorSpec
from ..program_graph import is_view
from ..stage_record import PEMemory, StageRecord
from .identity import tensor_bytes
from .regions.dealt import dealt
from .regions.factors import trained_bytes
from .regions.shared import (
    given_parameters,
    gradient_of_input,
    groups_of,
    is_inside,
    is_turned,
    lent_inputs,
    saved_inputs,
)
from .violation import Finding, Subject


def classes_sound(subject: Subject) -> Iterator[Finding]:
    """No class of memory is negative."""
    for stage in subject.plan.stages:
        for name, value in asdict(stage.memory_per_pe).items():
            if value < 0:
                yield Finding(f"{stage.id}.memory_per_pe.{name}", "at least 0", value)


def fits_capacity(subject: Subject) -> Iterator[Finding]:
    """The fullest PE of every region holds no more than a PE has."""
    capacity = subject.plan.totals.memory_capacity_per_pe_bytes
    for stages in groups_of(subject.plan):
        used = _together(subject, stages)
        if used > capacity:
            names = " + ".join(subject.plan.stages[number].id for number in stages)
            yield Finding(f"{names}.memory_per_pe", f"at most {capacity} bytes", used)


def fullest_pe(subject: Subject) -> Iterator[Finding]:
    """totals.max_memory_per_pe_bytes is the largest of the regions' sums."""
    given = subject.plan.totals.max_memory_per_pe_bytes
    regions = groups_of(subject.plan)
    expected = max((_together(subject, stages) for stages in regions), default=0)
    if given != expected:
        yield Finding("totals.max_memory_per_pe_bytes", expected, given)


def activation_fifo(subject: Subject) -> Iterator[Finding]:
    """The FIFO is fifo_depth slots, each the fullest PE's share of what one sample saves; with the
    host four of them lie on the PEs. A weight that lies in the region is not saved."""
    for position, stage in enumerate(subject.plan.stages):
        given = stage.memory_per_pe.activation_fifo_bytes
        where = f"{stage.id}.memory_per_pe.activation_fifo_bytes"
        depth = 4 if stage.off_wafer_bytes else stage.fifo_depth
        program = subject.programs.get(stage.program)
        if program is not None:
            lent, kept = (
                lent_inputs(subject.plan, subject.programs, position),
                saved_inputs(program),
            )
            slot = sum(
                _share(stage, spec)
                for n, spec in enumerate(program.saved)
                if kept.get(n) not in lent
            )
            if given != depth * slot:
                yield Finding(where, f"{depth} slots of {slot} bytes", given)
        elif depth > 0 and given % depth:
            yield Finding(where, f"a multiple of its depth {depth}", given)


def off_wafer(subject: Subject) -> Iterator[Finding]:
    """A FIFO with the host is that of all a stage saves, and more than four samples deep."""
    for stage in subject.plan.stages:
        where, given = f"{stage.id}.off_wafer_bytes", stage.off_wafer_bytes
        program = subject.programs.get(stage.program)
        saved = sum(prod(s.shape) * s.torch_dtype.itemsize for s in program.saved) if program else 0
        if given < 0 or (given and stage.delay + 1 <= 4):
            yield Finding(where, "0 in a stage of so short a delay", given)
        elif given and program and given != saved:
            yield Finding(where, f"0 or {saved}, all that it saves of a sample", given)


def recomputed(subject: Subject) -> Iterator[Finding]:
    """A stage that recomputes saves nothing but inputs and state, or inputs in 8 bits."""
    for stage in subject.plan.stages:
        program = subject.programs.get(stage.program)
        if program is None:
            continue
        if stage.recompute != bool(program.recomputed):
            got = f"a program that makes {len(program.recomputed)} saved values again"
            yield Finding(f"{stage.id}.recompute", stage.recompute, got)
        kept = Counter(program.saved) - Counter((*program.inputs, *program.forward_state))
        kept -= _packed(program)
        if stage.recompute and kept:
            got = ", ".join(f"{spec.dtype}{list(spec.shape)}" for spec in kept)
            yield Finding(f"{stage.id}.recompute", "only inputs and state saved", got)


def _packed(program: StageProgram) -> Counter[TensorSpec]:
    """Of what a program saves, its inputs in groups of 8 bits per element, and their scales."""
    sizes = {spec.elements for spec in program.inputs}
    groups = [
        spec
        for spec in program.saved
        if spec.dtype in ("int8", "float8_e4m3fn") and spec.elements in sizes
    ]
    scales = {(spec.shape[0], 1) for spec in groups}
    return Counter((*groups, *(spec for spec in program.saved if spec.shape in scales)))


def stream_buffers(subject: Subject) -> Iterator[Finding]:
    """Inputs and outputs that cross the region's edge are buffered twice: one item is used while
    the next one moves. What is given back moves in the backward only."""
    for position, stage in enumerate(subject.plan.stages):
        program = subject.programs.get(stage.program)
        if program is None:
            continue
        twice = sum(_share(stage, spec) for spec in _crossing(subject, position, program))
        back = (*program.arriving_specs, *program.rebuilt_specs)
        expected = 2 * twice + sum(_share(stage, spec) for spec in back)
        given = stage.memory_per_pe.stream_buffer_bytes
        if given != expected:
            yield Finding(f"{stage.id}.memory_per_pe.stream_buffer_bytes", expected, given)


def skip_fifos(subject: Subject) -> Iterator[Finding]:
    """A stage holds one sample and one gradient of each stream from before it to after it, and
    what is given back with that, but of those inside a region; and what rests in its own on the way
    to later stages of it."""
    edges = [
        edge
        for edge in subject.plan.edges
        if HOST < edge.source < edge.sink - 1 and not is_inside(subject.plan, edge)
    ]
    for position, stage in enumerate(subject.plan.stages):
        passing = sum(
            edge.forward_bytes + edge.backward_bytes
            for edge in edges
            if edge.source < position < edge.sink
        )
        expected = dealt(passing, stage.tiling, stage.part) + _resting(subject, position)
        given = stage.memory_per_pe.skip_fifo_bytes
        if given != expected:
            yield Finding(f"{stage.id}.memory_per_pe.skip_fifo_bytes", expected, given)


def parameter_bytes(subject: Subject) -> Iterator[Finding]:
    """Gradients are one value per non-zero, optimizer state `optimizer_states` times that.

    Weights take at least a value each and at most a value and an index. In a stage with frozen
    parameters gradients are those of trained ones; they are checked where these are dense matrices.
    """
    constants = {constant.name: constant.value for constant in subject.plan.provenance}
    index_bytes = constants.get("sparsity.index_bytes", 0)
    for stage in subject.plan.stages:
        memory, where = stage.memory_per_pe, f"{stage.id}.memory_per_pe"
        size = _value_bytes(subject, stage)
        if size is None or not isinstance(index_bytes, int | float):
            continue
        values = stage.nonzeros.per_pe_max * size
        gradients = _gradient_bytes(subject, stage, values)
        if gradients not in (None, memory.gradient_bytes):
            yield Finding(f"{where}.gradient_bytes", gradients, memory.gradient_bytes)
        expected = subject.plan.optimizer_states * memory.gradient_bytes
        if memory.optimizer_bytes != expected:
            yield Finding(f"{where}.optimizer_bytes", expected, memory.optimizer_bytes)
        most = stage.nonzeros.per_pe_max * (size + int(index_bytes))
        if not values <= memory.weights_bytes <= most:
            expected = f"between {values} and {most}"
            yield Finding(f"{where}.weights_bytes", expected, memory.weights_bytes)


def normalization_bytes(subject: Subject) -> Iterator[Finding]:
    """Statistics are kept by the rows of PEs that hold their features (in_split slices)."""
    records = {record.name: record for record in subject.plan.state}
    for stage in subject.plan.stages:
        held = [records.get(name) for name in (*stage.forward_state, *stage.backward_state)]
        sizes = [_slice_bytes(record, stage.tiling.in_split) for record in held if record]
        known = [size for size in sizes if size is not None]
        if len(known) < len(held):
            continue
        given = stage.memory_per_pe.normalization_bytes
        if given != sum(known):
            where = f"{stage.id}.memory_per_pe.normalization_bytes"
            yield Finding(where, sum(known), given)


def _gradient_bytes(subject: Subject, stage: StageRecord, of_all: int) -> int | None:
    """Of the trained parameters, `of_all` if none is frozen; None if it is not known."""
    program = subject.programs.get(stage.program)
    if program is None or all(program.trainable):
        return of_all
    sparse = {*subject.plan.masks, *subject.plan.shares_of_zeros}
    return None if sparse.intersection(stage.parameters) else trained_bytes(program, stage.tiling)


def _share(stage: StageRecord, spec: TensorSpec) -> int:
    """Bytes on the fullest PE of a tensor that is dealt out."""
    return dealt(spec.elements, stage.tiling, stage.part) * spec.torch_dtype.itemsize


def _slice_bytes(record: TensorRecord, slices: int) -> int | None:
    size = tensor_bytes(record)
    elements = prod(record.shape)
    if size is None or slices < 1:
        return None
    return ceil(elements / slices) * (size // elements) if elements else 0


def _value_bytes(subject: Subject, stage: StageRecord) -> int | None:
    """Bytes of one value if all parameters of the stage have the same size; else None."""
    mine = [record for record in subject.plan.parameters if record.name in stage.parameters]
    sizes = {(tensor_bytes(record) or 0) // max(prod(record.shape), 1) for record in mine}
    if not mine:
        return 0
    return sizes.pop() if len(sizes) == 1 else None


def _together(subject: Subject, stages: Sequence[int]) -> int:
    """Bytes of the stages of a region, which have their workspace in the same place."""
    held = [subject.plan.stages[number].memory_per_pe for number in stages]
    spaces = [memory.workspace_bytes for memory in held]
    return sum(map(_sum, held)) - sum(spaces) + max(spaces)


def _crossing(subject: Subject, position: int, program: StageProgram) -> Iterator[TensorSpec]:
    """Inputs and outputs of a stage but those from and to its own region alone."""
    plan, stage = subject.plan, subject.plan.stages[position]
    mates = subject.users[position]
    for source, spec in zip(stage.inputs, program.inputs, strict=False):
        if source.stage not in mates:
            yield spec
    leaving = {(record.stage, record.output) for record in (plan.loss, *plan.predictions)}
    for output, spec in enumerate(program.outputs):
        readers = {reader for reader, _ in subject.readers.get((position, output), ())}
        if not readers or not readers <= mates or (position, output) in leaving:
            yield spec


def _resting(subject: Subject, position: int) -> int:
    """Bytes of versions and gradients that rest in a region: of an output that a stage d later
    reads d + 1 samples, and d gradients; a tied weight's where it lies, its gradients perhaps as
    the factors of their products."""
    plan, stage = subject.plan, subject.plan.stages[position]
    program, total = subject.programs.get(stage.program), 0
    users = subject.users[position]
    for output, spec in enumerate(program.outputs if program else ()):
        reading = subject.readers.get((position, output), ())
        inside = [read for read in reading if read[0] in users]
        if not inside or program is None:
            continue
        is_tied = output in given_parameters(program)
        turned = is_turned(plan, users)
        held = _tile_bytes(stage, spec, turned) if is_tied else _share(stage, spec)
        total += held * (1 + max(reader - position for reader, _ in inside))
        for reader, number in inside:
            total += _gradients(subject, reader, number, reader - position, held)
    return total


def _gradients(subject: Subject, reader: int, number: int, ticks: int, held: int) -> int:
    stage = subject.plan.stages[reader]
    program = subject.programs.get(stage.program)
    node: Any = gradient_of_input(program, number) if program else None
    if node is None:
        return 0
    while node.op == "call_function" and is_view(node):
        node = node.args[0]
    if str(node.target) != "aten.mm.default" or number not in lent_inputs(
        subject.plan, subject.programs, reader
    ):
        return ticks * held
    factors = [factor.meta["val"] for factor in node.args[:2]]
    dealt_out = sum(
        dealt(value.numel(), stage.tiling, stage.part) * value.element_size() for value in factors
    )
    return min(ticks * held, ticks * dealt_out + held)


def _tile_bytes(stage: StageRecord, spec: TensorSpec, turned: bool) -> int:
    """The fullest PE's tile of a table: its rows lie over the columns of PEs, if not turned."""
    splits = stage.tiling.out_split, stage.tiling.in_split
    rows, columns = splits[::-1] if turned else splits
    tile = ceil(spec.shape[0] / rows) * ceil(spec.shape[1] / columns)
    return tile * spec.torch_dtype.itemsize


def _sum(memory: PEMemory) -> int:
    return sum(asdict(memory).values())
