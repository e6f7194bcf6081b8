"""`weft bench pacing`: self-paced data beside a random order, at equal updates.

Every method is the shipped recipe `self_paced` under other keys of `data.sampler`; seeds set
weights, clusters and orders.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean, stdev

from ...compiler.recipes.build import compile_recipe
from ...compiler.recipes.read import shipped_recipe
from ...compiler.recipes.recipe import Recipe
from ...runtime.data import Dataset, load_data
from ...runtime.training.run import Run
from ..machine import machine_line
from .evidence import TableText, markdown
from .kept import missing_rows

RANDOM = "random order"
METHODS: dict[str, tuple[str, ...]] = {
    RANDOM: ("kind=random",),
    "least losses of each cluster": (),
    "below a threshold, diverse": ("most_per_cluster=null", "threshold=1", "diversity=2"),
    "below a threshold": ("most_per_cluster=null", "threshold=1", "diversity=0"),
    "first of each cluster": ("choice=first",),
}
"""Keys of `data.sampler` by the name of a method."""

_SHARE = 2 / 3
"""Of an average cluster that the first paced pass takes, as in the public settings: 500 of 750."""


@dataclass(frozen=True)
class PacedRow:
    """One run: accuracy and loss (nats) in the test after `updates`; passes that ended, and the
    mean share of the samples that those after the first took."""

    setup: str
    method: str
    seed: int
    updates: int
    accuracy: float
    loss: float
    passes: int
    share: float
    seconds: float
    machine: str

    @property
    def key(self) -> tuple[object, ...]:
        """What was run."""
        return self.setup, self.method, self.seed


@dataclass(frozen=True)
class PacedStudy:
    """The runs on one data set, `digits` or a path of a .npz file such as MNIST's, of which the
    first `samples` are trained on."""

    data: str = "digits"
    epochs: int = 3
    seeds: int = 3
    samples: int = 12_000
    methods: tuple[str, ...] = tuple(METHODS)
    overrides: tuple[str, ...] = ()

    @property
    def keys(self) -> list[tuple[object, ...]]:
        """Every method of a seed before the next seed."""
        return [(self.setup, m, seed) for seed in range(self.seeds) for m in self.methods]

    @cached_property
    def setup(self) -> str:
        """All that decides the results beside method and seed, in words."""
        recipe, data = self.recipe(), self._loaded
        sampler, optimizer = recipe.data.sampler, recipe.optimizer
        return (
            f"{recipe.model.name} {recipe.model.options}, {recipe.normalization.kind} norm;"
            f" {optimizer.name}, lr {optimizer.lr:g} and momentum {optimizer.own_momentum:g} at"
            f" batch {optimizer.reference_batch_size}, weight decay {optimizer.weight_decay:g};"
            f" {sampler.clusters} clusters a class, embedding of {sampler.embedding_epochs} epochs,"
            f" {sampler.most_per_cluster} a cluster, growth {sampler.growth:g}; {data.name}:"
            f" {len(data.x_train)} training and {len(data.x_test)} test samples; {self.epochs}"
            " epochs"
        )

    def recipe(self, changes: Sequence[str] = ()) -> Recipe:
        """The recipe with overrides."""
        return shipped_recipe("self_paced", [*self._sized, *self.overrides, *changes])

    def rows(self, records: Path) -> Iterator[PacedRow]:
        """A row per key; those that a former run left in the file are not run again."""
        return missing_rows(records, PacedRow, self.keys, self._run)

    def _run(self, key: tuple[object, ...]) -> PacedRow:
        _, method, seed = key
        keys = METHODS[str(method)]
        settings = (f"seed={seed}", *(f"data.sampler.{change}" for change in keys))
        plan = compile_recipe(self.recipe(settings), witness=False)
        report = Run(plan, self._loaded).train()
        later = report.passes[1:]
        size = len(self._loaded.x_train)
        return PacedRow(
            setup=self.setup,
            method=str(method),
            seed=int(str(seed)),
            updates=len(report.losses),
            accuracy=report.test_accuracy,
            loss=report.test_loss,
            passes=len(report.passes),
            share=fmean(ended.samples / size for ended in later) if later else 1.0,
            seconds=report.train_s,
            machine=machine_line(),
        )

    @cached_property
    def _loaded(self) -> Dataset:
        found, count = load_data(self.data), self.samples
        return replace(found, x_train=found.x_train[:count], y_train=found.y_train[:count])

    @property
    def _sized(self) -> list[str]:
        """The recipe's keys that follow from the data."""
        data = self._loaded
        side, classes = data.x_train.shape[-1], int(data.y_train.max()) + 1
        sized = [f"epochs={self.epochs}", f"model.options.image_size={side}"]
        sized += [f"input.shape=[1,{side},{side}]", f"input.classes={classes}"]
        clusters = 4
        if side > 8:
            clusters = 8
            sized += ["model.options.width=128", "data.sampler.embedding_epochs=5"]
            sized += ["input.mean=[0.1307]", "input.deviation=[0.3081]"]
        most = round(_SHARE * len(data.x_train) / (classes * clusters))
        keys = (f"clusters={clusters}", f"most_per_cluster={most}")
        return [*sized, *(f"data.sampler.{key}" for key in keys)]


def paced_table(rows: Sequence[PacedRow]) -> TableText:
    """A row per method: accuracy and loss with standard errors, and gaps to a random order."""
    headers = ["samples of a pass", "accuracy, %", "points to random", "loss, nats", "passes"]
    headers += ["share taken", "seeds"]
    by_seed = {row.seed: row for row in rows if row.method == RANDOM}
    table = []
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        gaps = [100 * (r.accuracy - by_seed[r.seed].accuracy) for r in own if r.seed in by_seed]
        table.append(
            [
                method,
                with_error([100 * row.accuracy for row in own], 2),
                "" if method == RANDOM or not gaps else with_error(gaps, 2, "+"),
                with_error([row.loss for row in own], 4),
                f"{fmean(row.passes for row in own):.1f}",
                f"{fmean(row.share for row in own):.0%}",
                str(len(own)),
            ]
        )
    return headers, table


def with_error(values: Sequence[float], digits: int, sign: str = "") -> str:
    """Mean and standard error of the mean, which a single value does not have."""
    mean = f"{fmean(values):{sign}.{digits}f}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {stdev(values) / math.sqrt(len(values)):.{digits}f}"


def paced_page(rows: Sequence[PacedRow], planned: int) -> str:
    """The table in Markdown, with what was run and on what."""
    left = planned - len(rows)
    lines = [
        *([f"**Not finished: {left} of {planned} runs are missing.**\n"] if left else []),
        *dict.fromkeys(f"- {row.setup}" for row in rows),
        "- pipelined at batch size 1, equal updates; mean ± standard error over the seeds, gaps"
        " seed by seed",
        *dict.fromkeys(f"- {row.machine}" for row in rows),
    ]
    return "\n".join([*lines, "", markdown(paced_table(rows)), ""])
