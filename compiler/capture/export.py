"""A sample exported by torch, with what torch.export would lose noted beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import fx
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind, OutputKind

from ...backend.errors import UserError
from ...backend.torch_versions import export_in_silence
from .custom_backward.call import CustomCall
from .custom_backward.record import CallRecording
from .functional import functional_updates
from .guards.entered import refusing_entries
from .guards.mutations import check_mutations
from .guards.operand_types import check_operand_types
from .guards.placeless import meta_as_cpu
from .guards.python_state import without_python_draws
from .guards.traced import check_traced
from .guards.watched import watching
from .kept.preserved import preserved
from .refusals import refusal
from .regions import inline_regions, plain_checkpoints
from .repeats import export_repeated
from .sample import OneSample, Sample, arguments
from .source_lines import lines_noted

NextValues = Mapping[str, fx.Node]
"""Placeholder name of a buffer -> the node that computes its next value."""


@dataclass(frozen=True)
class Traced:
    """A functional program, the next value of each placeholder that it updates, and the calls that
    its operators of `custom_backward` stand for, by number."""

    exported: ExportedProgram
    updates: NextValues
    calls: Sequence[CustomCall]


def export_sample(sample: OneSample, example_inputs: Sample) -> Traced:
    """The functional program of a sample. The model is afterwards as before.

    Raises UnsupportedError where torch.export cannot make one, and for what a forward does that a
    functional program does not show.
    """
    try:
        with _as_for_training(sample), meta_as_cpu():
            return _traced(sample, example_inputs)
    except UserError:
        raise
    except Exception as error:  # torch.export raises many types; all mean "cannot be captured"
        raise refusal(sample, error) from error


@contextmanager
def _as_for_training(sample: OneSample) -> Iterator[None]:
    """Gradients on, whatever the caller's mode; torch's own dumps of graphs off."""
    with (
        export_in_silence(),
        plain_checkpoints(),
        preserved(sample),
        torch.inference_mode(False),
        torch.enable_grad(),
    ):
        yield


def _traced(sample: OneSample, example_inputs: Sample) -> Traced:
    recorded = partial(_recorded, sample, example_inputs)
    with without_python_draws(again=recorded):
        exported, recording = recorded()
    check_traced(exported, sample)
    check_operand_types(exported.graph)
    check_mutations(exported, _frozen(sample))
    updates = functional_updates(exported.graph, _buffers(exported))
    if updates is None:
        exported = exported.run_decompositions({})
        updates = _buffer_mutations(exported)
    return Traced(exported, updates, recording.calls)


def _recorded(sample: OneSample, example_inputs: Sample) -> tuple[ExportedProgram, CallRecording]:
    """The training graph; repeated blocks are traced twice only, if that gives the same graph."""
    try:
        exported, recording = _export(sample, example_inputs, is_repeated=True)
        if not recording.has_hooks:  # a hook may read what differs from block to block
            return exported, recording
    except UserError:
        raise
    except Exception:  # whatever it is, the model may still be one that can be traced as a whole
        pass
    return _export(sample, example_inputs, is_repeated=False)


def _export(
    sample: OneSample, example_inputs: Sample, is_repeated: bool
) -> tuple[ExportedProgram, CallRecording]:
    recording = CallRecording(sample)
    export = partial(_exported, sample, example_inputs)
    with recording.recording(), watching(sample), refusing_entries():
        exported = export_repeated(sample, export) if is_repeated else export()
    return exported, recording


def _exported(sample: OneSample, example_inputs: Sample) -> ExportedProgram:
    with lines_noted():
        exported = torch.export.export(sample, *arguments(example_inputs), strict=False)
    inline_regions(exported.graph_module)
    return exported


def _frozen(sample: OneSample) -> frozenset[str]:
    parameters = sample.named_parameters(remove_duplicate=False)
    return frozenset(name for name, parameter in parameters if not parameter.requires_grad)


def _buffers(exported: ExportedProgram) -> frozenset[str]:
    specs = exported.graph_signature.input_specs
    return frozenset(spec.arg.name for spec in specs if spec.kind is InputKind.BUFFER)


def _buffer_mutations(exported: ExportedProgram) -> NextValues:
    signature = exported.graph_signature
    placeholder = {name: key for key, name in signature.inputs_to_buffers.items()}
    results = exported.graph.output_node().args[0]
    return {
        placeholder[str(spec.target)]: node
        for spec, node in zip(signature.output_specs, results, strict=True)  # type: ignore[arg-type]
        if spec.kind is OutputKind.BUFFER_MUTATION and isinstance(node, fx.Node)
    }
