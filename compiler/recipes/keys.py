"""The keys of a recipe as rows, from the schema and the text under its fields."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from ...backend.yaml_text import as_yaml
from ..plan.text.field_docstrings import field_docstrings
from .recipe import Recipe

_SIGNS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Any: "anything"}


@dataclass(frozen=True)
class Key:
    """One key of a part: its name, its type in words, its default as YAML, what it means."""

    name: str
    kind: str
    default: str
    meaning: str


@dataclass(frozen=True)
class PartKeys:
    """A part of a recipe: its dotted name ('' for the recipe itself), and its plain keys."""

    name: str
    about: str
    keys: tuple[Key, ...]


def parts() -> tuple[PartKeys, ...]:
    """All parts in the order of the schema, each before the parts in it; lists of parts too."""
    return tuple(_parts(Recipe, ""))


def value_at(recipe: Recipe, name: str) -> Any:
    """What a recipe holds under a dotted key, as plain data; None below a part that is null."""
    value: Any = recipe.model_dump(mode="json")
    for step in name.split("."):
        value = None if value is None else value[step]
    return value


def part_of(annotation: Any) -> type[BaseModel] | None:
    """The part of a recipe that an annotation stands for; None for a plain value."""
    candidates = [annotation, *typing.get_args(annotation)]
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def _parts(part: type[BaseModel], name: str) -> Iterator[PartKeys]:
    yield PartKeys(name, " ".join((part.__doc__ or "").split()), tuple(_keys(part)))
    for inner, field in part.model_fields.items():
        found = part_of(field.annotation)
        if found is not None:
            yield from _parts(found, f"{name}.{inner}".lstrip("."))


def _keys(part: type[BaseModel]) -> Iterator[Key]:
    meanings = field_docstrings(part)
    hints = typing.get_type_hints(part, include_extras=True)
    for name, field in part.model_fields.items():
        if part_of(field.annotation) is None:
            meaning = " ".join(meanings.get(name, "").split())
            yield Key(name, _words(hints[name]), _default(field), meaning)


def _default(field: FieldInfo) -> str:
    return "" if field.is_required() else as_yaml(field.get_default(call_default_factory=True))


def _words(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return " ".join([_words(arguments[0]), " and ".join(_bounds(arguments[1:]))]).strip()
    if origin is Literal:
        return ", ".join(map(str, arguments))
    if origin is tuple and arguments[-1] is Ellipsis:
        return f"list of {_words(arguments[0])}"
    if origin is tuple:
        return f"[{', '.join(map(_words, arguments))}]"
    if origin is dict:
        return "mapping"
    if origin in (types.UnionType, typing.Union):
        return " or ".join("null" if a is types.NoneType else _words(a) for a in arguments)
    return _WORDS[hint]


def _bounds(notes: tuple[Any, ...]) -> Iterator[str]:
    """'> 0' and the like, of the bounds in pydantic's fields."""
    for note in notes:
        for bound in note.metadata:
            for name, sign in _SIGNS.items():
                if hasattr(bound, name):
                    yield f"{sign} {getattr(bound, name)}"
