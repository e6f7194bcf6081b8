"""Adapters in safetensors files, under the names of PEFT (adapter_model, adapter_config).

`save` and `load` are of models, `write` and `read` of tensors by a model's names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...peft_files import CONFIG, folder_error, read_keys, read_tensors, write_folder
from .adapt import adapt, adapted_layers, adapter_parameters
from .config import LoRA

_PREFIX = "base_model.model."
_PLAIN: tuple[tuple[str, Any], ...] = (
    ("peft_type", "LORA"),
    ("bias", "none"),
    *((key, False) for key in ("use_dora", "lora_bias")),
    *((key, {}) for key in ("alpha_pattern", "rank_pattern")),
)
"""Keys of PEFT that change what adapters compute, with the value that weft has."""
_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")
"""Beginnings of PEFT's that leave the model's weights as they are."""


def save(model: nn.Module, folder: str | Path, config: LoRA) -> None:
    """Write the adapters of `model`, which was adapted by `config`, as PEFT does.

    Raises `UserError` for a model without adapters, with others than `config` says, or with other
    weights that train, which such a folder has no place for.
    """
    if not adapted_layers(model):
        raise folder_error(folder, "a model with adapters", "none", "adapt it first")
    _check_like(model, folder, config)
    own = adapter_parameters(model)
    trained = [n for n, p in model.named_parameters() if p.requires_grad and n not in own]
    if trained:
        raise folder_error(
            folder,
            "a model that trains adapters alone",
            f"{len(trained)} other weights that train, the first {trained[0]}",
            "save the whole state_dict, or freeze them if they did not train",
        )
    write({name: p.detach() for name, p in adapter_parameters(model).items()}, folder, config)


def write(tensors: Mapping[str, Tensor], folder: str | Path, config: LoRA) -> None:
    """Write factors, by the names that a model has for them, as PEFT does."""
    layers = {name.partition(".lora_")[0] for name in tensors}
    named = {_PREFIX + name: tensor for name, tensor in tensors.items()}
    described = {
        "peft_type": "LORA",
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": config.dropout,
        "use_rslora": config.rank_stabilised,
        "target_modules": sorted(layers),
        "bias": "none",
    }
    write_folder(Path(folder), named, described, {"masked": str(config.masked).lower()})


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
    if adapted_layers(model):
        _check_like(model, folder, _scaled(source))
    else:
        config = _config(source, model, statistics, _is_masked(source))
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
    tensors, _ = read_tensors(folder)
    given = {name.removeprefix(_PREFIX): tensor for name, tensor in tensors.items()}
    _check_names(folder, given, wanted)
    return given


def check_scale(folder: Path, config: LoRA) -> None:
    """Raises `UserError` if the folder's B A is multiplied by another number, or masked otherwise,
    than that of `config`."""
    found = _scaled(folder)
    if (found.scale, found.masked) != (config.scale, config.masked):
        raise folder_error(
            folder,
            f"B A times {config.scale:g}, " + ("masked" if config.masked else "not masked"),
            f"alpha {found.alpha:g} and rank {found.rank}, times {found.scale:g}, "
            + ("masked" if found.masked else "not masked"),
            "set alpha, rank_stabilised and masked as the adapter has them, and compile again",
        )


def _scaled(folder: Path) -> LoRA:
    """Rank, scale and form of the folder's adapters, without targets."""
    keys = _keys(folder)
    is_stabilised = bool(keys.get("use_rslora", False))
    rank, alpha = int(keys["r"]), float(keys["lora_alpha"])
    return LoRA((), rank, alpha, is_stabilised, masked=_is_masked(folder))


def _check_like(model: nn.Module, where: object, config: LoRA) -> None:
    """Raises `UserError` for a layer whose adapter is not of the rank, scale and form of `config`:
    the same factors would be another function."""
    for name, layer in adapted_layers(model).items():
        own = layer.rank, layer.scale, layer.mask is not None
        if own != (config.rank, config.scale, config.masked):
            form = "masked" if layer.mask is not None else "not masked"
            raise folder_error(
                f"{where}: module '{name}'",
                f"rank {config.rank}, B A times {config.scale:g}, "
                + ("masked" if config.masked else "not masked"),
                f"rank {layer.rank}, B A times {layer.scale:g}, {form}",
                "take the configuration that the model was adapted by",
            )


def _is_masked(folder: Path) -> bool:
    return read_tensors(folder)[1].get("masked") == "true"


def _check_names(
    source: Path, given: Mapping[str, Tensor], parameters: Mapping[str, Tensor]
) -> None:
    missing, unknown = parameters.keys() - given.keys(), given.keys() - parameters.keys()
    if missing or unknown:
        got = [f"missing {name}" for name in sorted(missing)[:4]]
        got += [f"unknown {name}" for name in sorted(unknown)[:4]]
        raise folder_error(
            source, "the adapters of this model", "; ".join(got), "take the model they are of"
        )
    for name, parameter in parameters.items():
        if given[name].shape != parameter.shape:
            raise folder_error(
                f"{source}: {name}",
                f"shape {tuple(parameter.shape)}",
                f"{tuple(given[name].shape)}",
                "adapt with the rank of the file",
            )


def _keys(folder: Path) -> dict[str, Any]:
    """What PEFT's configuration says, if it is of adapters that weft has."""
    keys, path = read_keys(folder), folder / CONFIG
    other = {key: keys[key] for key, plain in _PLAIN if (keys.get(key) or plain) != plain}
    if keys.get("init_lora_weights", True) not in _STARTS:
        other["init_lora_weights"] = keys["init_lora_weights"]
    for key in ("r", "lora_alpha"):
        if isinstance(keys.get(key), bool) or not isinstance(keys.get(key), int | float):
            other[key] = keys.get(key)
    if other or not isinstance(keys.get("target_modules"), list):
        got = ", ".join(f"{key}={value!r}" for key, value in other.items())
        raise folder_error(
            path,
            "a LoRA of one rank and alpha without biases or DoRA, on the weights of the model as"
            " they were, target_modules a list of names",
            got or f"target_modules={keys.get('target_modules')!r}",
            "convert it with PEFT first",
        )
    return keys


def _config(folder: Path, model: nn.Module, statistics: Any, masked: bool) -> LoRA:
    keys = _keys(folder)
    return LoRA(
        tuple(_targets(folder, model, keys["target_modules"])),
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
            raise folder_error(
                path, "modules of this model", f"'{end}', which none is", "take its model"
            )
        yield from found
