"""A recipe as a YAML file in which every key stands under its meaning."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from ...backend.yaml_text import as_yaml
from .keys import PartKeys, parts
from .recipe import Recipe
from .user_code import is_user_code

_WIDTH = 96


def commented(recipe: Recipe) -> str:
    """The text of a file that `load_recipe` reads as an equal recipe.

    For a user's model `normalization` is a comment if it is not set: the model keeps its own norms.
    """
    lines = ["# A recipe of weft. `weft recipe check FILE` reads it; docs/recipes.md has all keys."]
    by_name = {part.name: part for part in parts()}
    given = recipe.model_dump(mode="json")
    is_set = "normalization" in recipe.model_fields_set
    keeps_norms = is_user_code(recipe.model.name) and not is_set
    for name in Recipe.model_fields:
        is_left_out = keeps_norms and name == "normalization"
        block = list(_block(name, given[name], by_name, ""))
        lines += ["", *(f"# {line}" if is_left_out else line for line in block)]
    return "\n".join(lines) + "\n"


def _block(path: str, value: Any, by_name: dict[str, PartKeys], indent: str) -> Iterator[str]:
    """The lines of one key: a part as its keys, anything else as a value."""
    parent, _, name = path.rpartition(".")
    part = by_name.get(path)
    meaning = _meaning(by_name[parent], name) if part is None else part.about
    yield from textwrap.wrap(
        meaning, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
    )
    if part is None or not isinstance(value, dict):
        yield f"{indent}{name}: {as_yaml(value)}"
        return
    yield f"{indent}{name}:"
    for inner, held in value.items():
        yield from _block(f"{path}.{inner}", held, by_name, f"{indent}  ")


def _meaning(part: PartKeys, name: str) -> str:
    (key,) = (key for key in part.keys if key.name == name)
    return f"{key.meaning} [{key.kind}]"
