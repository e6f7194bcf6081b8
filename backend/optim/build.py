"""Update rules by name, checked."""

from __future__ import annotations

from ..errors import UnknownNameError, UserError
from .adamw import AdamW
from .compensation import compensation as find_compensation
from .rule import UpdateRule
from .sgdm import SGDM

_RULES = ("sgdm", "adamw")
_ADAMW_COMPENSATIONS = ("none", "stash", "lwp")


def rules() -> tuple[str, ...]:
    """Names `build_rule` knows."""
    return _RULES


def build_rule(
    name: str,
    *,
    momentum: float = 0.9,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    compensation: str = "none",
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    braking_rho: float = 2.0,
) -> UpdateRule:
    """The rule "sgdm" (momentum, nesterov, braking_rho) or "adamw" (betas, eps).

    Raises `UserError` for an unknown name, a value out of range, and a combination without a
    definition: Nesterov is spike compensation for a delay of 1, so not both; AdamW takes none,
    stash and lwp.
    """
    if name not in _RULES:
        raise UnknownNameError("update rule", name, _RULES, "weft.optim.rules()")
    chosen = find_compensation(compensation)
    _check_range("momentum", momentum, 0 <= momentum < 1, "in [0, 1)")
    _check_range("weight_decay", weight_decay, weight_decay >= 0, ">= 0")
    if name == "adamw":
        _check_range("betas", betas, all(0 <= beta < 1 for beta in betas), "both in [0, 1)")
        _check_range("eps", eps, eps > 0, "> 0")
        if compensation not in _ADAMW_COMPENSATIONS:
            raise _undefined("adamw", compensation, _ADAMW_COMPENSATIONS)
        return AdamW(betas, eps, weight_decay, chosen)
    if nesterov and chosen.spike:
        raise _undefined(
            "sgdm with nesterov", compensation, ("none", "stash", "lwp", "lwp_w", "ab")
        )
    return SGDM(momentum, weight_decay, nesterov, chosen, braking_rho)


def _check_range(option: str, value: object, valid: bool, expected: str) -> None:
    if not valid:
        raise UserError(
            f"optimizer: {option}",
            expected=f"a value {expected}",
            got=repr(value),
            change=f"set {option} {expected}",
        )


def _undefined(rule: str, compensation: str, defined: tuple[str, ...]) -> UserError:
    return UserError(
        f"optimizer: {rule}",
        expected=f"a delay compensation out of {', '.join(defined)}",
        got=f"'{compensation}'",
        change="choose one of those, or sgdm without nesterov",
    )
