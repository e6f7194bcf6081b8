"""A stage's forward, or the whole forward, as StableHLO that any XLA compiler takes.

The program's arguments are listed beside it: first the tensors of the model, in sorted order of
their names, then the inputs. Its results are the predictions, or the stage's outputs, new state and
saved values in the order of the stage program. It computes one sample, as training does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
from jax import export

from ...backend.errors import UnknownNameError
from ...compiler.plan.program import HOST, Source, Stage, Stages, TensorSpec
from ...compiler.witness.evaluation import without_draws
from .ops.lower import jax_dtype, lower

Array = Any
Function = Callable[..., Sequence[Array]]


@dataclass(frozen=True)
class Exported:
    """A program that holds StableHLO, and what it takes and gives, in order, by name."""

    program: export.Exported
    arguments: tuple[tuple[str, TensorSpec], ...]
    results: tuple[tuple[str, TensorSpec], ...]


def export_forward(stages: Stages) -> Exported:
    """All stages' forward: predictions from the model's tensors and one sample.

    Raises UnsupportedError for an operator without a lowering.
    """
    needed = without_draws(stages).predicting
    tensors = {name: spec for stage in needed for name, spec in _tensors(stage).items()}
    read = sorted({s.output for stage in needed for s in stage.inputs if s.stage == HOST})
    lowered = {stage.index: lower(stage.program.forward) for stage in needed}

    def forward(*arguments: Array) -> list[Array]:
        named = dict(zip(sorted(tensors), arguments, strict=False))
        known = dict(zip((Source(HOST, n) for n in read), arguments[len(tensors) :], strict=True))
        for stage in needed:
            own = [named[name] for name in (*stage.parameters, *stage.forward_state)]
            values = lowered[stage.index](*own, *(known[source] for source in stage.inputs))
            outputs = stage.program.forward_result(values).outputs
            known |= {Source(stage.index, n): value for n, value in enumerate(outputs)}
        return [known[source] for source in stages.predictions]

    inputs = [(f"input {n}", stages.model_inputs[n]) for n in read]
    results = [
        (f"prediction {n}", stages.stages[source.stage].program.outputs[source.output])
        for n, source in enumerate(stages.predictions)
    ]
    return _export(forward, [*sorted(tensors.items()), *inputs], results)


def export_stage(stages: Stages, name: str) -> Exported:
    """The forward of the stage `name`. Raises UnknownNameError, or UnsupportedError as above."""
    found = {stage.name: stage for stage in stages.stages}
    if name not in found:
        raise UnknownNameError("stage", name, tuple(found), "weft show PLAN")
    stage = found[name]
    tensors, program = _tensors(stage), stage.program
    own = (*stage.parameters, *stage.forward_state)
    lowered = lower(program.forward)

    def forward(*arguments: Array) -> Sequence[Array]:
        named = dict(zip(sorted(tensors), arguments, strict=False))
        return lowered(*(named[name] for name in own), *arguments[len(tensors) :])

    inputs = [(f"input {n}", spec) for n, spec in enumerate(program.inputs)]
    results = [
        *((f"output {n}", spec) for n, spec in enumerate(program.outputs)),
        *zip((f"new {name}" for name in stage.forward_state), program.forward_state, strict=True),
        *((f"saved {n}", spec) for n, spec in enumerate(program.saved)),
    ]
    return _export(forward, [*sorted(tensors.items()), *inputs], results)


def save(exported: Exported, directory: Path, name: str) -> tuple[Path, ...]:
    """Write NAME.mlir (StableHLO as text) and NAME.json (arguments and results); a colon of the
    name, which not every file system takes, is a hyphen."""
    name = name.replace(":", "-")
    listed = {
        kind: [{"name": name, "shape": spec.shape, "dtype": spec.dtype} for name, spec in entries]
        for kind, entries in (("arguments", exported.arguments), ("results", exported.results))
    }
    contents = {
        ".mlir": exported.program.mlir_module().encode(),
        ".json": json.dumps(listed, indent=2).encode(),
    }
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for suffix, content in contents.items():
        path, beside = directory / (name + suffix), directory / f".{name}{suffix}"
        beside.write_bytes(content)
        beside.replace(path)
        written.append(path)
    return tuple(written)


def _tensors(stage: Stage) -> Mapping[str, TensorSpec]:
    """What the forward of a stage reads of the model."""
    names = (*stage.parameters, *stage.forward_state)
    specs = (*stage.program.parameters, *stage.program.forward_state)
    return dict(zip(names, specs, strict=True))


def _export(
    function: Function,
    arguments: Sequence[tuple[str, TensorSpec]],
    results: Sequence[tuple[str, TensorSpec]],
) -> Exported:
    shapes = [jax.ShapeDtypeStruct(s.shape, jax_dtype(s.torch_dtype)) for _, s in arguments]
    with jax.default_matmul_precision("highest"):
        exported = export.export(jax.jit(function, keep_unused=True))(*shapes)
    return Exported(exported, tuple(arguments), tuple(results))
