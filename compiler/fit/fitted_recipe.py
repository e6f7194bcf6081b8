"""The recipe of a plan that was made to fit: with the levers that were pulled, so that it gives the
same plan again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from ..targets.target import Target
from .setting import Setting


def fitted_recipe(
    recipe: Mapping[str, object], asked: Target, setting: Setting
) -> Mapping[str, object]:
    """`recipe` with a setting written into it; an empty one stays empty."""
    if not recipe:
        return recipe
    target, pipeline = (cast("dict[str, Any]", recipe[key]) for key in ("target", "pipeline"))
    if setting.target.wafers != asked.wafers:
        overrides = {**target["overrides"], "wafers": str(setting.target.wafers)}
        target = {**target, "overrides": overrides}
    changed: dict[str, Any] = {
        "fit": None,
        "granularity": setting.granularity,
        "recompute": setting.keeping.recompute,
        "reversible": setting.keeping.reversible,
        "off_wafer": setting.keeping.off_wafer,
    }
    if setting.limits is not None:
        changed |= {
            "max_stages": setting.limits.max_stages,
            "max_delay": setting.limits.max_delay,
            "activation_memory": setting.limits.activation_memory,
        }
    return {**recipe, "target": target, "pipeline": {**pipeline, **changed}}
