"""Kernels on a small mesh."""

from __future__ import annotations

from dataclasses import replace

from weft.compiler.mapping.choices import Choice, Kernels, StageKernel
from weft.compiler.plan.program import Stages
from weft.compiler.plan.stage_record import NonZeros, PEMemory, PhaseCycles, Tiling
from weft.compiler.targets import load_target
from weft.compiler.targets.target import Target

TINY = load_target("tiny_mesh")


MEMORY, NONZEROS = PEMemory(0, 0, 0, 0, 0, 0, 0, 0), NonZeros(0, 0, 0.0, 0, 0)


def mesh(rows: int, columns: int) -> Target:
    return replace(TINY, grid=replace(TINY.grid, rows=rows, columns=columns))


def choice(height: int, width: int, cycles: int) -> Choice:
    return Choice(Tiling(1, height, width), (), PhaseCycles(cycles, 0, 0), 0, MEMORY, NONZEROS)


def kernels(shapes: list[list[tuple[int, int, int]]], rows: int, columns: int) -> Kernels:
    stages = [
        StageKernel(index, tuple(choice(*shape) for shape in stage))
        for index, stage in enumerate(shapes)
    ]
    return Kernels(mesh(rows, columns), tuple(stages))


EMPTY = Stages((), (), None, ())  # type: ignore[arg-type]
