"""The experiments of `weft bench training` together, and the page that is written as they go."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...backend.errors import UnknownNameError, UserError
from ...backend.optim import compensations
from .cifar.page import cifar_page
from .cifar.study import cifar_study
from .digits import digits_experiment
from .evidence import page
from .quadratic import QuadraticRow, quadratic_rows
from .records import measure_missing
from .rules import GPT, RULES, rules_search
from .searched import Search, measure_search
from .text import DEFAULT_TEXT, OPTIMIZERS, text_experiment
from .training import SEQUENTIAL, Experiment, Record, RunSetting, settings

PARTS = ("quadratic", "digits", "text", "rules")
CIFAR10 = "cifar10"
ALONE = (CIFAR10, "gpt")
"""Experiments with a page of their own. The first needs images."""
_STUDIES = {"rules": RULES, "gpt": GPT}


@dataclass(frozen=True)
class Suite:
    """What to measure.

    `methods` keeps those among SEQUENTIAL and the compensations; none given keeps all. `overrides`
    are of the digits' recipe, `epochs` their epochs; a text is read once. Of 'rules', 'gpt' and
    'cifar10' all methods are run, at rates and seeds of their own; after `limit_s` seconds no run
    of theirs is begun. 'cifar10' is on a folder `images` of CIFAR-10's .bin files; what its
    unfinished runs go on from is kept in `progress`.
    """

    parts: Sequence[str] = PARTS
    methods: Sequence[str] = ()
    factors: Sequence[float] = (1.0, 4.0)
    seeds: int = 3
    epochs: int = 5
    overrides: Sequence[str] = ()
    text: Path = DEFAULT_TEXT
    limit_s: float | None = None
    images: Path | None = None
    progress: Path = Path("weft-bench-training")

    def __post_init__(self) -> None:
        for part in self.parts:
            if part not in (known := (*PARTS, *ALONE)):
                raise UnknownNameError("experiment", part, known, "weft bench training --help")
            if part in ALONE and len(self.parts) > 1:
                raise UserError(
                    f"weft bench training -e {part}",
                    expected="that experiment alone, which has a page of its own",
                    got=f"experiments {', '.join(self.parts)}",
                    change="run the others by a command of their own",
                )
        if CIFAR10 in self.parts and self.images is None:
            raise UserError(
                "weft bench training -e cifar10",
                expected="the images",
                got="no --images",
                change="give -e cifar10 --images FOLDER with CIFAR-10's .bin files",
            )
        for method in self.methods:
            known = (SEQUENTIAL, *compensations())
            if method not in known:
                raise UnknownNameError("method", method, known, "weft bench training --help")

    def experiments(self) -> list[Experiment]:
        """Those that train a network."""
        found = []
        if "digits" in self.parts:
            found.append(digits_experiment(self.epochs, self.overrides))
        if "text" in self.parts:
            found += [text_experiment(optimizer, self.text) for optimizer in OPTIMIZERS]
        return found

    def search(self) -> Search | None:
        """That over update rules, if it is asked for."""
        names = [part for part in self.parts if part in _STUDIES]
        return rules_search(self.text, _STUDIES[names[0]]) if names else None

    def settings(self, experiment: Experiment) -> list[RunSetting]:
        """The runs of an experiment."""
        methods = [m for m in experiment.methods if not self.methods or m in self.methods]
        return settings(methods, self.factors, range(self.seeds))


def run(
    suite: Suite,
    records: Path,
    write: Path | None = None,
    on_record: Callable[[Record], None] | None = None,
) -> tuple[list[Record], list[QuadraticRow]]:
    """Measure what the file of records does not hold yet, and write the page after each record.

    Raises UserError for unfit records, data or recipes, and without jax.
    """
    if CIFAR10 in suite.parts:
        return _run_cifar(suite, records, write, on_record or (lambda record: None)), []
    chosen = [(experiment, suite.settings(experiment)) for experiment in suite.experiments()]
    planned = {experiment.name: len(own) for experiment, own in chosen}
    search = suite.search()
    searched: list[Record] = []
    rows = list(quadratic_rows()) if "quadratic" in suite.parts else []
    found: list[Record] = []
    _write(write, page(found, rows, planned, search, searched))
    for experiment, own in chosen:
        for record in measure_missing(experiment, own, records):
            found.append(record)
            (on_record or (lambda record: None))(record)
            _write(write, page(found, rows, planned, search, searched))
    if search is not None:
        for searched in measure_search(search, records, suite.limit_s):
            _write(write, page(found, rows, planned, search, searched))
            if searched:
                (on_record or (lambda record: None))(searched[-1])
    return found + searched, rows


def _run_cifar(
    suite: Suite, records: Path, write: Path | None, on_record: Callable[[Record], None]
) -> list[Record]:
    assert suite.images is not None
    study = cifar_study(suite.images, suite.progress)
    search, found = study.search(), list[Record]()
    for found in measure_search(search, records, suite.limit_s, study.measure):
        _write(write, cifar_page(search, found))
        if found:
            on_record(found[-1])
    return found


def _write(path: Path | None, text: str) -> None:
    """Beside, then renamed, so that nobody sees half a page."""
    if path is not None:
        beside = path.with_name(f"{path.name}.new")
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
