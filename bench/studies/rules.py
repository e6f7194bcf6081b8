"""The experiments on update rules: a network of text, a search of equal size for each rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ...backend.optim import StageRates, UpdateRule, build_rule
from ...compiler.plan.training import stepped_by_element
from ...runtime.data import Dataset, load_data
from ...runtime.tick.job import Job
from .searched import Search
from .text import DEFAULT_TEXT, SMALL, TextJobs, TextNetwork
from .training import SEQUENTIAL, Experiment, RunSetting

_RATE = 3e-3
_FACTORS = (1 / 3, 2 / 3, 4 / 3, 8 / 3, 16 / 3, 32 / 3)
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


@dataclass(frozen=True)
class RulesStudy:
    """A network, the rules that are tried on it, and how many windows of a text it is trained on,
    drawn at random (0: all but those for validation)."""

    name: str
    network: TextNetwork
    words: str
    methods: tuple[str, ...]
    windows: int = 0


RULES = RulesStudy("update rules", SMALL, "the network of the text", tuple(METHODS))
_MILLION = TextNetwork(blocks=5, width=128, heads=4, window=64)
GPT = RulesStudy(
    "update rules, a million weights",
    _MILLION,
    _MILLION.words,
    (
        f"adamw, {SEQUENTIAL}",
        f"muon, {SEQUENTIAL}",
        "adamw",
        "adamw + stage rates",
        "muon + stash",
        "muon + stash + stage rates",
    ),
    windows=4000,
)


def rules_search(path: Path = DEFAULT_TEXT, study: RulesStudy = RULES, epochs: int = 1) -> Search:
    """The last tenth of the training windows is for validation.

    Raises UserError for a text that is too short, and UnknownNameError for one that is not there.
    """
    whole = load_data(str(path), (study.network.window,))
    cut = round((1 - _VALIDATION) * len(whole.x_train))
    chosen = _chosen(cut, study.windows)
    data = replace(whole, x_train=whole.x_train[chosen], y_train=whole.y_train[chosen])
    experiment = Experiment(
        name=study.name,
        setup=_setup(study, data, len(whole.x_train) - cut),
        data=data,
        epochs=epochs,
        rate=_RATE,
        methods=study.methods,
        job=_RuleJobs(TextJobs("adamw", _RATE, epochs * len(chosen), study.network)),
        validation=(whole.x_train[cut:], whole.y_train[cut:]),
    )
    return Search(experiment, _FACTORS, _SEARCH_SEEDS, _SEEDS)


def _chosen(count: int, windows: int) -> np.ndarray:
    """Which of so many windows are trained on, in their order."""
    drawn = np.random.default_rng(0).permutation(count)[: windows or count]
    return np.sort(drawn)


@dataclass(frozen=True)
class _RuleJobs:
    """The job of a setting, with the network and the schedule of `text`."""

    text: TextJobs

    def __call__(self, setting: RunSetting) -> Job:
        job = self.text(replace(setting, method=SEQUENTIAL))
        rule = METHODS[setting.method](self.text.updates)
        return replace(job, rule=rule, by_element=stepped_by_element(job.stages, None))


def _setup(study: RulesStudy, data: Dataset, validation: int) -> str:
    return (
        f"{study.words}; the rate of every rule is chosen by validation loss at"
        f" seed {_SEARCH_SEEDS[0]}, then run with other seeds at the best and tested;"
        f" stage rates divide by 1 + D/{_STAGE_DELAY:g}; bytes of {data.name}:"
        f" {len(data.x_train)} windows to train, {validation} for validation,"
        f" {len(data.x_test)} to test"
    )
