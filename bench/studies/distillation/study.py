"""`weft bench distillation`: rows of seeds, and the tables of the page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from torch import nn

from ....backend.errors import UserError
from ...machine import machine_line
from ..evidence import TableText, markdown
from ..kept import missing_rows
from ..paced import with_error
from .codec import Bytes, codec_at
from .runs import PRUNED, WHOLE, StudySizes, Tuners, decoder_blocks, measured
from .whole import model_at, tiny
from .words import Words


@dataclass(frozen=True)
class SeedRow:
    """What `measured` gave for a seed."""

    setup: str
    seed: int
    choices: list[dict[str, float]]
    first: int
    plans: dict[str, dict[str, float]]
    own: float
    methods: dict[str, dict[str, float]]
    seconds: float
    machine: str

    @property
    def key(self) -> tuple[object, ...]:
        """What was run."""
        return self.setup, self.seed


@dataclass(frozen=True)
class DistillationStudy:
    """The runs on a text."""

    text: Path
    seeds: int = 3
    sizes: StudySizes = field(default_factory=StudySizes)

    @property
    def setup(self) -> str:
        """All that decides the results beside the seed, in words."""
        s, found = self.sizes, self._words
        own = f"{len(found.words)} words, {len(found.words_test)} others in the test"
        trained = f"{s.steps} steps in eager torch"
        whole = f"Llama of bytes, {s.blocks} blocks of width {s.width}, {trained}"
        if s.model is not None:
            whole = f"{type(self._start).__name__} at {s.model}, {found.codec.name}, {trained}"
        return (
            f"{whole} on windows of {self.text.name}, of answers in its own style and of answers"
            f" that it rewrites ({own}); {s.removed} blocks removed, calibrated on"
            f" {s.calibration} windows; tuned pipelined at batch 1 on {s.examples} answers of"
            f" another style, {s.epochs} epochs, AdamW and lwp, rate {s.rate:g} (adapters"
            f" {2 * s.rate:g}), a stage per block"
        )

    @property
    def keys(self) -> list[tuple[object, ...]]:
        """A row per seed."""
        return [(self.setup, seed) for seed in range(self.seeds)]

    def rows(self, records: Path) -> Iterator[SeedRow]:
        """A row per key; those that a former run left in the file are not run again.

        Raises UserError for a model that cannot be pruned so, or knows fewer tokens than there are.
        """
        self._check()
        return missing_rows(records, SeedRow, self.keys, self._run)

    def _run(self, key: tuple[object, ...]) -> SeedRow:
        seed, began = int(str(key[1])), time.perf_counter()
        found: dict[str, Any] = measured(self.sizes, self._words, self._tuners, seed)
        seconds = time.perf_counter() - began
        return SeedRow(self.setup, seed, **found, seconds=seconds, machine=machine_line())

    @cached_property
    def _words(self) -> Words:
        path = self.sizes.model
        return Words.of(self.text, Bytes() if path is None else codec_at(path))

    @cached_property
    def _tuners(self) -> Tuners:
        return Tuners(self.sizes, self._words.window)

    @cached_property
    def _start(self) -> nn.Module:
        sizes = self.sizes
        return tiny(sizes.blocks, sizes.width) if sizes.model is None else model_at(sizes.model)

    def _check(self) -> None:
        decoder_blocks(self._start, self.sizes.removed)
        start: Any = self._start
        known, codec = start.get_input_embeddings().num_embeddings, self._words.codec
        if known < codec.vocabulary:
            raise UserError(
                f"model {self.sizes.model}",
                expected=f"a vocabulary of at least {codec.vocabulary}, which {codec.name} need",
                got=str(known),
                change="save the model's tokenizer beside it, or give another --model",
            )


def choice_table(rows: Sequence[SeedRow]) -> TableText:
    """For each seed: the choice, and what it and the others do to the loss before any tuning."""
    headers = ["seed", "blocks removed from", "angle, pi", "text loss, nats", "mean of all choices"]
    headers += ["best", "worst", "whole"]
    table = []
    for row in rows:
        losses = [choice["text_loss"] for choice in row.choices]
        numbers = [losses[row.first], fmean(losses), min(losses), max(losses)]
        numbers.append(row.methods[WHOLE]["text_loss"])
        chosen = row.choices[row.first]["distance"]
        table.append(
            [str(row.seed), str(row.first), f"{chosen:.3f}", *(f"{n:.3f}" for n in numbers)]
        )
    return headers, table


def plan_table(rows: Sequence[SeedRow]) -> TableText:
    """The plans of the whole model and of the pruned one."""
    names = {
        "parameters": "parameters",
        "stages": "stages",
        "first_delay": "first delay, updates",
        "macs": "products per sample",
        "pes": "PEs",
        "interval_cycles": "interval, cycles",
        "latency_cycles": "latency, cycles",
        "samples_per_s": "samples/s",
    }
    whole, pruned = (rows[0].plans[name] for name in (WHOLE, PRUNED))
    return ["", WHOLE, PRUNED, "change"], [
        [
            text,
            f"{whole[key]:,.0f}",
            f"{pruned[key]:,.0f}",
            f"{pruned[key] / whole[key] - 1:+.1%}",
        ]
        for key, text in names.items()
    ]


def method_table(rows: Sequence[SeedRow]) -> TableText:
    """A row per way of tuning, standard errors over the seeds."""
    headers = ["model", "text loss, nats", "above whole", "words right, %", "seeds"]
    table = []
    for method in rows[0].methods:
        own = [row.methods[method] for row in rows]
        whole = [row.methods[WHOLE] for row in rows]
        gaps = [m["text_loss"] - w["text_loss"] for m, w in zip(own, whole, strict=True)]
        table.append(
            [
                method,
                with_error([m["text_loss"] for m in own], 3),
                "" if method == WHOLE else with_error(gaps, 3, "+"),
                with_error([100 * m["right"] for m in own], 1),
                str(len(own)),
            ]
        )
    return headers, table


TABLES: dict[str, Callable[[Sequence[SeedRow]], TableText]] = {
    "Which blocks": choice_table,
    "The plans": plan_table,
    "Tuning": method_table,
}


def distillation_page(rows: Sequence[SeedRow], planned: int) -> str:
    """The tables in Markdown, with what was run and on what."""
    left = planned - len(rows)
    own = fmean(row.own for row in rows)
    lines = [
        *([f"**Not finished: {left} of {planned} seeds are missing.**\n"] if left else []),
        *dict.fromkeys(f"- {row.setup}" for row in rows),
        f"- mean ± standard error over the seeds; the whole model wrote {own:.1%} of the answers",
        *dict.fromkeys(f"- {row.machine}" for row in rows),
    ]
    for title, table in TABLES.items():
        lines += ["", f"{title}:", "", markdown(table(rows))]
    return "\n".join([*lines, ""])
