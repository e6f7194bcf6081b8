"""The wheel holds every folder of the package: they are listed by name in pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_every_folder_with_an_init_is_listed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = project["tool"]["setuptools"]["packages"]
    outside = {"tests", ".venv", "build", "dist"}
    files = (path.relative_to(ROOT) for path in ROOT.rglob("__init__.py"))
    folders = {path.parent for path in files if path.parts[0] not in outside}
    assert sorted(listed) == sorted(".".join(("weft", *folder.parts)) for folder in folders)
