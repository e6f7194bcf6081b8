"""What becomes of a recipe: compiled and simulated; what does not fit is a result, too."""

from __future__ import annotations

import json
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import replace

from ...backend.errors import InfeasibleError, UserError
from ...compiler.pipeline import Chosen, GraphCompiler
from ...compiler.plan.evidence import PlanFigures
from ...compiler.recipes.build import graph_compiler
from ...compiler.recipes.read import make_recipe
from ...compiler.recipes.recipe import Recipe
from ...compiler.targets.load import load_target
from ...sim.simulate import simulate
from .outcome import Outcome, Simulated

_MODELS_KEPT = 2
_CHECKED = 8
"""Of so many points of a model one plan is checked in full, beginning with the first: that takes a
tenth of a point's time."""
_OWN_NAMES = {"initiation_interval_cycles": "interval_cycles"}


def evaluate(recipe: Recipe, overrides: Iterable[str] = (), samples: int = 1000) -> Outcome:
    """What becomes of a recipe with `key=value` overrides: the same in any process, at any time.

    Raises UserError for overrides that the recipe does not take.
    """
    data = recipe.model_dump(mode="json", exclude_unset=True)
    return Evaluator(samples)(make_recipe(data, overrides))


class Evaluator:
    """Evaluates recipes one after the other; those of one model share its captured graph.

    `on_capture` is called after each capture.
    """

    def __init__(self, samples: int = 1000, on_capture: Callable[[], None] = lambda: None) -> None:
        self._samples, self._on_capture = samples, on_capture
        self._models: OrderedDict[str, GraphCompiler] = OrderedDict()
        self._planned: Counter[GraphCompiler] = Counter()
        self._failed: dict[str, UserError] = {}

    @property
    def models(self) -> tuple[GraphCompiler, ...]:
        """Those captured last."""
        return tuple(self._models.values())

    def __call__(self, recipe: Recipe) -> Outcome:
        """Whatever it is that a recipe has no plan for is a value, too."""
        try:
            target = load_target(recipe.target.name, recipe.target.overrides)
            model = self._model(recipe)
            return self._simulated(model, model.choose(target))
        except UserError as error:
            return _refused(error)

    def _simulated(self, model: GraphCompiler, chosen: Chosen) -> Outcome:
        """Raises UserError for what stands against a plan, or its simulation, other than size."""
        run = replace(model.options.driver, verifies=self._planned[model] % _CHECKED == 0)
        self._planned[model] += 1
        try:
            plan = model.plan(chosen, run=run).document
        except InfeasibleError as error:
            demand = model.fitting.demand(chosen.setting)
            return replace(_refused(error), demand=demand)
        report, totals = simulate(plan, self._samples), plan.totals
        bars, assumed = _of_run(report.run_figures)
        return Outcome(
            Simulated(
                throughput_samples_per_s=report.throughput_samples_per_s,
                interval_cycles=report.initiation_interval_cycles,
                latency_s=report.forward_latency_s,
                pes=totals.pes_used,
                wafers=totals.wafers_used,
                stages=len(plan.stages),
                memory_share=totals.memory_share,
                bound_by=report.bound_by,
                error_bars=bars,
                assumed=assumed,
            )
        )

    def _model(self, recipe: Recipe) -> GraphCompiler:
        """The recipe's captured graph; a recipe that differs in its target only has the same.

        Raises UserError for one that cannot be captured, which is not tried twice.
        """
        key = model_key(recipe)
        if key in self._failed:
            raise self._failed[key]
        if key not in self._models:
            try:
                self._models[key] = graph_compiler(recipe)
            except UserError as error:
                self._failed[key] = error.with_traceback(None)
                raise
            self._on_capture()
            while len(self._models) > _MODELS_KEPT:
                del self._planned[self._models.popitem(last=False)[1]]
        self._models.move_to_end(key)
        return self._models[key]


def _refused(error: UserError) -> Outcome:
    """What would make something fit is not sought for each point."""
    change = "" if isinstance(error, InfeasibleError) else error.change
    return Outcome(None, f"{error.where}: {error.got}", change)


def _of_run(figures: PlanFigures) -> tuple[dict[str, list[float]], list[str]]:
    """Error bars, and which figures are assumed, by the names that Simulated has for them."""
    bars = {_OWN_NAMES.get(name, name): list(bar) for name, bar in figures.bars().items()}
    return bars, [_OWN_NAMES.get(name, name) for name in figures.assumed()]


def model_key(recipe: Recipe) -> str:
    """Equal for recipes that differ in nothing but the target."""
    data = recipe.model_dump(mode="json")
    del data["target"]
    return json.dumps(data, sort_keys=True)
