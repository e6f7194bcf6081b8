"""Rules about names: stages, tensors, files, loss and predictions refer to what exists, once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from math import inf, prod

import torch

from ..document import FORMAT_VERSION, HOST, WITNESSES, TensorRecord
from ..stage_record import SourceRecord
from .violation import Finding, Subject

MODES = ("training",)


def format_version(subject: Subject) -> Iterator[Finding]:
    """Format, mode and witness are ones this version knows; the clock is a positive number."""
    plan = subject.plan
    if not 0 < plan.clock_hz < inf:
        yield Finding("clock_hz", "a positive number of cycles per second", plan.clock_hz)
    if plan.format != FORMAT_VERSION:
        yield Finding("format", FORMAT_VERSION, plan.format)
    if plan.mode not in MODES:
        yield Finding("mode", f"one of {', '.join(MODES)}", plan.mode)
    if plan.witness not in WITNESSES:
        yield Finding("witness", f"one of {', '.join(WITNESSES)}", plan.witness)


def stage_names(subject: Subject) -> Iterator[Finding]:
    """There is a stage; ids are unique and not empty; indices are the positions in the pipeline."""
    stages = subject.plan.stages
    if not stages:
        yield Finding("stages", "at least one stage", "none")
    for name in _repeated(stage.id for stage in stages):
        yield Finding("stages", "unique stage ids", f"'{name}' twice")
    for position, stage in enumerate(stages):
        if stage.index != position or not stage.id:
            yield Finding(f"stages[{position}].index", position, stage.index)


def parameters_bound(subject: Subject) -> Iterator[Finding]:
    """Every parameter of the plan is owned by exactly one stage, and stages bind nothing else."""
    bound = [name for stage in subject.plan.stages for name in stage.parameters]
    declared = [record.name for record in subject.plan.parameters]
    yield from _one_to_one("parameters", declared, bound)


def state_bound(subject: Subject) -> Iterator[Finding]:
    """Every state tensor belongs to exactly one stage, and stages bind nothing else."""
    stages = subject.plan.stages
    bound = [name for s in stages for name in (*s.forward_state, *s.backward_state)]
    yield from _one_to_one("state", [record.name for record in subject.plan.state], bound)


def tensor_records(subject: Subject) -> Iterator[Finding]:
    """Shapes have no negative size and dtypes are torch's."""
    plan = subject.plan
    for record in (*plan.inputs, *plan.parameters, *plan.state):
        if min(record.shape, default=0) < 0:
            yield Finding(f"{record.name}.shape", "sizes of at least 0", record.shape)
        if tensor_bytes(record) is None:
            yield Finding(f"{record.name}.dtype", "a torch dtype", record.dtype)


def masks_known(subject: Subject) -> Iterator[Finding]:
    """A mask, or a share of zeros of 0 to 1, belongs to a parameter, at most one each."""
    declared = {record.name for record in subject.plan.parameters}
    for name in sorted(set(subject.plan.masks) - declared):
        yield Finding("masks", "names of parameters", f"'{name}'")
    for name in _repeated(subject.plan.masks):
        yield Finding("masks", "one mask per parameter", f"'{name}' twice")
    for name, share in sorted(subject.plan.shares_of_zeros.items()):
        if name not in declared - set(subject.plan.masks):
            yield Finding("shares_of_zeros", "names of parameters without a mask", f"'{name}'")
        if not 0 <= share <= 1:
            yield Finding(f"shares_of_zeros.{name}", "a share of 0 to 1", share)
    for name in sorted(set(subject.plan.dynamic) - declared):
        yield Finding("dynamic", "names of parameters", f"'{name}'")
    for name in _repeated(subject.plan.dynamic):
        yield Finding("dynamic", "one entry per parameter", f"'{name}' twice")


def loss_is_last(subject: Subject) -> Iterator[Finding]:
    """The loss is an output of the last stage; predictions are outputs of stages."""
    plan = subject.plan
    last = len(plan.stages) - 1
    if plan.loss.stage != last or not _exists(subject, plan.loss):
        expected = f"an output of stage {last}, the last"
        yield Finding("loss", expected, f"output {plan.loss.output} of stage {plan.loss.stage}")
    for number, source in enumerate(plan.predictions):
        if not _exists(subject, source):
            got = f"output {source.output} of stage {source.stage}"
            yield Finding(f"predictions[{number}]", "an output of a stage", got)


def programs_listed(subject: Subject) -> Iterator[Finding]:
    """Every program that a stage names is a file of the plan, and every program file is named.

    A plan that was not saved yet has no files at all.
    """
    if not subject.plan.files:
        return
    named = {f"stages/{stage.program}.json" for stage in subject.plan.stages}
    listed = {name for name in subject.plan.files if name.startswith("stages/")}
    for name in sorted(named - listed):
        yield Finding("files", f"{name}, which a stage runs", "no such file")
    for name in sorted(listed - named):
        yield Finding(f"files.{name}", "a program that some stage runs", "none runs it")


def program_signatures(subject: Subject) -> Iterator[Finding]:
    """A stage binds as many tensors and streams as its program takes, of its shapes."""
    shapes = {r.name: (r.shape, r.dtype) for r in (*subject.plan.parameters, *subject.plan.state)}
    for stage in subject.plan.stages:
        program = subject.programs.get(stage.program)
        for kind in ("parameters", "forward_state", "backward_state") if program else ():
            expected = [(spec.shape, spec.dtype) for spec in getattr(program, kind)]
            got = [shapes.get(name) for name in getattr(stage, kind)]
            if got != expected:
                yield Finding(f"{stage.id}.{kind}", expected, got)
        if program and len(stage.inputs) != len(program.inputs):
            yield Finding(f"{stage.id}.inputs", len(program.inputs), len(stage.inputs))


def host_inputs(subject: Subject) -> Iterator[Finding]:
    """Streams from the host are among the model's inputs, which have names of their own."""
    used = {
        source.output
        for stage in subject.plan.stages
        for source in stage.inputs
        if source.stage == HOST
    }
    known = len(subject.plan.inputs)
    names = [record.name for record in subject.plan.inputs]
    for number, name in enumerate(names):
        if name in names[:number]:
            yield Finding(f"inputs[{number}].name", "a name of its own", name)
    for number in sorted(used - set(range(known))):
        yield Finding(f"inputs[{number}]", f"one of {known} inputs", "no such input")


def tensor_bytes(record: TensorRecord) -> int | None:
    """Size of a tensor; None for a dtype that torch does not have."""
    dtype = getattr(torch, record.dtype, None)
    return prod(record.shape) * dtype.itemsize if isinstance(dtype, torch.dtype) else None


def _exists(subject: Subject, source: SourceRecord) -> bool:
    stages = subject.plan.stages
    if not 0 <= source.stage < len(stages) or source.output < 0:
        return False
    program = subject.programs.get(stages[source.stage].program)
    return program is None or source.output < len(program.outputs)


def _one_to_one(where: str, declared: list[str], bound: list[str]) -> Iterator[Finding]:
    for name in _repeated(declared):
        yield Finding(where, "unique names", f"'{name}' twice")
    for name in _repeated(bound):
        yield Finding(where, f"'{name}' bound by one stage", "more than one")
    for name in sorted(set(declared) - set(bound)):
        yield Finding(where, f"'{name}' bound by one stage", "none")
    for name in sorted(set(bound) - set(declared)):
        yield Finding(where, "only declared names bound", f"'{name}'")


def _repeated(names: Iterable[str]) -> list[str]:
    return sorted(name for name, count in Counter(names).items() if count > 1)
