"""`weft bench growth`: what it costs in accuracy to grow weights only where a plan has room.

RigL and SET train the demo's network on digits; each run's masks are then priced on its plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, cast

from torch import Tensor

from ...compiler.plan.plan import Plan
from ...compiler.recipes.build import compile_recipe
from ...compiler.recipes.recipe import Recipe
from ...compiler.remap.mask_room import MapRooms, rooms
from ...compiler.remap.new_map import new_map
from ...compiler.targets.load import load_target
from ...compiler.targets.target import Target
from ...runtime.data import Dataset, load_data
from ...runtime.executors import make_executor
from ...runtime.tick.job import Job
from ...runtime.tick.make_job import make_job
from ...runtime.training.scores import class_axes, class_score
from ...study.remap_price import as_planned_cycles, standstill_cycles
from ..machine import machine_line
from .evidence import TableText, markdown
from .kept import missing_rows
from .sparsity import sparse_recipe

if TYPE_CHECKING:
    from ...runtime.jax.executor import JaxExecutor

ALGORITHMS = ("rigl", "set")
GROWTHS = ("free", "room", "pace")


@dataclass(frozen=True)
class GrowthRow:
    """One run: test accuracy, weights that did not grow for want of room, and cycles of its plan.

    `fullest` is the largest ratio, over stages, of the non-zeros on the fullest PE at the end to
    those at the start. `planned`, `as_planned` and `new_map` are intervals under the first masks,
    under the last ones where the plan put weights, and on a new map for these; `remap` are the
    cycles that the change to that takes, see `standstill_cycles`.
    """

    algorithm: str
    level: float
    growth: str
    seed: int
    epochs: int
    setup: str
    accuracy: float
    refused: int
    fullest: float
    planned: int
    as_planned: int
    new_map: int
    remap: int
    machine: str

    @property
    def key(self) -> tuple[object, ...]:
        """What was run."""
        return (self.algorithm, self.level, self.growth, self.seed, self.epochs, self.setup)


@dataclass(frozen=True)
class GrowthStudy:
    """The runs, seed by seed. `overrides` change the recipe."""

    epochs: int
    levels: Sequence[float]
    seeds: int
    algorithms: Sequence[str] = ALGORITHMS
    overrides: Sequence[str] = ()
    machines: dict[str, JaxExecutor] = field(default_factory=dict)
    plans: dict[tuple[float, int], Plan] = field(default_factory=dict)

    @property
    def keys(self) -> list[tuple[object, ...]]:
        """Of all runs."""
        return [
            (algorithm, level, growth, seed, self.epochs, self.setup)
            for seed in range(self.seeds)
            for level in self.levels
            for algorithm in self.algorithms
            for growth in GROWTHS
        ]

    @cached_property
    def setup(self) -> str:
        """In words what decides the result beside the key."""
        recipe = self.recipe(self.algorithms[0], self.levels[0], GROWTHS[0], 0)
        changed = f" ({', '.join(self.overrides)})" if self.overrides else ""
        return (
            f"{recipe.model.name} on {recipe.target.name}{changed}, as `weft bench sparsity` has it"
        )

    @cached_property
    def data(self) -> Dataset:
        """The digits."""
        return load_data("digits")

    def rows(self, path: Path) -> Iterator[GrowthRow]:
        """All rows; those in the file are not measured again. Raises UserError without jax."""
        return missing_rows(path, GrowthRow, self.keys, self._measured)

    def recipe(self, algorithm: str, level: float, growth: str, seed: int) -> Recipe:
        """The recipe of a run."""
        changes = [*self.overrides, f"seed={seed}"]
        recipe = sparse_recipe(algorithm, level, self.epochs, changes)
        return recipe.model_copy(update={"sparsity": {**(recipe.sparsity or {}), "growth": growth}})

    def _measured(self, key: tuple[object, ...]) -> GrowthRow:
        algorithm, level, growth, seed = cast("tuple[str, float, str, int]", key[:4])
        recipe = self.recipe(algorithm, level, growth, seed)
        plan = self._plan(level, seed, recipe)
        job = self._job(plan, recipe)
        machine = self._machine(algorithm, job)
        for order in self.data.epochs(self.epochs, seed):
            machine.feed([self.data.x_train[order], self.data.y_train[order]])
        machine.flush()
        refused = sum(rule.refused for rule in job.mask_rules.values())
        masks = {name: mask.cpu() for name, mask in machine.masks().items()}
        accuracy = self._accuracy(machine)
        return GrowthRow(
            *(algorithm, level, growth, seed, self.epochs, self.setup, accuracy, refused),
            *_priced(plan, masks, load_target(recipe.target.name, recipe.target.overrides)),
            machine=machine_line(),
        )

    def _plan(self, level: float, seed: int, recipe: Recipe) -> Plan:
        """One plan for all algorithms: they begin with the same masks."""
        if (level, seed) not in self.plans:
            self.plans[level, seed] = compile_recipe(recipe)
        return self.plans[level, seed]

    def _job(self, plan: Plan, recipe: Recipe) -> Job:
        updates = self.epochs * len(self.data.x_train)
        job = make_job(plan, recipe, updates, recipe.pipeline.mode)
        return replace(job, mask_rules=MapRooms(plan).given_to(job.mask_rules))

    def _machine(self, algorithm: str, job: Job) -> JaxExecutor:
        """One program for all runs of an algorithm: it reads masks and start values as it runs."""
        if algorithm in self.machines:
            same = replace(job, stages=self.machines[algorithm].job.stages)
            self.machines[algorithm].restart(same)
        else:
            made = make_executor("jax", job, "pipelined")
            self.machines[algorithm] = cast("JaxExecutor", made)
        return self.machines[algorithm]

    def _accuracy(self, machine: JaxExecutor) -> float:
        inputs, labels = self.data.x_test, self.data.y_test
        predictions = machine.evaluate([inputs, labels])[0]
        return class_score(predictions, labels, class_axes(predictions.shape, labels.shape)[0])[0]


def _priced(
    plan: Plan, masks: dict[str, Tensor], target: Target
) -> tuple[float, int, int, int, int]:
    """`fullest` to `remap` of a row."""
    held = {room.stage: room.nonzeros for room in rooms(plan, plan.masks)}
    new = new_map(replace(plan, masks=masks)).document
    return (
        max(room.nonzeros / held[room.stage] for room in rooms(plan, masks)),
        as_planned_cycles(plan, plan.masks, target),
        as_planned_cycles(plan, masks, target),
        round(new.totals.initiation_interval_cycles),
        standstill_cycles(plan, masks, target),
    )


def growth_table(rows: Sequence[GrowthRow]) -> TableText:
    """A row per algorithm, level and growth: means over the seeds."""
    headers = ["weights zero", "algorithm", "growth", "accuracy, %", "refused", "fullest PE"]
    headers += ["planned", "as planned", "new map", "remap, cycles", "pays after, samples", "seeds"]
    groups: dict[tuple[float, str, str], list[GrowthRow]] = {}
    for row in sorted(rows, key=lambda r: (r.level, r.algorithm, GROWTHS.index(r.growth))):
        groups.setdefault((row.level, row.algorithm, row.growth), []).append(row)
    return headers, [_cells(own) for own in groups.values()]


def _cells(rows: Sequence[GrowthRow]) -> list[str]:
    first = rows[0]
    scores = [100 * row.accuracy for row in rows]
    spread = f" ± {stdev(scores):.2f}" if len(scores) > 1 else ""
    gained = mean(row.as_planned - row.new_map for row in rows)
    remap = mean(row.remap for row in rows)
    return [
        *(f"{100 * first.level:g} %", first.algorithm, first.growth),
        f"{mean(scores):.2f}{spread}",
        f"{mean(row.refused for row in rows):,.0f}",
        f"{mean(row.fullest for row in rows):.2f}",
        f"{mean(row.planned for row in rows):,.0f}",
        f"{mean(row.as_planned for row in rows):,.0f}",
        f"{mean(row.new_map for row in rows):,.0f}",
        f"{remap:,.0f}",
        f"{remap / gained:,.0f}" if gained > 0 else "never",
        str(len(rows)),
    ]


def growth_page(rows: Sequence[GrowthRow], planned: int) -> str:
    """The table in Markdown, with what was run and on what."""
    left = planned - len(rows)
    lines = [
        *([f"**Not finished: {left} of {planned} runs are missing.**\n"] if left else []),
        *dict.fromkeys(f"- {row.setup}; {row.epochs} epochs at batch size 1" for row in rows),
        *dict.fromkeys(f"- {row.machine}" for row in rows),
    ]
    return "\n".join([*lines, "", markdown(growth_table(rows)), ""])
