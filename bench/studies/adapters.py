"""`weft bench adapters`: full fine-tuning beside LoRA on a dense and on a sparse base.

A perceptron is trained on upright images; what it learned is then tuned to the same images turned
by a quarter, with equal steps. The test samples of the turned images say what was learned, those
of the upright ones what was kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from statistics import fmean

import numpy as np
from torch import Tensor

from ...api import predict, train
from ...compiler.plan.plan import Plan
from ...compiler.recipes.build import compile_recipe
from ...compiler.recipes.read import shipped_recipe
from ...compiler.recipes.recipe import Recipe
from ...runtime.data import load_data
from ...runtime.data.dataset import Dataset
from ...runtime.weights.load import load_weights
from ..machine import machine_line
from .evidence import TableText, markdown
from .kept import missing_rows
from .levers.plans import fifo_bytes
from .paced import with_error

FULL, SPARSE = "adapters={}", "sparsity=0.75"
METHODS = {
    "full, dense base": (FULL,),
    "LoRA, dense base": (),
    "full, 75 % sparse base": (FULL, SPARSE),
    "LoRA, 75 % sparse base": (SPARSE,),
    "LoRA masked, 75 % sparse base": (SPARSE, "adapters.masked=true"),
}
"""Changes of the shipped recipe `lora`, by what a row is called."""

RATES = (0.02, 0.1, 0.5)
"""Learning rates at batch size 64; the validation samples of the first seed choose one."""

_HELD_OUT = 2_000


@dataclass(frozen=True)
class AdapterRow:
    """One run. Accuracies are shares of the test samples right; bytes are those of the plan."""

    setup: str
    method: str
    rate: float
    seed: int
    validation: float
    turned: float
    upright: float
    trained: int
    state_bytes: int
    macs: int
    seconds: float
    machine: str

    @property
    def key(self) -> tuple[object, ...]:
        """What was run."""
        return self.setup, self.method, self.rate, self.seed


@dataclass(frozen=True)
class AdapterStudy:
    """The runs on one data set, `digits` or the path of a .npz file such as MNIST's."""

    data: str = "digits"
    base_samples: int = 20_000
    samples: int = 5_000
    seeds: int = 3

    @cached_property
    def setup(self) -> str:
        """All that decides the results beside method, rate and seed, in words."""
        recipe, adapters = self._recipe(), self._recipe().adapters
        return (
            f"{recipe.model.name} {recipe.model.options}, {recipe.normalization.kind} norm;"
            f" rank {adapters.rank}, alpha {adapters.alpha:g}; {self._loaded.name}: base trained"
            f" on {len(self._base.x_train)} upright samples, tuned on {len(self._turned.x_train)}"
            " others, turned by a quarter, each once"
        )

    def rows(self, records: Path) -> Iterator[AdapterRow]:
        """A row per run; those that a former call left in the file are not run again."""
        tried = [(self.setup, m, rate, 0) for m in METHODS for rate in RATES]
        first = list(missing_rows(records, AdapterRow, tried, self._run))
        yield from first
        best = {m: max((r for r in first if r.method == m), key=_validated).rate for m in METHODS}
        later = [(self.setup, m, best[m], s) for s in range(1, self.seeds) for m in METHODS]
        yield from missing_rows(records, AdapterRow, later, self._run)

    def _run(self, key: tuple[object, ...]) -> AdapterRow:
        _, method, rate, seed = key
        changes = METHODS[str(method)]
        recipe = self._recipe([*changes, f"seed={seed}", f"optimizer.lr={rate}"])
        plan = load_weights(compile_recipe(recipe, witness=False), self._weights(recipe))
        data = self._turned
        report = train(plan, _arrays(data), executor="jax")
        trained = replace(plan, tensors=report.tensors, masks=report.masks)
        return AdapterRow(
            setup=self.setup,
            method=str(method),
            rate=recipe.optimizer.lr,
            seed=recipe.seed,
            validation=_accuracy(trained, *self._validation),
            turned=_accuracy(trained, data.x_test, data.y_test),
            upright=_accuracy(trained, self._base.x_test, self._base.y_test),
            trained=sum(plan.tensors[n].numel() for s in plan.stages.stages for n in s.trained),
            state_bytes=state_bytes(plan),
            macs=plan.document.totals.macs_effective,
            seconds=report.train_s,
            machine=machine_line(),
        )

    def _weights(self, recipe: Recipe) -> dict[str, Tensor]:
        """Trained weights of the base, by their names there; the same for every rate."""
        key = recipe.sparsity, recipe.seed
        if key not in self._bases:
            sparse = [] if recipe.sparsity is None else [SPARSE]
            base = self._recipe([FULL, *sparse, f"seed={recipe.seed}", "optimizer.lr=0.1"])
            plan = compile_recipe(base, witness=False)
            self._bases[key] = dict(train(plan, _arrays(self._base), executor="jax").tensors)
        return self._bases[key]

    @cached_property
    def _bases(self) -> dict[tuple[object, int], dict[str, Tensor]]:
        return {}

    def _recipe(self, changes: Sequence[str] = ()) -> Recipe:
        side = self._loaded.x_train.shape[-1]
        width = 128 if side > 8 else 64
        sized = [f"input.shape=[1,{side},{side}]", f"model.options.image_size={side}"]
        return shipped_recipe(
            "lora", [*sized, f"model.options.width={width}", "epochs=1", *changes]
        )

    @cached_property
    def _loaded(self) -> Dataset:
        """Pixels from 0 to 1, samples in an order of their own."""
        found = load_data(self.data)
        order = np.random.default_rng(0).permutation(len(found.x_train))
        return Dataset(
            found.name,
            _images(found.x_train[order]),
            found.y_train[order],
            _images(found.x_test),
            found.y_test,
            found.normalization,
        )

    @cached_property
    def _base(self) -> Dataset:
        data, most = self._loaded, min(self.base_samples, len(self._loaded.x_train) // 2)
        return _part(data, slice(0, most), 0)

    @cached_property
    def _turned(self) -> Dataset:
        first = len(self._base.x_train)
        return _part(self._loaded, slice(first, first + self.samples), 1)

    @property
    def _validation(self) -> tuple[np.ndarray, np.ndarray]:
        first = len(self._base.x_train) + self.samples
        held = _part(self._loaded, slice(first, first + _HELD_OUT), 1)
        return held.x_train, held.y_train


def state_bytes(plan: Plan) -> int:
    """Of weights with their indices, optimizer, gradients and FIFOs, on the fullest PE of each
    stage times its PEs."""
    held = 0
    for stage in plan.document.stages:
        memory, region = stage.memory_per_pe, stage.region
        classes = memory.weights_bytes + memory.optimizer_bytes + memory.gradient_bytes
        held += classes * region.height * region.width
    return held + fifo_bytes(plan)


def adapters_table(rows: Sequence[AdapterRow]) -> TableText:
    """A row per method at its best rate."""
    headers = ["method", "rate", "trained weights", "turned, %", "upright, %", "MACs a sample"]
    headers += ["weights, optimizer, gradients, FIFOs [kB]", "seeds"]
    return headers, [_line(best_of(rows, method)) for method in METHODS if best_of(rows, method)]


def best_of(rows: Sequence[AdapterRow], method: str) -> list[AdapterRow]:
    """The runs of a method at the rate that the validation samples of the first seed choose."""
    own = [row for row in rows if row.method == method]
    first = [row for row in own if row.seed == 0]
    rate = max(first, key=_validated).rate if first else None
    return [row for row in own if row.rate == rate]


def _line(rows: Sequence[AdapterRow]) -> list[str]:
    one = rows[0]
    return [
        *(one.method, f"{one.rate:g}", f"{one.trained:,}"),
        with_error([100 * row.turned for row in rows], 2),
        with_error([100 * row.upright for row in rows], 2),
        f"{fmean(row.macs for row in rows):,.0f}",
        f"{fmean(row.state_bytes for row in rows) / 1e3:,.1f}",
        str(len(rows)),
    ]


def adapters_page(rows: Sequence[AdapterRow]) -> str:
    """The table in Markdown, with what was run and on what."""
    lines = [
        *dict.fromkeys(f"- {row.setup}" for row in rows),
        f"- pipelined at batch size 1; rates {', '.join(f'{rate:g}' for rate in RATES)} at batch"
        " 64, chosen by validation samples of the first seed; mean ± standard error over the seeds",
        *dict.fromkeys(f"- {row.machine}" for row in rows),
    ]
    return "\n".join([*lines, "", markdown(adapters_table(rows)), ""])


def _validated(row: AdapterRow) -> float:
    return row.validation


def _images(x: np.ndarray) -> np.ndarray:
    """(N, 1, side, side) float32 from 0 to 1."""
    x = x.reshape(len(x), 1, *x.shape[-2:]).astype(np.float32)
    return x / max(1.0, float(x.max()))


def _part(data: Dataset, rows: slice, turns: int) -> Dataset:
    x, x_test = (np.rot90(x, turns, (2, 3)).copy() for x in (data.x_train[rows], data.x_test))
    return Dataset(
        data.name, x, data.y_train[rows], x_test, data.y_test, normalization=data.normalization
    )


def _arrays(data: Dataset) -> tuple[np.ndarray, ...]:
    return data.x_train, data.y_train, data.x_test, data.y_test


def _accuracy(plan: Plan, x: np.ndarray, y: np.ndarray) -> float:
    scores = predict(plan, x, executor="jax")[0]
    return float((scores.argmax(1) == y).mean())
