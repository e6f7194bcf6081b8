"""The experiment on update rules: the text's network, a search of equal size for each rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from ...backend.optim import StageRates, UpdateRule, build_rule
from ...compiler.plan.training import stepped_by_element
from ...runtime.data import Dataset, load_data
from ...runtime.tick.job import Job
from .searched import Search
from .text import DEFAULT_TEXT, WINDOW, TextJobs
from .training import SEQUENTIAL, Experiment, RunSetting

RULES = "update rules"
"""The name of the experiment."""

_RATE = 3e-3
_FACTORS = (1 / 3, 2 / 3, 4 / 3, 8 / 3, 16 / 3)
_SEARCH_SEEDS, _SEEDS = (100,), (0, 1, 2)
_STAGE_DELAY = 10.0
_VALIDATION = 0.1

Make = Callable[[int], UpdateRule]


def _annealed(rule: UpdateRule, updates: int) -> UpdateRule:
    return StageRates(rule, _STAGE_DELAY, updates)


METHODS: dict[str, Make] = {
    f"adamw, {SEQUENTIAL}": lambda updates: build_rule("adamw"),
    f"muon, {SEQUENTIAL}": lambda updates: build_rule("muon"),
    "adamw": lambda updates: build_rule("adamw"),
    "adamw + stage rates": lambda updates: StageRates(build_rule("adamw"), _STAGE_DELAY),
    "muon": lambda updates: build_rule("muon"),
    "muon + stash": lambda updates: build_rule("muon", compensation="stash"),
    "muon + stash + stage rates": lambda updates: StageRates(
        build_rule("muon", compensation="stash"), _STAGE_DELAY
    ),
    "normuon + stash": lambda updates: build_rule("normuon", compensation="stash"),
    "rotated_adamw + stash": lambda updates: build_rule("rotated_adamw", compensation="stash"),
    "rotated_adamw + annealed stage rates": lambda updates: _annealed(
        build_rule("rotated_adamw"), updates
    ),
}
"""By name, for a run of so many updates; one that is not SEQUENTIAL is pipelined."""


def rules_search(path: Path = DEFAULT_TEXT, epochs: int = 1) -> Search:
    """The last tenth of the training windows is for validation.

    Raises UserError for a text that is too short, and UnknownNameError for one that is not there.
    """
    whole = load_data(str(path), (WINDOW,))
    cut = round((1 - _VALIDATION) * len(whole.x_train))
    data = replace(whole, x_train=whole.x_train[:cut], y_train=whole.y_train[:cut])
    jobs = _TextJobs(epochs * cut)
    experiment = Experiment(
        name=RULES,
        setup=_setup(data, len(whole.x_train) - cut),
        data=data,
        epochs=epochs,
        rate=_RATE,
        methods=tuple(METHODS),
        job=jobs,
        validation=(whole.x_train[cut:], whole.y_train[cut:]),
    )
    return Search(experiment, _FACTORS, _SEARCH_SEEDS, _SEEDS)


@dataclass(frozen=True)
class _TextJobs:
    """The job of a setting, on the network of the experiment on text."""

    updates: int

    def __call__(self, setting: RunSetting) -> Job:
        job = self._text(replace(setting, method=SEQUENTIAL))
        rule = METHODS[setting.method](self.updates)
        return replace(job, rule=rule, by_element=stepped_by_element(job.stages, None))

    @cached_property
    def _text(self) -> TextJobs:
        return TextJobs("adamw", _RATE, self.updates)


def _setup(data: Dataset, validation: int) -> str:
    rates = ", ".join(f"{_RATE * factor:g}" for factor in _FACTORS)
    return (
        f"the network of the text; every rule is searched over rates {rates} by validation loss,"
        f" seed {_SEARCH_SEEDS[0]}, then run with other seeds at the best and tested;"
        f" stage rates divide by 1 + D/{_STAGE_DELAY:g}; bytes of {data.name}:"
        f" {len(data.x_train)} windows to train, {validation} for validation,"
        f" {len(data.x_test)} to test"
    )
