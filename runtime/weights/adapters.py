"""Adapters of a plan: in and out under PEFT's names, and the names of the model below them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ...backend.errors import UserError
from ...backend.nn.lora import LoRA
from ...backend.nn.lora import files as lora_files
from ...compiler.plan.plan import Plan
from ...compiler.recipes.carried import carried_recipe
from ...compiler.recipes.read import make_recipe

_FACTOR = re.compile(r"(^|\.)lora_\w+(\.weight)?$")
_OWN = re.compile(r"(^|\.)(lora_\w+(\.weight)?|prompt|mask)$")


def is_adapter(path: Path) -> bool:
    """Whether a path is a folder as PEFT saves adapters."""
    return (path / lora_files.CONFIG).is_file()


def base_names(names: Collection[str]) -> dict[str, str | None]:
    """Names of a plan's tensors -> those of the model before it was adapted; None: it had none.

    Empty for a model without adapters.
    """
    wraps = {name[: found.start()] for name in names if (found := _OWN.search(name))}
    if not wraps:
        return {}
    return {name: _base_name(name, wraps) for name in names}


def _base_name(name: str, wraps: Collection[str]) -> str | None:
    own = _OWN.search(name)
    if own and name[: own.start()] in wraps:
        return None
    for inner in ("base_layer", "table"):
        path, found, rest = name.rpartition(f".{inner}.")
        if found and path in wraps:
            return f"{path}.{rest}"
    return name


def load_adapter(plan: Plan, folder: Path) -> Plan:
    """The plan with the low-rank factors of a folder, weft's or PEFT's; all else stays.

    Raises UserError for a plan without such adapters, and for names, shapes or a scale that are
    not the plan's.
    """
    config, factors = _config(plan, folder), _factors(plan)
    lora_files.check_scale(folder, config)
    found = lora_files.read(folder, factors)
    cast = {name: value.to(factors[name].dtype) for name, value in found.items()}
    return replace(plan, tensors={**plan.tensors, **cast})


def save_adapter(plan: Plan, folder: Path) -> None:
    """Write the low-rank factors of a plan as PEFT does. Raises UserError for one without."""
    lora_files.write(_factors(plan), folder, _config(plan, folder))


def check_adapted(plan: Plan, folder: Path) -> None:
    """Raises UserError for a plan whose recipe has no low-rank adapters."""
    _config(plan, folder)


def _factors(plan: Plan) -> Mapping[str, Tensor]:
    names = (name for stage in plan.stages.stages for name in stage.parameters)
    return {name: plan.tensors[name] for name in sorted(names) if _FACTOR.search(name)}


def _config(plan: Plan, folder: Path) -> LoRA:
    keys = make_recipe(carried_recipe(plan), where="the plan's recipe").adapters
    if not keys.targets or keys.prompt_length is not None:
        raise UserError(
            f"adapter {folder}",
            expected="a plan of a recipe with low-rank adapters alone (adapters.targets)",
            got="one with a soft prompt" if keys.prompt_length else "one without",
            change="for all weights by name: weft checkpoint export; of a model adapted in Python:"
            " weft.nn.lora.save",
        )
    return keys.lora
