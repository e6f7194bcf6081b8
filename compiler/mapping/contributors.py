"""Contributors of an infeasible report: what takes a stage's memory, or a machine's PEs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..kernels.held.memory import Post
from ..kernels.stage import StageTable
from ..plan.infeasible import Contributor
from ..plan.program import Stage, TensorSpec
from .choices import Kernels

_STAGES_SHOWN = 8


def memory_classes(stage: Stage, table: StageTable, post: Post) -> Iterator[Contributor]:
    """Classes of memory with the tensors in them, at the tiling that needs the least."""
    memory = table.memory.at(int(table.memory.total(post).argmin()), post)
    program = stage.program
    saved = (
        f" ({table.memory.samples_held(post)} samples of {_specs(program.saved)})"
        if program.saved
        else ""
    )
    weights = f" ({', '.join(stage.parameters)})" if stage.parameters else ""
    for name, amount in (
        (f"activation fifo{saved}", memory.activation_fifo_bytes),
        ("workspace of the backward or the forward", memory.workspace_bytes),
        (f"weights{weights}", memory.weights_bytes),
        ("optimizer", memory.optimizer_bytes),
        ("gradient", memory.gradient_bytes),
        ("normalization", memory.normalization_bytes),
        ("stream buffer", memory.stream_buffer_bytes),
        ("fifos of streams that pass the stage", memory.skip_fifo_bytes),
    ):
        if amount:
            yield Contributor(name, amount)


def _specs(specs: Iterable[TensorSpec]) -> str:
    return ", ".join(f"{spec.dtype}{list(spec.shape)}" for spec in specs)


def largest_stages(kernels: Kernels, stages: Sequence[Stage]) -> Iterator[Contributor]:
    """The stages that take most PEs in their smallest form."""
    areas = [int(kernel.sizes.areas.min()) for kernel in kernels.stages]
    for index in sorted(range(len(areas)), key=lambda i: -areas[i])[:_STAGES_SHOWN]:
        stage = kernels.stages[index].stage
        yield Contributor(f"stage {stage} ({stages[stage].name})", areas[index])
