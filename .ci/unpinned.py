"""What weft, its demo and the capture tests need, as pyproject.toml says it; torch is left out."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

_TESTS = ("expecttest", "hypothesis", "pytest", "pytest-timeout")


def _name(requirement: str) -> str:
    return re.split(r"[^\w-]", requirement)[0]


def main() -> None:
    """Print one requirement a line."""
    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    given = [*project["dependencies"], *extras["jax"], *extras["report"], *extras["demo"]]
    given += [one for one in extras["test"] if _name(one) in _TESTS]
    print(*(one for one in given if _name(one) not in ("torch", "weft")), sep="\n")


main()
