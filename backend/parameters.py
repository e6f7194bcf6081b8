"""Parameters of a model by name, whatever the model is wrapped in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from torch import nn

_WRAPPERS = {
    "OptimizedModule": "_orig_mod",  # torch.compile
    "DataParallel": "module",
    "DistributedDataParallel": "module",
    "FullyShardedDataParallel": "_fsdp_wrapped_module",
    "CheckpointWrapper": "_checkpoint_wrapped_module",
    "OffloadWrapper": "_checkpoint_wrapped_module",
    "DeepSpeedEngine": "module",
    "AveragedModel": "module",
}
"""Classes that only wrap a module, and the attribute that holds it."""


@dataclass(frozen=True)
class ParameterPlace:
    """A parameter, its names, and the modules that hold it.

    `names` are those inside wrappers, the first one first: a tied parameter has several.
    `spelled` are the same as `model.named_parameters(remove_duplicate=False)` has them.
    """

    parameter: nn.Parameter
    names: list[str] = field(default_factory=list)
    spelled: list[str] = field(default_factory=list)
    owners: list[tuple[nn.Module, str]] = field(default_factory=list)


def places(model: nn.Module) -> dict[str, ParameterPlace]:
    """Every parameter once, by its first name inside of wrappers, in the order of the model's.

    torch.compile, DataParallel and the like change no name: '0.weight' is not '_orig_mod.0.weight'.
    """
    found: dict[int, ParameterPlace] = {}
    for name, spelled, module, key in _visit(model, "", ""):
        parameter = module._parameters[key]
        if parameter is not None:
            place = found.setdefault(id(parameter), ParameterPlace(parameter))
            place.names.append(name)
            place.spelled.append(spelled)
            place.owners.append((module, key))
    return {place.names[0]: place for place in found.values()}


def by_any_name(model: nn.Module) -> dict[str, ParameterPlace]:
    """The place of each name, first or not, inside of wrappers or with their prefixes."""
    return {n: p for p in places(model).values() for n in (*p.spelled, *p.names)}


def wrapped(module: nn.Module) -> nn.Module | None:
    """The module inside of one that only wraps it."""
    for kind in type(module).__mro__:
        inside = module._modules.get(_WRAPPERS.get(kind.__name__, ""))
        if inside is not None:
            return inside
    return None


def _visit(
    module: nn.Module, prefix: str, spelled: str
) -> Iterator[tuple[str, str, nn.Module, str]]:
    """Name, spelled name, owner and key of every parameter, in the order of named_parameters."""
    for key in module._parameters:
        yield prefix + key, spelled + key, module, key
    inside = wrapped(module)
    for name, child in module._modules.items():
        if child is not None:
            own = prefix if child is inside else f"{prefix}{name}."
            yield from _visit(child, own, f"{spelled}{name}.")
