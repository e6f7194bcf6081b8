"""Adapters in safetensors files, under the names of PEFT (adapter_model, adapter_config).

`save` and `load` are of models, `write` and `read` of tensors by a model's names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from ...errors import UserError
from .adapt import LoRA, adapt, adapted_layers, adapter_parameters

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_PREFIX = "base_model.model."


def save(model: nn.Module, folder: str | Path, config: LoRA) -> None:
    """Write the adapters of `model`, which was adapted by `config`, as PEFT does.

    Raises `UserError` for a model without adapters.
    """
    if not adapted_layers(model):
        raise _file_error(folder, "a model with adapters", "none", "adapt it first")
    write({name: p.detach() for name, p in adapter_parameters(model).items()}, folder, config)


def write(tensors: Mapping[str, Tensor], folder: str | Path, config: LoRA) -> None:
    """Write factors, by the names that a model has for them, as PEFT does."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    layers = {name.partition(".lora_")[0] for name in tensors}
    named = {_PREFIX + name: tensor.contiguous() for name, tensor in tensors.items()}
    metadata = {"format": "pt", "masked": str(config.masked).lower()}
    save_file(named, target / WEIGHTS, metadata)
    described = {
        "peft_type": "LORA",
        "task_type": None,
        "base_model_name_or_path": None,
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": config.dropout,
        "use_rslora": config.rank_stabilised,
        "target_modules": sorted(layers),
        "bias": "none",
        "inference_mode": True,
    }
    (target / CONFIG).write_text(json.dumps(described, indent=2) + "\n")


def load(
    model: nn.Module,
    folder: str | Path,
    *,
    statistics: Any = None,
    masks: Mapping[str, Tensor] | None = None,
) -> nn.Module:
    """Put the adapters of a folder, weft's or PEFT's, on a model; returns the model.

    A model without adapters is adapted first, as the folder's configuration says (`statistics` and
    `masks` as in `LoRA` and `adapt`). Raises `UserError` for files that are missing or broken,
    names or shapes that are not the model's, and what weft does not adapt (biases, other types).
    """
    source = Path(folder)
    if not adapted_layers(model):
        config = _config(source / CONFIG, model, statistics, _is_masked(source))
        model = adapt(model, config, masks=masks)
    parameters = adapter_parameters(model)
    given = read(source, parameters)
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(given[name])
    return model


def read(folder: Path, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The factors of a folder by the names that a model has for them, those of `wanted`.

    Raises `UserError` for files that are missing or broken, and for other names or shapes.
    """
    tensors, _ = _read(folder / WEIGHTS)
    given = {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}
    _check_names(folder, given, wanted)
    return given


def check_scale(folder: Path, config: LoRA) -> None:
    """Raises `UserError` if the folder's B A is multiplied by another number, or masked otherwise,
    than that of `config`."""
    keys = _keys(folder / CONFIG)
    found = LoRA(
        (),
        int(keys["r"]),
        float(keys["lora_alpha"]),
        bool(keys.get("use_rslora", False)),
        masked=_is_masked(folder),
    )
    if (found.scale, found.masked) != (config.scale, config.masked):
        raise _file_error(
            folder,
            f"B A times {config.scale:g}, " + ("masked" if config.masked else "not masked"),
            f"alpha {found.alpha:g} and rank {found.rank}, times {found.scale:g}, "
            + ("masked" if found.masked else "not masked"),
            "set alpha, rank_stabilised and masked as the adapter has them, and compile again",
        )


def _is_masked(folder: Path) -> bool:
    return _read(folder / WEIGHTS)[1].get("masked") == "true"


def _check_names(
    source: Path, given: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> None:
    missing, unknown = parameters.keys() - given.keys(), given.keys() - parameters.keys()
    if missing or unknown:
        got = [f"missing {name}" for name in sorted(missing)[:4]]
        got += [f"unknown {name}" for name in sorted(unknown)[:4]]
        raise _file_error(
            source, "the adapters of this model", "; ".join(got), "take the model they are of"
        )
    for name, parameter in parameters.items():
        if given[name].shape != parameter.shape:
            raise _file_error(
                f"{source}: {name}",
                f"shape {tuple(parameter.shape)}",
                f"{tuple(given[name].shape)}",
                "adapt with the rank of the file",
            )


def _keys(path: Path) -> dict[str, Any]:
    """What PEFT's configuration says, if it is of adapters that weft has."""
    try:
        keys = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise _file_error(path, "a configuration of PEFT", str(error), "save it again") from error
    other = {
        key: keys[key]
        for key, plain in (("peft_type", "LORA"), ("bias", "none"), ("use_dora", False))
        if keys.get(key, plain) != plain
    }
    if other or not isinstance(keys.get("target_modules"), list):
        got = ", ".join(f"{key}={value!r}" for key, value in other.items())
        raise _file_error(
            path,
            "a LoRA without biases or DoRA, target_modules a list of names",
            got or f"target_modules={keys.get('target_modules')!r}",
            "convert it with PEFT first",
        )
    return keys


def _config(path: Path, model: nn.Module, statistics: Any, masked: bool) -> LoRA:
    keys = _keys(path)
    return LoRA(
        tuple(_targets(path, model, keys["target_modules"])),
        rank=int(keys["r"]),
        alpha=float(keys["lora_alpha"]),
        rank_stabilised=bool(keys.get("use_rslora", False)),
        dropout=float(keys.get("lora_dropout") or 0.0),
        masked=masked,
        statistics=statistics,
    )


def _targets(path: Path, model: nn.Module, ends: list[str]) -> Iterator[str]:
    """Names of the modules that end in one of `ends`, whole parts, as PEFT matches them."""
    names = [name for name, _ in model.named_modules()]
    for end in ends:
        found = [name for name in names if name == end or name.endswith(f".{end}")]
        if not found:
            raise _file_error(
                path, "modules of this model", f"'{end}', which none is", "take its model"
            )
        yield from found


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (OSError, SafetensorError) as error:
        raise _file_error(path, "a safetensors file", str(error), "save it again") from error


def _file_error(where: Any, expected: str, got: str, change: str) -> UserError:
    return UserError(f"LoRA: {where}", expected=expected, got=got, change=change)
