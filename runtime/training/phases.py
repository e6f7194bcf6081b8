"""Training in phases: each is a run of its own that starts from the weights of the one before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from ...compiler.plan.plan import Plan
from ...compiler.recipes.read import phase_recipe
from ...compiler.recipes.recipe import Recipe
from .report import RunReport


def phase_plan(plan: Plan, recipe: Recipe, number: int, before: RunReport | None) -> Plan:
    """The plan of phase `number` (from 0), carrying its recipe.

    It has the weights, normalization state and masks that the phase `before` ended with, and
    nothing of its optimizer: momentum starts at zero. In a dense phase every mask keeps all;
    weights that were pruned are zero in the plan, and so they start.
    Raises UserError for optimizer keys that do not fit.
    """
    phase = recipe.phases[number]
    tensors, masks = plan.tensors, plan.masks
    if before is not None:
        tensors, masks = before.tensors, before.masks
    if phase.dense:
        masks = {name: torch.ones_like(mask) for name, mask in masks.items()}
    own = phase_recipe(recipe, number).model_dump(mode="json")
    document = replace(plan.document, recipe=own)
    return replace(plan, document=document, tensors=tensors, masks=masks)


def joined(reports: Sequence[RunReport]) -> RunReport:
    """The reports of consecutive phases as one: samples count on, the end is that of the last."""
    last, offset, scores, new_maps, sparsities = reports[-1], 0, [], [], []
    for report in reports:
        new_maps += [replace(new, samples=new.samples + offset) for new in report.new_maps]
        scores += [replace(score, samples=score.samples + offset) for score in report.scores]
        sparsities += [(samples + offset, share) for samples, share in report.sparsities]
        offset += report.first_loss + len(report.losses)
    names = {name for report in reports for name in report.skipped}
    return replace(
        last,
        epochs=sum(report.epochs for report in reports),
        losses=np.concatenate([report.losses for report in reports]),
        first_loss=reports[0].first_loss,
        resumed_at=reports[0].resumed_at,
        scores=tuple(scores),
        skipped={name: sum(r.skipped.get(name, 0) for r in reports) for name in sorted(names)},
        compile_s=sum(report.compile_s for report in reports),
        train_s=sum(report.train_s for report in reports),
        data_wait_s=sum(report.data_wait_s for report in reports),
        new_maps=tuple(new_maps),
        sparsities=tuple(sparsities),
        passes=tuple(found for report in reports for found in report.passes),
        refused_growth=dict(sum((Counter(r.refused_growth) for r in reports), Counter())),
    )
