"""Which parameters a sparsity group takes."""

from __future__ import annotations

from fnmatch import fnmatchcase

from torch import Tensor

DENSE_NAMES = ("embedding", "norm", "lm_head", "pe_helper")


def selects(param_filter: tuple[str, ...] | None, name: str, parameter: Tensor) -> bool:
    """Whether the filter's globs match the name.

    Without a filter: parameters of more than one dimension whose name contains none of
    DENSE_NAMES.
    """
    if param_filter is None:
        return parameter.dim() > 1 and not any(part in name for part in DENSE_NAMES)
    return any(fnmatchcase(name, glob) for glob in param_filter)
