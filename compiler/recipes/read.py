"""Reading a recipe: YAML, dotted overrides, and one clear message for each mistake."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from ...backend.errors import UnknownNameError, UserError
from ...backend.named_models import model_entry
from ...backend.yaml_text import read_yaml
from ..targets import load_target
from .keys import part_of, parts
from .recipe import REAL_LABELS, Recipe, TargetRecipe
from .shipped import FOLDER, shipped_names
from .update_rule import update_rule
from .user_code import is_user_code

_SHORT = {
    "model": "name",
    "normalization": "kind",
    "target": "name",
    "data": "name",
    "data.sampler": "kind",
}
"""Parts that may be given as one word: `model: resnet20` stands for `model: {name: resnet20}`."""


def load_recipe(path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """The recipe in a YAML file with `key=value` overrides applied.

    >>> plan = weft.compile_recipe(weft.load_recipe("recipe.yaml", ["sparsity=0.9"]))

    Raises UserError naming the file, the key, what was expected and what was got.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"recipe {path}",
            expected="a readable YAML file",
            got=_reason(error),
            change="check the path, or start from `weft demo`, which stores its recipe",
        ) from error
    return make_recipe(_parse(str(path), text), overrides, where=str(path))


def shipped_recipe(name: str, overrides: Iterable[str] = ()) -> Recipe:
    """A recipe that comes with weft; raises UnknownNameError."""
    known = shipped_names()
    if name not in known:
        raise UnknownNameError("recipe", name, known, "weft models")
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    return make_recipe(_parse(f"recipe {name}", text), overrides, where=f"recipe {name}")


def make_recipe(
    data: Mapping[str, Any], overrides: Iterable[str] = (), where: str = "recipe"
) -> Recipe:
    """A recipe from plain data with `key=value` overrides applied.

    Raises UserError for unknown keys and values out of range, in its phases too, and for a delay
    compensation that is not defined for the optimizer.
    """
    merged = {key: _expand(key, value) for key, value in data.items()}
    if "input" not in merged:
        merged |= _input_of(merged.get("model"))
    for override in overrides:
        _apply(merged, override)
    _give_label_dtype(merged)
    try:
        recipe = Recipe.model_validate(merged)
    except ValidationError as error:
        raise _mistake(where, _first(error)) from error
    update_rule(recipe, "pipelined")
    _check_sampler(recipe, where)
    for number, _ in enumerate(recipe.phases):
        phase_recipe(recipe, number)
    return recipe


def _give_label_dtype(merged: dict[str, Any]) -> None:
    """Labels of a loss between real numbers are real numbers, where nothing else is said."""
    loss, given = merged.get("loss"), merged.get("input")
    if isinstance(loss, str) and loss in REAL_LABELS and isinstance(given, dict):
        merged["input"] = {"label_dtype": "float32", **given}


def _first(error: ValidationError) -> ErrorDetails:
    """The mistake to tell: a key that there is not before one that is missing, which it may be."""
    return min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")


def _check_sampler(recipe: Recipe, where: str) -> None:
    """Raises UserError for a self-paced sampler where a sample has no class, or is of tokens."""
    given = recipe.input
    has_classes = not given.label_shape and given.label_dtype == "int64"
    if recipe.data.sampler.kind == "self_paced" and (not has_classes or given.dtype != "float32"):
        raise UserError(
            f"{where}: data.sampler",
            expected="samples of real numbers with one class each, which self_paced clusters",
            got=f"samples of {given.dtype}, labels of {given.label_dtype}, shape"
            f" {given.label_shape}",
            change="set data.sampler=random",
        )


def _input_of(model: Any) -> dict[str, Any]:
    """The input of one of weft's own models as it is usually built; empty for other models.

    Raises UnknownNameError for a name that is neither.
    """
    name = model.get("name") if isinstance(model, dict) else None
    if not isinstance(name, str) or is_user_code(name):
        return {}
    entry = model_entry(name)
    label = {"label_shape": list(entry.label_shape)} if entry.label_shape else {}
    return {"input": {"shape": list(entry.input_shape), "classes": entry.classes} | label}


def phase_recipe(recipe: Recipe, number: int) -> Recipe:
    """The recipe of phase `number` (from 0); raises UserError for optimizer keys that do not fit.

    In a dense phase nothing is sparse.
    """
    phase = recipe.phases[number]
    own = recipe.model_dump(mode="json") | {"phases": [], "epochs": phase.epochs}
    own["optimizer"] |= phase.optimizer
    own["sparsity"] = None if phase.dense else own["sparsity"]
    return make_recipe(own, where=f"phases.{number}")


def _parse(where: str, text: str) -> dict[str, Any]:
    data = _yaml(where, text)
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise UserError(
            where,
            expected="a mapping with the keys of a recipe",
            got=type(data).__name__,
            change=f"write `key: value` lines; the keys are {', '.join(Recipe.model_fields)}",
        )
    return data


def _yaml(where: str, text: str) -> Any:
    try:
        return read_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(
            where, expected="valid YAML", got=_reason(error), change="correct the syntax"
        ) from error


def _expand(key: str, value: Any) -> Any:
    """The value of a dotted key with parts that are one word written out."""
    if key in _SHORT and isinstance(value, str):
        return {_SHORT[key]: value}
    if key == "data" and value is None:
        return {}
    if isinstance(value, dict):
        inner = {name: f"{key}.{name}" for name in value}
        return {n: _expand(inner[n], v) if inner[n] in _SHORT else v for n, v in value.items()}
    return value


def _apply(data: dict[str, Any], override: str) -> None:
    """Set the value at a dotted key, e.g. `optimizer.lr=0.01`."""
    key, equals, text = override.partition("=")
    path = key.strip().split(".")
    if not equals or not all(path):
        raise UserError(
            f"--set {override}",
            expected="key=value with a dotted key, as in optimizer.lr=0.01",
            got=f"'{override}'",
            change="write the key, an equals sign and the value without spaces",
        )
    value = _yaml(f"--set {override}", text)
    path, value = _target_constant(path, value, text)
    for name in path[:-1]:
        node = data.get(name)
        data[name] = dict(node) if isinstance(node, dict) else {}
        data = data[name]
    data[path[-1]] = _expand(key.strip(), value)


def _target_constant(path: list[str], value: Any, text: str) -> tuple[list[str], Any]:
    """`target.clock_hz=1.1e9` names a constant of the target's file, not a key of the recipe."""
    if path[0] == "target" and len(path) > 1 and path[1] not in TargetRecipe.model_fields:
        return ["target", "overrides", ".".join(path[1:])], text.strip()
    return path, value


_EXAMPLES = {
    "input": "input: {shape: [3, 32, 32], classes: 10}, or --set input.shape=[3,32,32] --set"
    " input.classes=10",
    "input.shape": "--set input.shape=[3,32,32]",
    "input.classes": "--set input.classes=10",
    "model": "model: resnet20, or model: my_models.py:build",
}
"""How a key that has no default is given."""


def _mistake(where: str, error: ErrorDetails) -> UserError:
    path = [str(part) for part in error["loc"]]
    if error["type"] == "extra_forbidden":
        return _unknown_key(where, path)
    while len(path) > 1 and path[-1].isdigit():  # an entry of a list, which is set as a whole
        path.pop()
    key = ".".join(path)
    got = "nothing" if error["type"] == "missing" else repr(error["input"])
    example = f": {_EXAMPLES.get(key, f'--set {key}=VALUE')}"
    return UserError(
        f"{where}: {key}",
        expected=_expected(error),
        got=got if len(got) <= 80 else f"{got[:77]}...",
        change=f"give it{example}" if got == "nothing" else f"correct {key}, or --set {key}=VALUE",
    )


def _unknown_key(where: str, path: list[str]) -> UserError:
    known, name = _keys_at(path[:-1]), path[-1]
    close = difflib.get_close_matches(name, known, n=1)
    ordered = close + [key for key in known if key not in close]
    meant = _elsewhere(name) or [".".join([*path[:-1], key]) for key in close]
    remove = "remove it" if path[:-1] else f"remove it; for the model's own: model.options.{name}"
    return UserError(
        f"{where}: unknown key '{'.'.join(path)}'",
        expected=f"one of {', '.join(ordered)}",
        got=f"'{name}'",
        change=f"did you mean {' or '.join(map(repr, meant))}?" if meant else remove,
    )


def _elsewhere(name: str) -> list[str]:
    """Dotted keys of other parts of a recipe with this name, and constants of a machine."""
    found = [f"{part.name}.{key.name}" for part in parts() for key in part.keys if key.name == name]
    constants = load_target(TargetRecipe().name).constants()
    found += [f"target.{one.name}" for one in constants if one.name.rpartition(".")[2] == name]
    return [key.lstrip(".") for key in found]


def _keys_at(path: list[str]) -> list[str]:
    """Field names of the part of a recipe at `path`."""
    part: type[BaseModel] = Recipe
    for name in path:
        part = part_of(part.model_fields[name].annotation) or part
    return list(part.model_fields)


def _expected(error: ErrorDetails) -> str:
    text = error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    if error["type"] in ("model_type", "dict_type"):
        return "a mapping"
    if error["type"] in ("tuple_type", "list_type"):
        return "a list in brackets, as [3,32,32]"
    return "a value" if error["type"] == "missing" else text


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return " ".join(str(error).split()) or type(error).__name__
