"""From the sparsity section of a recipe to masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from torch import Tensor, nn

from ..errors import UnknownNameError, UserError
from .algorithm import ALGORITHMS, Algorithm
from .filters import selects


@dataclass(frozen=True)
class Sparsity:
    """Groups of parameters, each with its algorithm."""

    groups: tuple[Algorithm, ...]

    def masks(self, model: nn.Module) -> dict[str, Tensor]:
        """A bool mask per sparse parameter name, on the CPU, True is kept.

        Shapes suffice (meta device) unless the init_method looks at values. Raises `UserError` if
        a group selects no parameter, and if two groups select the same one.
        """
        masks: dict[str, Tensor] = {}
        for group in self.groups:
            chosen = _selected(group, model)
            for name, parameter in chosen.items():
                if name in masks:
                    raise _overlap(name)
                masks[name] = group.first_mask(name, parameter)
        return masks


def configure(config: float | Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> Sparsity:
    """Read a sparsity configuration: a number, a group, or a list of groups.

    A number is static random sparsity of the default parameters. A group has the keys algorithm,
    sparsity, init_method, param_filter, seed. Raises `UserError` for anything else.
    """
    if isinstance(config, bool) or not isinstance(config, int | float | Mapping | Sequence):
        raise _wrong_type(config)
    if isinstance(config, int | float):
        return Sparsity((_group({"sparsity": config}, "sparsity"),))
    if isinstance(config, Mapping):
        return Sparsity((_group(config, "sparsity"),))
    return Sparsity(tuple(_group(item, f"sparsity[{i}]") for i, item in enumerate(config)))


def _group(config: Any, where: str) -> Algorithm:
    if not isinstance(config, Mapping):
        raise _wrong_type(config)
    name = str(config.get("algorithm", "static"))
    if name not in ALGORITHMS:
        raise UnknownNameError("sparsity algorithm", name, ALGORITHMS, "weft.sparsity.algorithms()")
    kind = ALGORITHMS[name]
    try:
        return kind.model_validate(dict(config))
    except ValidationError as error:
        raise _invalid(where, error, tuple(kind.model_fields)) from error


def _selected(group: Algorithm, model: nn.Module) -> Mapping[str, Tensor]:
    parameters = dict(model.named_parameters())
    chosen = {k: p for k, p in parameters.items() if selects(group.param_filter, k, p)}
    if not chosen:
        raise UserError(
            "sparsity: param_filter",
            expected="at least one parameter of the model",
            got=f"{group.param_filter or 'the default choice'} selects none",
            change=f"match names such as {', '.join(list(parameters)[:8]) or '(none at all)'}",
        )
    return chosen


def _overlap(name: str) -> UserError:
    return UserError(
        f"sparsity of '{name}'",
        expected="one group per parameter",
        got="two groups that select it",
        change="narrow param_filter of one of the groups",
    )


def _wrong_type(config: object) -> UserError:
    return UserError(
        "sparsity",
        expected="a number, a mapping, or a list of mappings",
        got=f"{config!r}",
        change="write for example 0.75, or {algorithm: static, sparsity: 0.75}",
    )


def _invalid(where: str, error: ValidationError, keys: tuple[str, ...]) -> UserError:
    faults = [(".".join(map(str, fault["loc"])), fault) for fault in error.errors()]
    return UserError(
        f"{where}: {', '.join(key for key, _ in faults)}",
        expected="; ".join(f"{key}: {fault['msg']}" for key, fault in faults),
        got="; ".join(f"{key}={fault['input']!r}" for key, fault in faults),
        change=f"the keys of this algorithm are {', '.join(keys)}",
    )
