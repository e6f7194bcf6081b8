"""Rules about bytes per PE: sums, capacity, and what each class must at least hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from math import ceil, prod

from ..document import HOST, TensorRecord
from ..program import StageProgram, TensorSpec
from ..stage_record import PEMemory, StageRecord
from .dealt import dealt
from .identity import tensor_bytes
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
    for stage in subject.plan.stages:
        used = _sum(stage.memory_per_pe)
        if used > capacity:
            yield Finding(f"{stage.id}.memory_per_pe", f"at most {capacity} bytes", used)


def fullest_pe(subject: Subject) -> Iterator[Finding]:
    """totals.max_memory_per_pe_bytes is the largest of the stages' sums."""
    stages, given = subject.plan.stages, subject.plan.totals.max_memory_per_pe_bytes
    expected = max((_sum(stage.memory_per_pe) for stage in stages), default=0)
    if given != expected:
        yield Finding("totals.max_memory_per_pe_bytes", expected, given)


def activation_fifo(subject: Subject) -> Iterator[Finding]:
    """The FIFO is fifo_depth slots, each the fullest PE's share of what one sample saves."""
    for stage in subject.plan.stages:
        given = stage.memory_per_pe.activation_fifo_bytes
        where = f"{stage.id}.memory_per_pe.activation_fifo_bytes"
        program = subject.programs.get(stage.program)
        if program is not None:
            slot = sum(_share(stage, spec) for spec in program.saved)
            if given != stage.fifo_depth * slot:
                yield Finding(where, f"{stage.fifo_depth} slots of {slot} bytes", given)
        elif stage.fifo_depth > 0 and given % stage.fifo_depth:
            yield Finding(where, f"a multiple of its depth {stage.fifo_depth}", given)


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
    """Inputs and outputs are buffered twice: one item is used while the next one moves. What is
    given back moves in the backward only."""
    for stage in subject.plan.stages:
        program = subject.programs.get(stage.program)
        if program is None:
            continue
        twice = sum(_share(stage, spec) for spec in (*program.inputs, *program.outputs))
        back = (*program.arriving_specs, *program.rebuilt_specs)
        expected = 2 * twice + sum(_share(stage, spec) for spec in back)
        given = stage.memory_per_pe.stream_buffer_bytes
        if given != expected:
            yield Finding(f"{stage.id}.memory_per_pe.stream_buffer_bytes", expected, given)


def skip_fifos(subject: Subject) -> Iterator[Finding]:
    """A stage holds one sample and one gradient of each stream from before it to after it, and
    what is given back with that."""
    edges = [edge for edge in subject.plan.edges if HOST < edge.source < edge.sink - 1]
    for position, stage in enumerate(subject.plan.stages):
        passing = sum(
            edge.forward_bytes + edge.backward_bytes
            for edge in edges
            if edge.source < position < edge.sink
        )
        expected = dealt(passing, stage.tiling, stage.region)
        given = stage.memory_per_pe.skip_fifo_bytes
        if given != expected:
            yield Finding(f"{stage.id}.memory_per_pe.skip_fifo_bytes", expected, given)


def parameter_bytes(subject: Subject) -> Iterator[Finding]:
    """Gradients are one value per non-zero, optimizer state `optimizer_states` times that.

    Weights take at least a value each and at most a value and an index. Gradients of a stage with
    frozen parameters are not checked.
    """
    constants = {constant.name: constant.value for constant in subject.plan.provenance}
    index_bytes = constants.get("sparsity.index_bytes", 0)
    for stage in subject.plan.stages:
        memory, where = stage.memory_per_pe, f"{stage.id}.memory_per_pe"
        size = _value_bytes(subject, stage)
        if size is None or not isinstance(index_bytes, int | float):
            continue
        values = stage.nonzeros.per_pe_max * size
        if memory.gradient_bytes != values and not _has_frozen(subject, stage):
            yield Finding(f"{where}.gradient_bytes", values, memory.gradient_bytes)
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


def _has_frozen(subject: Subject, stage: StageRecord) -> bool:
    program = subject.programs.get(stage.program)
    return program is not None and not all(program.trainable)


def _share(stage: StageRecord, spec: TensorSpec) -> int:
    """Bytes on the fullest PE of a tensor that is dealt out."""
    return dealt(spec.elements, stage.tiling, stage.region) * spec.torch_dtype.itemsize


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


def _sum(memory: PEMemory) -> int:
    return sum(asdict(memory).values())
