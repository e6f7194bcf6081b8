"""Folders as PEFT saves adapters: tensors in a safetensors file, and a configuration as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .errors import UserError

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"


def write_folder(
    folder: Path,
    tensors: Mapping[str, Tensor],
    keys: Mapping[str, Any],
    metadata: Mapping[str, str] = {},
) -> None:
    """Write both files; the folder is made if it is not there. Raises UserError if it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise folder_error(folder, "a folder to write to", str(error), "give another") from error
    saved = {name: tensor.contiguous() for name, tensor in tensors.items()}
    save_file(saved, folder / WEIGHTS, {"format": "pt", **metadata})
    common = {"task_type": None, "base_model_name_or_path": None, "inference_mode": True}
    (folder / CONFIG).write_text(json.dumps({**common, **keys}, indent=2) + "\n")


def read_tensors(folder: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by PEFT's names, and the file's metadata. Raises UserError for a missing or broken
    file."""
    path = folder / WEIGHTS
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise folder_error(path, "a safetensors file", str(error), "save it again") from error


def read_keys(folder: Path) -> dict[str, Any]:
    """The configuration. Raises UserError for a missing file, or one that is no JSON object."""
    path = folder / CONFIG
    try:
        keys = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise folder_error(path, "a configuration of PEFT", str(error), "save it again") from error
    if not isinstance(keys, dict):
        raise folder_error(path, "a JSON object", type(keys).__name__, "save it again")
    return keys


def folder_error(where: object, expected: str, got: str, change: str) -> UserError:
    """About a folder, or a file or tensor in it."""
    return UserError(f"adapter {where}", expected=expected, got=got, change=change)
