"""Packages that only some of weft needs."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import UserError


def package(name: str, where: str, extra: str) -> Any:
    """The imported package that `where` cannot do without; `extra` installs it.

    Raises UserError where it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            where,
            expected=f"{name} in this environment",
            got=str(error),
            change=f"pip install '{extra}'",
        ) from error


def model_package(name: str) -> Any:
    """timm, torchvision or transformers. Raises UserError where it is not installed."""
    return package(name, "models of other packages", "weft[models]")
