"""Recipes that come with weft, found without importing torch."""

from __future__ import annotations

from importlib import resources

FOLDER = resources.files("weft.compiler.recipes")


def shipped_names() -> list[str]:
    """Their names, each that of a YAML file in `FOLDER`."""
    files = (file.name for file in FOLDER.iterdir())
    return sorted(name.removesuffix(".yaml") for name in files if name.endswith(".yaml"))
