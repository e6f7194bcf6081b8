"""Which parameters a sparsity group takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import BeforeValidator
from torch import Tensor

from .candidates import Candidate

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


def selects(param_filter: tuple[Pattern, ...] | None, candidate: Candidate) -> bool:
    """Whether one of the filter's patterns takes the parameter, under any of its names.

    Globs and regular expressions match the whole name. Without a filter: trained parameters of
    more than one dimension, but for those with one element per output (magnitudes of weight norm,
    gains, layer scales, class tokens), whose first name, in lower case, contains none of
    DENSE_NAMES.
    """
    if param_filter is None:
        is_dense = any(part in candidate.names[0].lower() for part in DENSE_NAMES)
        return candidate.trains and _is_matrix(candidate.parameter) and not is_dense
    return any(_matches(pattern, candidate) for pattern in param_filter)


def _is_matrix(parameter: Tensor) -> bool:
    """Two dimensions longer than 1, or the one row of a layer with one output."""
    is_row = parameter.dim() == 2 and parameter.shape[0] == 1
    return is_row or sum(size > 1 for size in parameter.shape) >= 2


def _matches(pattern: Pattern, candidate: Candidate) -> bool:
    if isinstance(pattern, str):
        return any(fnmatchcase(name, pattern) for name in candidate.names)
    if isinstance(pattern, re.Pattern):
        return any(pattern.fullmatch(name) is not None for name in candidate.names)
    return any(bool(pattern(name, candidate.parameter)) for name in candidate.names)
