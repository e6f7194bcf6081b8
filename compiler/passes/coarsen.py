"""`coarsen`: stages that belong together become one."""

from __future__ import annotations

from dataclasses import dataclass

from ..stages.coarsen import merge_modules, merge_runs
from ..stages.group import Assignment


@dataclass(frozen=True)
class Coarsen:
    """Merge the stages of a module, of a block, and runs of stages (`bounds`: where each begins).

    before: 0: stem  1: h.0.attn  2: h.0.mlp        after: 0: stem  1: h.0  2: h.1  3: loss
            3: h.1.attn  4: h.1.mlp  5: loss
    """

    blocks: bool = False
    globs: tuple[str, ...] = ()
    bounds: tuple[int, ...] | None = None

    def __call__(self, assignment: Assignment) -> Assignment:
        merged = merge_modules(assignment, blocks=self.blocks, globs=self.globs)
        return merged if self.bounds is None else merge_runs(merged, self.bounds)
