"""Frozen dataclasses to plain data and back, checked field by field."""

from __future__ import annotations

import dataclasses
import types
import typing
from functools import lru_cache
from typing import Any, TypeVar

T = TypeVar("T")


class DataError(ValueError):
    """Plain data that does not describe the dataclass; the message starts with the field's path."""


def to_data(value: Any) -> Any:
    """Dataclasses become dicts and tuples lists, recursively."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_data(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [to_data(item) for item in value]
    if isinstance(value, dict):
        return {str(key): to_data(item) for key, item in value.items()}
    return value


def from_data(kind: type[T], data: Any, path: str = "") -> T:
    """Build the dataclass `kind` from plain data. Raises DataError naming the field at fault."""
    return _build(kind, data, path or kind.__name__)


def _build(kind: Any, data: Any, path: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, data, path)
    origin = typing.get_origin(kind)
    if origin is tuple:
        return _tuple(typing.get_args(kind), data, path)
    if origin is dict:
        return _dict(typing.get_args(kind)[1], data, path)
    if origin is types.UnionType:
        return _union(typing.get_args(kind), data, path)
    return _scalar(kind, data, path)


def _dataclass(kind: Any, data: Any, path: str) -> Any:
    if not isinstance(data, dict):
        raise DataError(f"{path}: expected a mapping, got {type(data).__name__}")
    hints = _hints(kind)
    missing, unknown = hints.keys() - data.keys(), data.keys() - hints.keys()
    if missing or unknown:
        raise DataError(f"{path}: missing fields {sorted(missing)}, unknown {sorted(unknown)}")
    return kind(
        **{name: _build(hint, data[name], f"{path}.{name}") for name, hint in hints.items()}
    )


@lru_cache(maxsize=64)
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _tuple(args: tuple[Any, ...], data: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(data, list):
        raise DataError(f"{path}: expected a list, got {type(data).__name__}")
    if args[-1] is Ellipsis:
        return tuple(_build(args[0], item, f"{path}[{i}]") for i, item in enumerate(data))
    if len(data) != len(args):
        raise DataError(f"{path}: expected {len(args)} items, got {len(data)}")
    return tuple(
        _build(kind, item, f"{path}[{i}]")
        for i, (kind, item) in enumerate(zip(args, data, strict=True))
    )


def _dict(kind: Any, data: Any, path: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise DataError(f"{path}: expected a mapping, got {type(data).__name__}")
    return {str(key): _build(kind, item, f"{path}.{key}") for key, item in data.items()}


def _union(kinds: tuple[Any, ...], data: Any, path: str) -> Any:
    for kind in kinds:
        try:
            return _build(kind, data, path)
        except DataError:
            continue
    raise DataError(f"{path}: {data!r} is none of {[str(kind) for kind in kinds]}")


def _scalar(kind: Any, data: Any, path: str) -> Any:
    if kind in (object, Any):
        return data
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if not isinstance(data, kind) or (kind is not bool and isinstance(data, bool)):
        raise DataError(f"{path}: expected {kind.__name__}, got {data!r}")
    return data
