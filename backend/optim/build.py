"""Update rules by name, checked."""

from __future__ import annotations

from ..errors import UnknownNameError, UserError
from .adamw import AdamW
from .compensation import compensation as find_compensation
from .compensation import compensations
from .muon import Muon
from .rotated import RotatedAdamW
from .rule import UpdateRule
from .sgdm import SGDM

_FITTING = {
    "sgdm": compensations(),
    "adamw": ("none", "stash", "lwp"),
    "rotated_adamw": ("none", "stash"),
    "muon": ("none", "stash"),
    "normuon": ("none", "stash"),
}
"""The delay compensations that are defined for each update rule."""

_DEFAULTS = {
    "sgdm": "ab",
    "adamw": "none",
    "rotated_adamw": "stash",
    "muon": "stash",
    "normuon": "stash",
}
"""What trains best at the best rate of each, over the experiments of docs/update-rules.md."""


_MOMENTA = {"muon": 0.95, "normuon": 0.95}
_ROW_BETA = 0.95
MATRIX_RULES = frozenset({"rotated_adamw", "muon", "normuon"})
"""Rules that step a parameter as a matrix."""


def default_momentum(name: str) -> float:
    """The momentum that a rule is published with; 0.9 where there is none."""
    return _MOMENTA.get(name, 0.9)


def rules() -> tuple[str, ...]:
    """Names `build_rule` knows."""
    return tuple(_FITTING)


def fitting_compensations(name: str, nesterov: bool = False) -> tuple[str, ...]:
    """The delay compensations that are defined for the rule `name`.

    Nesterov is spike compensation for a delay of 1, so a rule does not take both.
    Raises `UnknownNameError`.
    """
    if name not in _FITTING:
        raise UnknownNameError("update rule", name, rules(), "weft.optim.rules()")
    return tuple(c for c in _FITTING[name] if not (nesterov and find_compensation(c).spike))


def default_compensation(name: str) -> str:
    """The delay compensation that suits the rule `name`; raises `UnknownNameError`."""
    fitting_compensations(name)
    return _DEFAULTS[name]


def build_rule(
    name: str,
    *,
    momentum: float | None = None,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    compensation: str = "none",
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    braking_rho: float = 2.0,
    rotate_every: int = 10,
    rotate_largest: int = 128,
) -> UpdateRule:
    """The rule "sgdm" (momentum, nesterov, braking_rho), "adamw" (betas, eps), "rotated_adamw"
    (these, rotate_every and rotate_largest), "muon" or "normuon" (momentum, nesterov; betas and eps
    for what is no matrix).

    Raises `UserError` for an unknown name, a value out of range, and a compensation that is not
    among `fitting_compensations`.
    """
    fitting = fitting_compensations(name, nesterov)
    chosen = find_compensation(compensation)
    if compensation not in fitting:
        raise _unfit(f"{name} with nesterov" if nesterov else name, compensation, fitting)
    momentum = default_momentum(name) if momentum is None else momentum
    _check_range("momentum", momentum, 0 <= momentum < 1, "in [0, 1)")
    _check_range("weight_decay", weight_decay, weight_decay >= 0, ">= 0")
    if name == "sgdm":
        return SGDM(momentum, weight_decay, nesterov, chosen, braking_rho)
    _check_range("betas", betas, all(0 <= beta < 1 for beta in betas), "both in [0, 1)")
    _check_range("eps", eps, eps > 0, "> 0")
    plain = AdamW(betas, eps, weight_decay, chosen)
    if name == "adamw":
        return plain
    if name == "rotated_adamw":
        _check_range("rotate_every", rotate_every, rotate_every > 0, "> 0")
        return RotatedAdamW(plain, rotate_every, rotate_largest)
    row_beta = _ROW_BETA if name == "normuon" else None
    return Muon(momentum, weight_decay, nesterov, chosen, plain, row_beta)


def _check_range(option: str, value: object, valid: bool, expected: str) -> None:
    if not valid:
        raise UserError(
            f"optimizer: {option}",
            expected=f"a value {expected}",
            got=repr(value),
            change=f"set {option} {expected}",
        )


def _unfit(rule: str, compensation: str, fitting: tuple[str, ...]) -> UserError:
    return UserError(
        f"delay compensation of {rule}",
        expected=f"one of {', '.join(fitting)}",
        got=f"'{compensation}'",
        change="choose one of those, or leave pipeline.compensation out for the one that suits",
    )
