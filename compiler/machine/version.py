"""Which model of the machine priced a plan: one that weft has changed since gives other cycles."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from ...backend.version import VERSION

_PARTS = "machine", "kernels", "timing"
"""Folders of the compiler whose formulas make cycles."""
_MARK = "+model."


@cache
def model_digest() -> str:
    """Eight digits of the SHA-256 of the sources of all formulas."""
    compiler = Path(__file__).parents[1]
    files = [file for part in _PARTS for file in (compiler / part).rglob("*.py")]
    found = hashlib.sha256()
    for file in sorted(files):
        found.update(file.relative_to(compiler).as_posix().encode())
        found.update(file.read_bytes())
    return found.hexdigest()[:8]


def written_version() -> str:
    """What a plan that is written now says of weft: its version and the model's digest."""
    return VERSION + _MARK + model_digest()


def other_model(version: str) -> str | None:
    """Whose cycles a plan has, in words, if they are not of this model; else None."""
    digest = version.partition(_MARK)[2]
    if digest == model_digest():
        return None
    return f"of another model of the machine ({digest or 'older'}; this one is {model_digest()})"
