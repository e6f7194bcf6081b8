"""Soft prompts in safetensors files, under the names of PEFT's prompt tuning.

`save_prompt` and `load_prompt` are of models, `write` and `read` of the tensor.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...peft_files import CONFIG, folder_error, read_keys, read_tensors, write_folder
from .soft_prompt import SoftPrompt

KIND = "PROMPT_TUNING"
_NAME = "prompt_embeddings"


def save_prompt(model: SoftPrompt, folder: str | Path) -> None:
    """Write the virtual tokens of a model as PEFT does. Raises `UserError` for a model with other
    weights that train, which such a folder has no place for."""
    trained = [n for n, p in model.named_parameters() if p.requires_grad and p is not model.prompt]
    if trained:
        raise folder_error(
            folder,
            "a model that trains virtual tokens alone",
            f"{len(trained)} other weights that train, the first {trained[0]}",
            "save the whole state_dict, or freeze them if they did not train",
        )
    write(model.prompt.detach(), folder)


def load_prompt(model: nn.Module, folder: str | Path, **options: Any) -> SoftPrompt:
    """The model with the virtual tokens of a folder, weft's or PEFT's, before its own.

    A model without a prompt gets one, with `options` as `SoftPrompt` has them. Raises `UserError`
    for files that are missing or broken, of another kind, or of another length or width.
    """
    source = Path(folder)
    if not isinstance(model, SoftPrompt):
        model = SoftPrompt(model, _length(source), **options)
    prompt = read(source, model.prompt.shape)
    with torch.no_grad():
        model.prompt.copy_(prompt)
    return model


def write(prompt: Tensor, folder: str | Path) -> None:
    """Write virtual tokens (length, features) as PEFT does."""
    length, features = prompt.shape
    keys = {
        "peft_type": KIND,
        "task_type": "CAUSAL_LM",
        "num_virtual_tokens": length,
        "token_dim": features,
        "num_transformer_submodules": 1,
        "num_attention_heads": None,
        "num_layers": None,
        "prompt_tuning_init": "RANDOM",
    }
    write_folder(Path(folder), {_NAME: prompt}, keys)


def read(folder: Path, shape: Sequence[int]) -> Tensor:
    """The virtual tokens of a folder, of this shape (length, features). Raises `UserError` for
    files that are missing or broken, of another kind, or for another shape."""
    _length(folder)
    tensors, _ = read_tensors(folder)
    if tensors.keys() != {_NAME}:
        raise folder_error(folder, f"one tensor, {_NAME}", ", ".join(sorted(tensors)[:6]), _REMEDY)
    prompt = tensors[_NAME]
    if prompt.shape != tuple(shape):
        raise folder_error(
            f"{folder}: {_NAME}",
            f"{shape[0]} virtual tokens of {shape[1]} features",
            f"shape {tuple(prompt.shape)}",
            "take the model it is of, and a prompt of its length",
        )
    return prompt


_REMEDY = "take a folder that prompt tuning has saved"


def _length(folder: Path) -> int:
    """Virtual tokens, if the folder has nothing else."""
    keys = read_keys(folder)
    length = keys.get("num_virtual_tokens")
    given = keys.get("peft_type"), keys.get("num_transformer_submodules") or 1
    if given != (KIND, 1) or not isinstance(length, int) or keys.get("modules_to_save"):
        raise folder_error(
            folder / CONFIG,
            f"peft_type {KIND} of one module, num_virtual_tokens, and no modules_to_save",
            f"peft_type {given[0]}, of {given[1]}, {length} tokens,"
            f" modules_to_save {keys.get('modules_to_save')}",
            _REMEDY,
        )
    return length
