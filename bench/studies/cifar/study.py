"""The study of CIFAR-10: which runs there are, in which order, and how one is done."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ....runtime.data import Splits, load_data
from ...machine import machine_line
from ..searched import Search
from ..training import Record, RunSetting
from .by_torch import run_by_torch
from .by_weft import run_by_weft
from .kept import RunOutcome
from .recipe import BATCH, BY_TORCH, METHODS, RATE, VALIDATION

EPOCHS, SEARCH_EPOCHS = 5, 1
_FACTORS = (0.5, 1.0, 2.0)
_SEARCH_SEEDS, _SEEDS = (100,), (0, 1, 2)

Runner = Callable[[RunSetting, int, Splits, Path], RunOutcome]


@dataclass(frozen=True)
class CifarStudy:
    """Runs on the images of `data`; what an unfinished run goes on from is kept in `progress`.

    A run that is scored on the part for validation, to choose a rate, is shorter than one that is
    tested. Raises UserError for files that are not CIFAR-10's.
    """

    data: Splits
    progress: Path
    name: str = "cifar10"
    epochs: int = EPOCHS
    rate: float = RATE
    methods: tuple[str, ...] = METHODS
    validation: object = VALIDATION
    search_epochs: int = SEARCH_EPOCHS

    @property
    def setup(self) -> str:
        """All that decides a result beside the setting and the epochs, in words."""
        held = round(VALIDATION * len(self.data.train))
        tested = 0 if self.data.test is None else len(self.data.test)
        return (
            "ResNet-20 (pre-activation, width 16); SGDM, momentum 0.9, weight decay 2e-4, cosine"
            f" schedule with a warm-up of 0.05, rates as of batch size {BATCH}; at batch size 1"
            " rate and momentum are scaled to it (weft.optim.scale_to_batch_size) and Online"
            " Normalization decays by 1023/1024 and 127/128; images padded by 4 and cropped,"
            f" half mirrored; {len(self.data.train) - held} training, {held} validation and"
            f" {tested} test images"
        )

    def epochs_of(self, setting: RunSetting) -> int:
        """How long a run is."""
        return self.epochs if setting.part == "test" else self.search_epochs

    def key(self, setting: RunSetting) -> tuple[object, ...]:
        """What running a setting measures; the key of its record."""
        run = setting.method, setting.factor, setting.seed, setting.part
        return (self.name, self.setup, self.epochs_of(setting), *run)

    def search(self) -> Search:
        """The same three rates for every method, each for one epoch, before any seed at the best.

        First of all is one run of each at the usual rate, which has not been searched.
        """
        order = (*(m for m in METHODS if m != BY_TORCH), BY_TORCH)
        usual = tuple(RunSetting(method, 1.0, _SEEDS[0]) for method in order)
        return Search(self, _FACTORS, _SEARCH_SEEDS, _SEEDS, first=usual)

    def measure(self, settings: Iterable[RunSetting]) -> Iterator[Record]:
        """Run settings in their order, one record as each is done."""
        for setting in settings:
            folder = self.progress / _folder(setting)
            folder.mkdir(parents=True, exist_ok=True)
            runner: Runner = run_by_torch if setting.method == BY_TORCH else run_by_weft
            made = runner(setting, self.epochs_of(setting), self.data, folder)
            yield self._record(setting, made)

    def _record(self, setting: RunSetting, made: RunOutcome) -> Record:
        return Record(
            experiment=self.name,
            setup=self.setup,
            method=setting.method,
            factor=setting.factor,
            rate=setting.factor * self.rate,
            seed=setting.seed,
            epochs=self.epochs_of(setting),
            first_delay=made.first_delay,
            samples=made.samples,
            accuracy=made.accuracy or 0.0,
            loss=made.loss,
            diverged=made.loss is None,
            seconds=made.seconds,
            machine=machine_line(),
            part=setting.part,
        )


def cifar_study(data: Path, progress: Path) -> CifarStudy:
    """The study on a folder of CIFAR-10's .bin files; raises UserError for other content."""
    return CifarStudy(load_data(str(data)).splits, progress)


def _folder(setting: RunSetting) -> str:
    words = "-".join(re.findall(r"\w+", setting.method))
    return f"{words}-x{setting.factor:g}-seed{setting.seed}-{setting.part}"
