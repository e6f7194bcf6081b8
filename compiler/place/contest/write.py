"""The text of a solution: arguments of every kernel, then where it lies."""

from __future__ import annotations

from .instance import FORMAL, Instance
from .place import Solution


def solution_text(instance: Instance, solution: Solution) -> str:
    """Lines `name = type(formal, execution)` and `name : place(x y R0|R90)`."""
    lines = []
    for kernel, (arguments, rotated), block in zip(
        instance.kernels, solution.arguments, solution.blocks, strict=True
    ):
        formal = [kernel.formal[key] for key in FORMAL[kernel.kind]]
        chosen = [arguments.h, arguments.w, *arguments.c, *arguments.k]
        lines.append(f"{kernel.name} = {kernel.kind}({' '.join(map(str, formal + chosen))})")
        turn = "R90" if rotated else "R0"
        lines.append(f"{kernel.name} : place({block.x} {block.y} {turn})")
    return "\n".join(lines) + "\n"
