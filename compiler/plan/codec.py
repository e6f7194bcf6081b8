"""Frozen dataclasses as plain data and back: pydantic, and nothing converted on the way."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, to_json, to_jsonable_python

T = TypeVar("T")

to_data = to_jsonable_python
"""Dataclasses become dicts and tuples lists, recursively."""


class DataError(ValueError):
    """Plain data that does not describe the dataclass; the message starts with the field's path."""


def from_data(kind: type[T], data: Any, path: str = "") -> T:
    """Build the dataclass `kind` from plain data. Raises DataError naming the field at fault."""
    path = path or kind.__name__
    try:
        text = to_json(data, inf_nan_mode="constants")
        found: T = _adapter(kind).validate_json(text, strict=True)
    except ValidationError as error:
        raise DataError(_mistake(path, error.errors()[0])) from error
    again = to_data(found)
    if again != data and (mistake := _difference(path, again, data)):
        raise DataError(mistake)
    return found


@lru_cache(maxsize=64)
def _adapter(kind: type[T]) -> TypeAdapter[T]:
    return TypeAdapter(kind)


def _mistake(path: str, error: ErrorDetails) -> str:
    where = path + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error["loc"])
    if error["type"] == "missing":
        return f"{where}: missing"
    expected = error["msg"].removeprefix("Input should be ")
    return f"{where}: expected {expected}, got {error['input']!r}"


def _difference(path: str, found: Any, data: Any) -> str | None:
    """Where `data` holds what was not read, or lacks what was filled in; None if nowhere."""
    if isinstance(found, dict) and isinstance(data, dict):
        missing, unknown = found.keys() - data.keys(), data.keys() - found.keys()
        if missing or unknown:
            return f"{path}: missing fields {sorted(missing)}, unknown {sorted(unknown, key=str)}"
        inner = (_difference(f"{path}.{key}", found[key], data[key]) for key in found)
        return next(filter(None, inner), None)
    if isinstance(found, list) and isinstance(data, list) and len(found) == len(data):
        pairs = enumerate(zip(found, data, strict=True))
        inner = (_difference(f"{path}[{i}]", *pair) for i, pair in pairs)
        return next(filter(None, inner), None)
    same = found == data or (found != found and data != data)
    return None if same else f"{path}: expected plain data, got {data!r}"
