"""Compiled programs on disk: a second run of a plan does not wait for XLA again."""

from __future__ import annotations

import hashlib
import os
import platform
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LARGEST_BYTES = 2**30
"""Of the folder; beyond it jax drops what was not used for longest."""

_PROCESSORS = Path("/proc/cpuinfo")


def keep_compiled_programs() -> Path | None:
    """Have jax keep the programs it compiles in the user's cache folder; gives the folder.

    What compiles within a second is not kept. A folder that the user gave jax stays the one, and
    nothing is kept without jax, where the user has switched that off, or where the cache folder
    cannot be written: None in all these cases. With a largest size jax locks the folder for each
    access, so processes may share it.
    """
    if find_spec("jax") is None:
        return None
    import jax

    settings: Any = jax.config
    if settings.jax_compilation_cache_dir or not settings.jax_enable_compilation_cache:
        return None
    folder = cache_folder() / _processor()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    if not os.access(folder, os.W_OK):
        return None
    settings.update("jax_compilation_cache_dir", str(folder))
    settings.update("jax_compilation_cache_max_size", LARGEST_BYTES)
    return folder


def cache_folder() -> Path:
    """weft/xla in $XDG_CACHE_HOME, or in ~/.cache."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    base = Path(given) if os.path.isabs(given) else Path.home() / ".cache"
    return base / "weft" / "xla"


def _processor() -> str:
    """A name for what this machine's processor can do: another one might not run its programs."""
    lines = _PROCESSORS.read_text().splitlines() if _PROCESSORS.exists() else []
    features = sorted(
        {line for line in lines if line.startswith(("flags", "Features", "model name"))}
    )
    text = "\n".join([platform.machine(), platform.processor(), *features])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
