"""What is wrong with the constants of a target file, in the voice of all errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import ValidationError

from ...backend.errors import UnknownNameError, UserError

_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden")
_REMEDY = "see `weft targets show wse2` for the known constants and their units"


def mistake(where: str, kind: type, error: ValidationError) -> UserError:
    """The first mistake; a constant that does not exist before one that is missing, since most
    often a misspelt name is both."""
    errors = error.errors()
    first = next((each for each in errors if each["type"] in _UNKNOWN), errors[0])
    path = [str(part) for part in first["loc"]]
    name = ".".join(path)
    if first["type"] in _UNKNOWN:
        known = [".".join([*path[:-1], sibling]) for sibling in _siblings(kind, path)]
        return UnknownNameError(f"constant in {where}:", name, known, "weft targets show wse2")
    if first["type"] == "tuple_type":
        first["msg"] = "a list, as [12,40,800,3]"
    missing = first["type"] == "missing"
    return UserError(
        f"{where}, {name}",
        expected="this constant" if missing else _expected(first["msg"]),
        got="nothing" if missing else repr(first.get("input")),
        change=f"add {name}; {_REMEDY}" if missing else _REMEDY,
    )


def _expected(message: str) -> str:
    return message.removeprefix("Input should be ").split(", unable to parse")[0]


def _siblings(kind: Any, path: Sequence[str]) -> list[str]:
    """Names that are known where the last of `path` stands, blocks of constants included."""
    for name in path[:-1]:
        kind = _inner(kind, name)
    if not is_dataclass(kind):
        return []
    return [field.name for field in fields(kind) if field.name != "provenance"]


def _inner(kind: Any, name: str) -> Any:
    """The type of the entry `name`: of a field, of an optional one, of a mapping's values."""
    if get_origin(kind) in (dict, Mapping):
        return get_args(kind)[1]
    hint = get_type_hints(kind).get(name) if is_dataclass(kind) else None
    if get_origin(hint) in (dict, Mapping):
        return hint
    return next((each for each in get_args(hint) if is_dataclass(each)), hint)
