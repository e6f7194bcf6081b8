"""Which parameters a sparsity group takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BeforeValidator
from torch import Tensor

DENSE_NAMES = ("embedding", "norm", "lm_head", "pe_helper")

Pattern = str | re.Pattern[str] | Callable[[str, Tensor], bool]
"""A glob; a regular expression, written 're:...' or compiled; or a function of name and weight."""


def _patterns(value: Any) -> Any:
    """One pattern or many, as a tuple; 're:...' compiled."""
    if value is None:
        return None
    many = value if isinstance(value, list | tuple) else [value]
    return tuple(_compiled(pattern) for pattern in many)


def _compiled(pattern: Any) -> Any:
    if not isinstance(pattern, str) or not pattern.startswith("re:"):
        return pattern
    try:
        return re.compile(pattern[3:])
    except re.error as error:
        raise ValueError(f"'{pattern}' is no regular expression: {error}") from error


Filter = Annotated[tuple[Pattern, ...] | None, BeforeValidator(_patterns)]


def selects(param_filter: tuple[Pattern, ...] | None, name: str, parameter: Tensor) -> bool:
    """Whether one of the filter's patterns takes the parameter.

    Globs and regular expressions match the whole name. Without a filter: parameters of more than
    one dimension whose name, in lower case, contains none of DENSE_NAMES.
    """
    if param_filter is None:
        return parameter.dim() > 1 and not any(part in name.lower() for part in DENSE_NAMES)
    return any(_matches(pattern, name, parameter) for pattern in param_filter)


def _matches(pattern: Pattern, name: str, parameter: Tensor) -> bool:
    if isinstance(pattern, str):
        return fnmatchcase(name, pattern)
    if isinstance(pattern, re.Pattern):
        return pattern.fullmatch(name) is not None
    return bool(pattern(name, parameter))
