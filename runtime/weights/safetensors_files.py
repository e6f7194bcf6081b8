"""Safetensors files as models are published in: one, or several with an index."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from .safetensors_header import INDEX, SINGLE, unreadable


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, of an index with its files, or of a folder with either.

    Raises UserError for a file that is missing or unreadable. Nothing is ever unpickled.
    """
    if path.is_dir():
        path = path / (INDEX if (path / INDEX).is_file() else SINGLE)
    if path.name.endswith(".json"):
        return _sharded(path)
    return _tensors(path)


def _sharded(index: Path) -> dict[str, Tensor]:
    try:
        places = dict(json.loads(index.read_text(encoding="utf-8"))["weight_map"])
    except (LookupError, TypeError) as error:
        raise unreadable(index, ValueError("an index without a weight_map")) from error
    except (OSError, ValueError) as error:
        raise unreadable(index, error) from error
    files = sorted(set(map(str, places.values())))
    outside = [name for name in files if Path(name).name != name]
    if outside:
        raise unreadable(index, ValueError(f"a file elsewhere, '{outside[0]}'"))
    held = {name: _tensors(index.parent / name) for name in files}
    absent = [name for name, file in places.items() if name not in held[file]]
    if absent:
        raise unreadable(index, ValueError(f"'{absent[0]}' is not in {places[absent[0]]}"))
    return {name: held[file][name] for name, file in places.items()}


def _tensors(file: Path) -> dict[str, Tensor]:
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        raise unreadable(file, error) from error
