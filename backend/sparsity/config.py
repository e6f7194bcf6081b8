"""From the sparsity section of a recipe to a rule per parameter, and to masks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from torch import Tensor, nn

from ..errors import UnknownNameError, UserError
from ..parameters import places
from .algorithm import ALGORITHMS
from .candidates import Candidate, candidates
from .filters import selects
from .group import SparsityGroup
from .products import check_stays_finite, check_zeros_reach_products
from .rule import MaskRule


@dataclass(frozen=True)
class Sparsity:
    """Groups of parameters, each with its algorithm."""

    groups: tuple[SparsityGroup, ...]

    def rules(self, parameters: nn.Module | Mapping[str, Tensor]) -> dict[str, MaskRule]:
        """How the mask of every sparse parameter begins and changes.

        A parameter belongs to the first group that selects it, so a general group may follow
        special ones. Raises `UserError` if a group selects no parameter, or none that is left, if a
        parameter does not divide into the balanced groups asked for, and if zeros of a parameter
        do not reach the weight that its module computes from it.
        """
        rules = self.rules_of(candidates(parameters))
        if isinstance(parameters, nn.Module):
            check_zeros_reach_products(parameters, rules)
        return rules

    def rules_of(
        self, parameters: Mapping[str, Candidate], frozen_may_wait: bool = False
    ) -> dict[str, MaskRule]:
        """As `rules`, for candidates by name; a group may have none but frozen ones yet."""
        rules: dict[str, MaskRule] = {}
        for group in self.groups:
            chosen = {k: c for k, c in parameters.items() if selects(group.param_filter, c)}
            if not chosen and frozen_may_wait and group.param_filter is None:
                trained = {k: replace(c, trains=True) for k, c in parameters.items()}
                if any(selects(None, candidate) for candidate in trained.values()):
                    continue
            left = _left(group, _some(group, chosen, parameters), rules)
            shapes = {name: tuple(c.parameter.shape) for name, c in left.items()}
            for name, shape in shapes.items():
                group.blocks.check(name, shape)
                rules[name] = MaskRule(name, group, tuple(sorted(shapes.items())))
        return rules

    def check_first_names(self, parameters: nn.Module) -> None:
        """Raises `UserError` for a filter that takes a tied parameter by a later name only.

        A plan knows each parameter by its first.
        """
        for name, candidate in candidates(parameters).items():
            first = replace(candidate, names=(name,))
            for group in self.groups:
                if selects(group.param_filter, candidate) != selects(group.param_filter, first):
                    others = ", ".join(candidate.names[1:])
                    raise UserError(
                        "sparsity: param_filter",
                        expected="the first name of a tied parameter, by which a plan knows it",
                        got=f"{group.param_filter}, which takes {name} by another: {others}",
                        change=f"{others} is {name}: match that name",
                    )

    def masks(self, parameters: nn.Module | Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The first bool mask per sparse parameter name, on the CPU, True is kept.

        Shapes suffice (meta device) unless the init_method looks at values. Raises `UserError` as
        `rules` does, and for a mask under which a module computes no finite weight.
        """
        named, rules = candidates(parameters), self.rules(parameters)
        masks = {name: rule.first_mask(named[name].parameter) for name, rule in rules.items()}
        owned = places(parameters) if isinstance(parameters, nn.Module) else {}
        for name in masks.keys() & owned.keys():
            check_stays_finite(name, owned[name], masks[name])
        return masks


Config = float | Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


def configure(config: Config, seed: int = 0) -> Sparsity:
    """Read a sparsity configuration: a number, a group, a list of groups, or {groups: [...]}.

    A number is static random sparsity of the default parameters, None is no sparsity. A parameter
    belongs to the first group that selects it. The key names are those of the Cerebras sparsity
    API, with its aliases `type` (algorithm), `schedule` (sparsity) and `params` (keys one level
    down). Groups without a `seed` of their own take `seed`. Raises `UserError` for anything else.
    """
    if config is None:
        return Sparsity(())
    if isinstance(config, bool | str) or not isinstance(config, int | float | Mapping | Sequence):
        raise _wrong_type(config)
    if isinstance(config, int | float):
        return Sparsity((_group({"sparsity": config}, "sparsity", seed),))
    if isinstance(config, Mapping) and set(config) == {"groups"}:
        if config["groups"] is None:
            raise _wrong_type(config)
        return configure(config["groups"], seed)
    if isinstance(config, Mapping):
        return Sparsity((_group(config, "sparsity", seed),))
    if not config:
        raise _wrong_type(config)
    return Sparsity(tuple(_group(item, f"sparsity[{i}]", seed) for i, item in enumerate(config)))


def _group(config: Any, where: str, seed: int) -> SparsityGroup:
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


def _some(
    group: SparsityGroup, chosen: Mapping[str, Candidate], parameters: Mapping[str, Candidate]
) -> Mapping[str, Candidate]:
    if not chosen:
        trained = [name for name, candidate in parameters.items() if candidate.trains]
        names = ", ".join((trained or list(parameters))[:8]) or "(none at all)"
        is_frozen = group.param_filter is None and len(trained) < len(parameters)
        raise UserError(
            "sparsity: param_filter",
            expected="at least one parameter of the model",
            got=f"{group.param_filter or 'the default choice'} selects none",
            change=f"match names such as {names}"
            + ("; frozen parameters are taken only by name" if is_frozen else ""),
        )
    return chosen


def _left(
    group: SparsityGroup, selected: Mapping[str, Candidate], taken: Mapping[str, MaskRule]
) -> dict[str, Candidate]:
    left = {name: c for name, c in selected.items() if name not in taken}
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
        expected="a number, a mapping, or a list of at least one mapping",
        got=f"{config!r}",
        change="write 0.75, or {algorithm: static, sparsity: 0.75}; leave it out for no sparsity",
    )


_WORDS = {"Field required": "a value", "Extra inputs are not permitted": "no such key"}
"""What pydantic says, and what is meant."""


def _wanted(message: str) -> str:
    """What pydantic says is wrong, without its own names for it."""
    said = message.removeprefix("Input should be ").removeprefix("Value error, ")
    return _WORDS.get(said, said)


def _got(fault: ErrorDetails) -> str:
    return "nothing" if fault["type"] == "missing" else repr(fault["input"])


def _invalid(where: str, error: ValidationError, keys: tuple[str, ...]) -> UserError:
    faults = [(".".join(map(str, fault["loc"])) or "keys", fault) for fault in error.errors()]
    return UserError(
        f"{where}: {', '.join(key for key, _ in faults)}",
        expected="; ".join(f"{key} {_wanted(fault['msg'])}" for key, fault in faults),
        got="; ".join(f"{key}={_got(fault)}" for key, fault in faults),
        change=f"the keys of this algorithm are {', '.join(keys)}",
    )
