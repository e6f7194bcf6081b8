"""Adapters of a plan: in and out under PEFT's names, and the names of the model below them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from ...backend.errors import UserError
from ...backend.nn.lora import files as lora_files
from ...backend.nn.prompt import files as prompt_files
from ...backend.peft_files import CONFIG
from ...compiler.plan.plan import Plan
from ...compiler.recipes.adapters import AdaptersRecipe
from ...compiler.recipes.carried import carried_recipe
from ...compiler.recipes.read import make_recipe

_FACTOR = re.compile(r"(^|\.)lora_\w+(\.weight)?$")
_OWN = re.compile(r"(^|\.)(lora_\w+(\.weight)?|prompt|mask)$")


def is_adapter(path: Path) -> bool:
    """Whether a path is a folder as PEFT saves adapters."""
    return (path / CONFIG).is_file()


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
    """The plan with the low-rank factors or the virtual tokens of a folder, weft's or PEFT's; all
    else stays.

    Raises UserError for a plan without such adapters, and for names, shapes or a scale that are
    not the plan's.
    """
    keys = _keys(plan, folder)
    if keys.prompt_length is not None:
        name, prompt = _prompt(plan)
        found = {name: prompt_files.read(folder, prompt.shape)}
    else:
        lora_files.check_scale(folder, keys.lora)
        found = lora_files.read(folder, _factors(plan))
    cast = {name: value.to(plan.tensors[name].dtype) for name, value in found.items()}
    return replace(plan, tensors={**plan.tensors, **cast})


def save_adapter(plan: Plan, folder: Path) -> None:
    """Write the low-rank factors or the virtual tokens of a plan as PEFT does. Raises UserError
    for a plan that trains neither, both, or other weights beside them."""
    keys = _keys(plan, folder)
    if keys.prompt_length is not None:
        prompt_files.write(_prompt(plan)[1], folder)
    else:
        lora_files.write(_factors(plan), folder, keys.lora)


def check_adapted(plan: Plan, folder: Path) -> None:
    """Raises UserError for a plan whose adapters such a folder does not hold whole."""
    _keys(plan, folder)


def _factors(plan: Plan) -> Mapping[str, Tensor]:
    names = (name for stage in plan.stages.stages for name in stage.parameters)
    return {name: plan.tensors[name] for name in sorted(names) if _FACTOR.search(name)}


def _prompt(plan: Plan) -> tuple[str, Tensor]:
    """The virtual tokens, beside the table of an embedding."""
    names = {name for stage in plan.stages.stages for name in stage.parameters}
    beside = (name.rpartition(".table.")[0] + ".prompt" for name in names if ".table." in name)
    (name,) = {name for name in beside if name in names}
    return name, plan.tensors[name]


def _keys(plan: Plan, folder: Path) -> AdaptersRecipe:
    keys = make_recipe(carried_recipe(plan), where="the plan's recipe").adapters
    both = bool(keys.targets) and keys.prompt_length is not None
    if not keys.are_given or both or keys.trained:
        got = "one with both" if both else "one without"
        raise UserError(
            f"adapter {folder}",
            expected="a plan of a recipe with low-rank adapters (adapters.targets) or a soft prompt"
            " (adapters.prompt_length), and nothing else that trains",
            got=f"adapters.trained of {', '.join(keys.trained)}" if keys.trained else got,
            change="for all weights by name: weft checkpoint export; of a model adapted in Python:"
            " weft.nn.lora.save",
        )
    return keys
