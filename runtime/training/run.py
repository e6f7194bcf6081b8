"""One run: a plan, its data, and how it is trained, kept and reported."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ...compiler.plan.plan import Plan
from ...compiler.plan.program import Stages
from ...compiler.recipes.carried import carried_recipe
from ...compiler.recipes.read import make_recipe
from ...compiler.recipes.recipe import Recipe
from ..checkpoint import digest_of, found_in, locked
from ..jax.shards.balance import split_plan
from ..jax.shards.processes import check_alike, is_first, is_joined
from ..tick.make_job import make_job
from ..tick.shard import Shards
from .device_failure import device_failures
from .disk_failure import disk_failures
from .keeping import Keeping
from .map_watch import MapWatch
from .order import order_of
from .phases import joined, phase_plan
from .predict import warn_of_mode
from .recipe_data import recipe_data
from .report import RunReport
from .reporting import Reporting
from .scores import Scoring
from .trainer import train


@dataclass(frozen=True)
class Run:
    """What `weft.train` is asked for; `settings` are overrides of the recipe, `key=value`."""

    plan: Plan
    data: object
    settings: tuple[str, ...] = ()
    executor: str | None = None
    device: str | None = None
    devices: int | None = None
    keeping: Keeping = field(default_factory=Keeping)
    reporting: Reporting = field(default_factory=Reporting)

    def train(self) -> RunReport:
        """Train all phases of the recipe, or the one run if it has none. Raises as weft.train."""
        resume = self.keeping.resume
        if resume is None or (resume / phase_name(0)).is_dir():
            carried = carried_recipe(self.plan)
            recipe = make_recipe(carried, self.settings, where="the plan's recipe")
            if recipe.phases:
                return self._phases(recipe)
        return self._train()

    def _phases(self, recipe: Recipe) -> RunReport:
        reports: list[RunReport] = []
        kept = self.keeping.resume or self.keeping.checkpoint
        log = self.reporting.log
        for number in range(len(recipe.phases)):
            directory = kept and kept / phase_name(number)
            goes_on = self.keeping.resume and directory and found_in(directory)
            where = (None, directory) if goes_on else (directory, None)
            phase = replace(
                self,
                plan=phase_plan(self.plan, recipe, number, reports[-1] if reports else None),
                settings=(),
                keeping=replace(self.keeping, checkpoint=where[0], resume=where[1]),
                reporting=replace(self.reporting, log=log and log / phase_name(number)),
            )
            reports.append(phase.train())
        return joined(reports)

    def _train(self) -> RunReport:
        plan, keeping, reporting = self.plan, self.keeping, self.reporting
        start = keeping.start()
        origin, where = carried_recipe(plan), "the plan's recipe"
        if start is not None:
            origin, where = start.header.recipe, "resume"
        recipe = make_recipe(origin, self.settings, where=where)
        splits = recipe_data(plan, recipe, self.data)
        header = keeping.header(plan, recipe, splits, self.executor, start)
        check_alike(
            version=header.weft_version,
            plan=header.plan,
            weights=digest_of(plan.tensors) if is_joined() else "",
            data=header.data_digest,
            recipe=sorted(header.recipe.items()),
            checkpoint=start and (start.path.name, start.header.samples),
        )
        order = order_of(recipe, splits, start)
        directory, begun = keeping.directory(start), start and start.path
        job = make_job(plan, recipe, recipe.epochs * len(splits.train), recipe.pipeline.mode)
        watch = MapWatch(plan, stops=recipe.training.new_map == "stop")
        job = replace(job, mask_rules=watch.rooms.given_to(job.mask_rules))
        if splits.test is not None or splits.validation is not None:
            warn_of_mode(plan.document)
        scoring = Scoring.of(job.stages, recipe.loss, recipe.training.scores)
        with (
            locked(*((directory, reporting.log) if is_first() else ())),
            disk_failures(directory, begun),
            device_failures(header.executor, directory, begun),
        ):
            store = keeping.store(header, plan, start)
            return train(
                job,
                splits,
                executor=header.executor,
                mode=recipe.pipeline.mode,
                device=self.device,
                shards=_shards(plan, job.stages, self.devices),
                epochs=recipe.epochs,
                seed=recipe.seed,
                evaluate_every=recipe.training.evaluate_every,
                max_nonfinite=recipe.training.max_nonfinite,
                workers=recipe.training.workers,
                averaged_statistics=recipe.training.averaged_statistics,
                scoring=scoring,
                on_start=reporting.on_start if is_first() else None,
                on_progress=reporting.on_progress if is_first() else None,
                logs=reporting.logs(directory, start),
                store=store,
                start=start,
                map_watch=watch,
                order=order,
            )


def phase_name(number: int) -> str:
    """The directory of phase `number` (from 0)."""
    return f"phase-{number + 1}"


def _shards(plan: Plan, stages: Stages, devices: int | None) -> Shards | None:
    """The stages of each of several devices, or None for one device."""
    if devices is None and is_joined():
        import jax

        devices = min(jax.device_count(), len(plan.document.stages))
    if devices is None or devices == 1:
        return None
    return split_plan(plan.document.stages, stages, devices)
