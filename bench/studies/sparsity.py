"""`weft bench sparsity`: sparse training of the demo's network beside dense, on digits.

A method is 'dense', or an algorithm and the share of weights that are zero, as in 'rigl 0.9'.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from ...backend.errors import UserError
from ...backend.sparsity import algorithms
from ...compiler.plan.plan import Plan
from ...compiler.recipes.build import compile_recipe
from ...compiler.recipes.read import shipped_recipe
from ...compiler.recipes.recipe import Recipe
from ...runtime.data import load_data
from ...runtime.tick.job import Job
from .digits import recipe_job
from .training import Experiment, RunSetting

DENSE = "dense"
ALGORITHMS = ("static", "set", "rigl")
LEVELS = (0.75, 0.9)

_RATE = "optimizer.lr=3e-4"
"""Three times the demo's, which trains for longer."""

_UPDATES = 8
"""Mask updates of a run, evenly spread over its first three quarters."""


def sparsity_experiment(
    epochs: int = 5,
    algorithms: Sequence[str] = ALGORITHMS,
    levels: Sequence[float] = LEVELS,
    overrides: Iterable[str] = (),
) -> Experiment:
    """The demo's recipe under every algorithm and level. Seeds set weights, masks and order.

    Raises UserError for a name or a level that is not offered, overrides that do not fit, and
    without scikit-learn.
    """
    _check(algorithms, levels)
    data = load_data("digits")
    jobs = _SparsityJobs(tuple(overrides), epochs * len(data.x_train))
    recipe = jobs.recipe()
    optimizer, set_ = recipe.optimizer, jobs.config("rigl", levels[0])
    return Experiment(
        name="sparsity",
        setup=f"{recipe.model.name}, {recipe.normalization.kind} norm; weights of convolutions and"
        f" linear layers, {set_['distribution']}; masks of set and rigl change every"
        f" {set_['update']['freq']} samples until {set_['update']['stop']}, drop fraction 0.3 to 0"
        f" (cosine), dense gradients of {set_['gradient_steps']} samples; {optimizer.name}, lr"
        f" {optimizer.lr:g}, momentum {optimizer.own_momentum:g}, {recipe.pipeline.compensation};"
        f" {data.name}: {len(data.x_train)} training and {len(data.x_test)} test samples",
        data=data,
        epochs=epochs,
        rate=optimizer.lr,
        methods=(DENSE, *(f"{name} {level}" for level in levels for name in algorithms)),
        job=jobs,
        program=_program,
    )


def sparse_recipe(
    algorithm: str, level: float, epochs: int, overrides: Iterable[str] = ()
) -> Recipe:
    """The recipe of one method of that experiment. Raises UserError as that does."""
    _check([algorithm], [level])
    jobs = _SparsityJobs(tuple(overrides), epochs * len(load_data("digits").x_train))
    config = json.dumps(jobs.config(algorithm, level))
    return jobs.recipe([f"sparsity={config}", f"epochs={epochs}"])


def _program(setting: RunSetting) -> str:
    """Dense is static with nothing pruned; sparsity alone needs no other program."""
    name = setting.method.partition(" ")[0]
    return "static" if name == DENSE else name


@dataclass(frozen=True)
class _SparsityJobs:
    """The job of a setting; the stages are compiled once, at the first."""

    overrides: tuple[str, ...]
    updates: int

    def __call__(self, setting: RunSetting) -> Job:
        name, _, level = setting.method.partition(" ")
        config = self.config("static", 0.0) if name == DENSE else self.config(name, float(level))
        changes = [f"sparsity={json.dumps(config)}", f"seed={setting.seed}"]
        changes.append(f"optimizer.lr={setting.factor * self.recipe().optimizer.lr}")
        return recipe_job(self._plan, self.recipe(changes), self.updates, setting.mode)

    def config(self, algorithm: str, level: float) -> dict[str, Any]:
        """The recipe's sparsity. ERK, since small layers suffer most from a uniform share."""
        static = {"algorithm": algorithm, "sparsity": level, "distribution": "erk"}
        if algorithm == "static":
            return static
        stop = max(2, self.updates * 3 // 4)
        freq = max(1, stop // _UPDATES)
        drop = {"type": "cosine", "init": 0.3, "half_period": stop}
        keys = {"update": {"freq": freq, "stop": stop}, "drop_fraction": drop}
        return static | keys | ({"gradient_steps": min(100, freq)} if algorithm == "rigl" else {})

    def recipe(self, changes: Iterable[str] = ()) -> Recipe:
        return shipped_recipe("demo", [_RATE, *self.overrides, *changes])

    @cached_property
    def _plan(self) -> Plan:
        return compile_recipe(self.recipe())


def _check(names: Sequence[str], levels: Sequence[float]) -> None:
    offered = [name for name in algorithms() if name != "gmp"]
    if not set(names) <= set(offered) or not all(0 < level < 1 for level in levels):
        raise UserError(
            "weft bench sparsity",
            expected=f"algorithms among {', '.join(offered)}; levels between 0 and 1",
            got=f"{', '.join(names)}; {', '.join(map(str, levels))}",
            change="correct --algorithm or --level",
        )
