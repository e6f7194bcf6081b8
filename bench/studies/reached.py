"""`weft bench perceptron`: how many samples, and how long, until a deep perceptron is 97 % right.

Twenty linear layers on images such as MNIST's: the pipeline is as deep as in the paper on pipelined
backpropagation, and no convolution hides the cost of a tick.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...backend.nn.mlp import mlp
from ...backend.optim import Cosine
from ...compiler.recipes.build import compile_recipe
from ...compiler.recipes.read import make_recipe
from ...compiler.recipes.recipe import Recipe
from ...runtime.data import Constants, Samples, Splits, load_data, rows_of
from ...runtime.training.run import Run
from ..machine import machine_line
from .cifar.by_torch import step
from .evidence import TableText, label, markdown
from .kept import missing_rows, read_rows
from .paced import with_error
from .training import SEQUENTIAL

BATCH, RATE, MOMENTUM = 64, 0.1, 0.9
BY_TORCH = f"torch, batch {BATCH}, BatchNorm"
METHODS = (BY_TORCH, SEQUENTIAL, "none", "sc+lwp")
TARGET = 0.97
_LAYERS, _WIDTH = 20, 128
_FACTORS = (0.125, 0.25, 0.5, 1.0)
_SEARCH_SEED = 100
_NORMALIZED = Constants((0.1307,), (0.3081,))
_VALIDATION = 0.05


@dataclass(frozen=True)
class ReachedRow:
    """One run: the samples and seconds of training until the part for validation is right by
    TARGET, None if it never was; in the end its accuracy there and, of runs that are tested, in the
    test."""

    setup: str
    method: str
    factor: float
    seed: int
    samples: int | None
    seconds: float | None
    validation: float
    test: float | None
    microseconds_a_sample: float
    machine: str

    @property
    def key(self) -> tuple[object, ...]:
        """What was run."""
        return self.setup, self.method, self.factor, self.seed


@dataclass(frozen=True)
class ReachedStudy:
    """Each method at each rate with one seed, then with others at the rate that reached TARGET
    first or, if none did, was right most often. `data` is a .npz file of 28 x 28 bytes."""

    data: str
    epochs: int = 3
    seeds: int = 3
    every: int = 2000
    methods: tuple[str, ...] = METHODS
    factors: tuple[float, ...] = _FACTORS
    layers: int = _LAYERS

    @property
    def runs(self) -> int:
        """How many there are."""
        return len(self.methods) * (len(self.factors) + self.seeds)

    @cached_property
    def setup(self) -> str:
        """All that decides a result beside method, rate and seed, in words."""
        splits = self._splits
        held = 0 if splits.validation is None else len(splits.validation)
        return (
            f"perceptron of {self.layers} linear layers, width {_WIDTH}, by weft with Online"
            f" Normalization; SGDM, rate {RATE:g} times a factor and momentum {MOMENTUM:g} at batch"
            f" {BATCH}, scaled to batch size 1, falling as a cosine; {len(splits.train)} training"
            f" images, {held} for validation, scored every {self.every} samples;"
            f" {self.epochs} epochs"
        )

    def rows(self, records: Path) -> Iterator[ReachedRow]:
        """All rows, a method's search before its runs that are tested."""
        for method in self.methods:
            tried = [(self.setup, method, factor, _SEARCH_SEED) for factor in self.factors]
            yield from missing_rows(records, ReachedRow, tried, self._run)
            factor = self.chosen(method, read_rows(records, ReachedRow))
            tested = [(self.setup, method, factor, seed) for seed in range(self.seeds)]
            yield from missing_rows(records, ReachedRow, tested, self._run)

    def chosen(self, method: str, rows: Sequence[ReachedRow]) -> float:
        """The factor that the search of a method chooses."""
        own = [
            row
            for row in rows
            if (row.setup, row.method, row.seed) == (self.setup, method, _SEARCH_SEED)
        ]
        return min(own, key=lambda row: (row.samples or 1 << 60, -row.validation)).factor

    def recipe(self, method: str, factor: float, seed: int) -> Recipe:
        """The recipe of a run at batch size 1."""
        pipeline = {"mode": "sequential" if method == SEQUENTIAL else "pipelined"}
        if method != SEQUENTIAL:
            pipeline["compensation"] = method
        shape = {"image_size": 28, "width": _WIDTH, "hidden": self.layers - 1}
        keys: dict[str, Any] = {
            "model": {"name": "mlp", "options": shape},
            "input": {
                "shape": [1, 28, 28],
                "classes": 10,
                "mean": _NORMALIZED.mean,
                "deviation": _NORMALIZED.deviation,
            },
            "optimizer": {
                "name": "sgdm",
                "lr": RATE * factor,
                "momentum": MOMENTUM,
                "reference_batch_size": BATCH,
                "schedule": {"kind": "cosine"},
            },
            "training": {"validation": _VALIDATION, "evaluate_every": self.every},
            "pipeline": pipeline,
            "epochs": self.epochs,
            "seed": seed,
        }
        return make_recipe(keys, where="the study of a deep perceptron")

    def _run(self, key: tuple[object, ...]) -> ReachedRow:
        _, method, factor, seed = key
        run = str(method), float(str(factor)), int(str(seed))
        by = self._by_torch if method == BY_TORCH else self._by_weft
        return by(*run)

    def _by_weft(self, method: str, factor: float, seed: int) -> ReachedRow:
        plan = compile_recipe(self.recipe(method, factor, seed), witness=False)
        data = self._whole if seed != _SEARCH_SEED else replace(self._whole, test=None)
        report = Run(plan, data).train()
        scores = [(s.samples, s.accuracy or 0.0) for s in report.scores if s.part == "validation"]
        test = None if seed == _SEARCH_SEED else report.test_accuracy
        return self._row(method, factor, seed, scores, 1 / report.samples_per_s, test)

    def _by_torch(self, method: str, factor: float, seed: int) -> ReachedRow:
        torch.manual_seed(seed)
        shape = {"image_size": 28, "width": _WIDTH, "hidden": self.layers - 1}
        model = mlp(normalization="batch", **shape)
        optimizer = torch.optim.SGD(model.parameters(), RATE * factor, MOMENTUM)
        splits, scores, spent, seen = self._splits, list[tuple[int, float]](), 0.0, 0
        assert splits.validation is not None
        schedule = Cosine(RATE * factor, self.epochs * len(splits.train))
        for epoch in range(self.epochs):
            order, began = splits.order(epoch, seed), time.perf_counter()
            for first in range(0, len(order), BATCH):
                rows = splits.train.read(order[first : first + BATCH], epoch)
                optimizer.param_groups[0]["lr"] = schedule(seen)
                step(model, optimizer, *_tensors(rows))
                before, seen = seen, seen + len(rows[-1])
                is_last = seen == self.epochs * len(order)
                if seen // self.every > before // self.every or is_last:
                    spent += time.perf_counter() - began
                    scores.append((seen, _share_right(model, splits.validation)))
                    began = time.perf_counter()
            spent += time.perf_counter() - began
        assert splits.test is not None
        test = None if seed == _SEARCH_SEED else _share_right(model, splits.test)
        return self._row(method, factor, seed, scores, spent / seen, test)

    def _row(
        self,
        method: str,
        factor: float,
        seed: int,
        scores: Sequence[tuple[int, float]],
        seconds_a_sample: float,
        test: float | None,
    ) -> ReachedRow:
        samples = next((count for count, share in scores if share >= TARGET), None)
        return ReachedRow(
            setup=self.setup,
            method=method,
            factor=factor,
            seed=seed,
            samples=samples,
            seconds=None if samples is None else samples * seconds_a_sample,
            validation=scores[-1][1],
            test=test,
            microseconds_a_sample=1e6 * seconds_a_sample,
            machine=machine_line(),
        )

    @cached_property
    def _whole(self) -> Splits:
        return load_data(self.data).splits

    @cached_property
    def _splits(self) -> Splits:
        return self._whole.with_validation(_VALIDATION)


def reached_table(rows: Sequence[ReachedRow]) -> TableText:
    """A row per method: the rate that its search chose, samples and seconds to TARGET, accuracy in
    the test, with standard errors over the seeds."""
    headers = ["method", "rate", f"samples to {TARGET:.0%}", "seconds", "us a sample", "test, %"]
    headers += ["seeds"]
    table = []
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method and row.test is not None]
        if not own:
            continue
        table.append(
            [
                method if method == BY_TORCH else label(method),
                f"{RATE * own[0].factor:g}",
                _reached([row.samples for row in own], 0),
                _reached([row.seconds for row in own], 1),
                with_error([row.microseconds_a_sample for row in own], 0),
                with_error([100 * row.test for row in own if row.test is not None], 2),
                str(len(own)),
            ]
        )
    return headers, table


def reached_page(rows: Sequence[ReachedRow], planned: int) -> str:
    """The table in Markdown, with what was run and on what."""
    left = planned - len(rows)
    lines = [
        *([f"**Not finished: {left} of {planned} runs are missing.**\n"] if left else []),
        *dict.fromkeys(f"- {row.setup}" for row in rows),
        f"- factors {', '.join(f'{factor:g}' for factor in _FACTORS)} searched on the part for"
        " validation; mean ± standard error over the seeds",
        *dict.fromkeys(f"- {row.machine}" for row in rows),
    ]
    return "\n".join([*lines, "", markdown(reached_table(rows)), ""])


def _reached(values: Sequence[float | None], digits: int) -> str:
    """Mean and standard error of those that were, with how many were not."""
    found = [value for value in values if value is not None]
    missed = len(values) - len(found)
    note = f" ({missed} never)" if missed else ""
    return with_error(found, digits) + note if found else "never"


def _share_right(model: nn.Module, held_out: Samples) -> float:
    x, y = _tensors(rows_of(held_out))
    model.eval()
    with torch.no_grad():
        right = (model(x).argmax(1) == y).float().mean()
    model.train()
    return float(right)


def _tensors(rows: Sequence[Any]) -> tuple[Tensor, Tensor]:
    """Normalized images (N, 1, 28, 28) and their labels."""
    x, y = rows
    images = torch.from_numpy(_NORMALIZED(x))
    return images.reshape(-1, 1, 28, 28), torch.as_tensor(y).long()
