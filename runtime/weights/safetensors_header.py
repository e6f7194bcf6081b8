"""Whether a file is a safetensors file: its header is read, nothing else, and without torch."""

from __future__ import annotations

from pathlib import Path

from safetensors import SafetensorError, safe_open

from ...backend.errors import UserError

SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"


def check_header(file: Path) -> None:
    """Raises UserError for a file that is missing or of another kind."""
    try:
        with safe_open(file, framework="numpy"):
            pass
    except (OSError, SafetensorError) as error:
        raise unreadable(file, error) from error


def unreadable(path: Path, error: Exception) -> UserError:
    """What is said of weights that cannot be read."""
    is_missing = isinstance(error, FileNotFoundError)
    return UserError(
        f"weights {path}",
        expected=f"a safetensors file, an index of several, or a folder with {SINGLE} or {INDEX}",
        got="no such file" if is_missing else " ".join(str(error).split()),
        change="check the path; save other formats as safetensors first",
    )
