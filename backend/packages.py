"""Packages that only some verbs need."""

from __future__ import annotations

import importlib
from typing import Any

from .errors import UserError


def model_package(name: str) -> Any:
    """The imported package: timm, torchvision or transformers.

    Raises UserError where it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise UserError(
            "models of other packages",
            expected=f"{name}, whose model classes are compiled",
            got=str(error),
            change="pip install 'weft[models]'",
        ) from error
