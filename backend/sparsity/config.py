"""From the sparsity section of a recipe to a rule per parameter, and to masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from torch import Tensor, nn

from ..errors import UnknownNameError, UserError
from .algorithm import ALGORITHMS
from .filters import selects
from .group import Group
from .rule import MaskRule


@dataclass(frozen=True)
class Sparsity:
    """Groups of parameters, each with its algorithm."""

    groups: tuple[Group, ...]

    def rules(self, parameters: nn.Module | Mapping[str, Tensor]) -> dict[str, MaskRule]:
        """How the mask of every sparse parameter begins and changes.

        A parameter belongs to the first group that selects it, so a general group may follow
        special ones. Raises `UserError` if a group selects no parameter, or none that is left, and
        if a parameter does not divide into the balanced groups asked for.
        """
        named = _named(parameters)
        rules: dict[str, MaskRule] = {}
        for group in self.groups:
            left = _left(group, _selected(group, named), rules)
            shapes = {name: tuple(p.shape) for name, p in left.items()}
            for name, shape in shapes.items():
                group.blocks.check(name, shape)
                rules[name] = MaskRule(name, group, tuple(sorted(shapes.items())))
        return rules

    def masks(self, parameters: nn.Module | Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The first bool mask per sparse parameter name, on the CPU, True is kept.

        Shapes suffice (meta device) unless the init_method looks at values. Raises `UserError` as
        `rules` does.
        """
        named = _named(parameters)
        rules = self.rules(named)
        return {name: rule.first_mask(named[name]) for name, rule in rules.items()}


Config = float | Mapping[str, Any] | Sequence[Mapping[str, Any]]


def configure(config: Config, seed: int = 0) -> Sparsity:
    """Read a sparsity configuration: a number, a group, a list of groups, or {groups: [...]}.

    A number is static random sparsity of the default parameters. A parameter belongs to the first
    group that selects it. The key names are those of the
    Cerebras sparsity API, with its aliases `type` (algorithm), `schedule` (sparsity) and `params`
    (keys one level down). Groups without a `seed` of their own take `seed`. Raises `UserError` for
    anything else.
    """
    if isinstance(config, bool | str) or not isinstance(config, int | float | Mapping | Sequence):
        raise _wrong_type(config)
    if isinstance(config, int | float):
        return Sparsity((_group({"sparsity": config}, "sparsity", seed),))
    if isinstance(config, Mapping) and set(config) == {"groups"}:
        return configure(config["groups"], seed)
    if isinstance(config, Mapping):
        return Sparsity((_group(config, "sparsity", seed),))
    return Sparsity(tuple(_group(item, f"sparsity[{i}]", seed) for i, item in enumerate(config)))


def _group(config: Any, where: str, seed: int) -> Group:
    if not isinstance(config, Mapping):
        raise _wrong_type(config)
    keys = {"seed": seed} | _without_aliases(config, where)
    name = str(keys.setdefault("algorithm", "static")).lower()
    if name not in ALGORITHMS:
        raise UnknownNameError("sparsity algorithm", name, ALGORITHMS, "weft.sparsity.algorithms()")
    kind = ALGORITHMS[name]
    try:
        return kind.model_validate(keys | {"algorithm": name})
    except ValidationError as error:
        raise _invalid(where, error, tuple(kind.model_fields)) from error


def _without_aliases(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    keys = {key: value for key, value in config.items() if key != "params"}
    keys |= config.get("params") or {}
    for alias, key in (("type", "algorithm"), ("schedule", "sparsity")):
        if alias in keys and key in keys:
            raise UserError(
                f"{where}: {alias}",
                expected=f"either {key} or its alias {alias}",
                got="both",
                change=f"remove {alias}",
            )
        if alias in keys:
            keys[key] = keys.pop(alias)
    return keys


def _named(parameters: nn.Module | Mapping[str, Tensor]) -> dict[str, Tensor]:
    source = parameters.named_parameters() if isinstance(parameters, nn.Module) else parameters
    return dict(source)


def _selected(group: Group, parameters: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    chosen = {k: p for k, p in parameters.items() if selects(group.param_filter, k, p)}
    if not chosen:
        raise UserError(
            "sparsity: param_filter",
            expected="at least one parameter of the model",
            got=f"{group.param_filter or 'the default choice'} selects none",
            change=f"match names such as {', '.join(list(parameters)[:8]) or '(none at all)'}",
        )
    return chosen


def _left(
    group: Group, selected: Mapping[str, Tensor], taken: Mapping[str, MaskRule]
) -> dict[str, Tensor]:
    left = {name: p for name, p in selected.items() if name not in taken}
    if not left:
        raise UserError(
            "sparsity: param_filter",
            expected="a parameter that no group before this one takes",
            got=f"{group.param_filter or 'the default choice'} selects {', '.join(selected)}",
            change="remove the group, or put it before the others",
        )
    return left


def _wrong_type(config: object) -> UserError:
    return UserError(
        "sparsity",
        expected="a number, a mapping, or a list of mappings",
        got=f"{config!r}",
        change="write for example 0.75, or {algorithm: static, sparsity: 0.75}",
    )


def _invalid(where: str, error: ValidationError, keys: tuple[str, ...]) -> UserError:
    faults = [(".".join(map(str, fault["loc"])) or "keys", fault) for fault in error.errors()]
    return UserError(
        f"{where}: {', '.join(key for key, _ in faults)}",
        expected="; ".join(f"{key}: {fault['msg']}" for key, fault in faults),
        got="; ".join(f"{key}={fault['input']!r}" for key, fault in faults),
        change=f"the keys of this algorithm are {', '.join(keys)}",
    )
