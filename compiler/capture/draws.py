"""What each random operator of torch draws, as a function of uniform numbers.

    %y = aten.normal_(%x, mean 1, std 2)
    ->
    %drawn = weft.uniform(%key, [2, *shape of x])
    %y = sqrt(-2 log(1 - %drawn[0])) * cos(2 pi %drawn[1]) * 2 + 1

A rule is written once, for nodes of a graph (randomness.py) and for tensors (the witness, which
lets the model itself draw the same numbers).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor
from torch._ops import OpOverload

from ...backend.errors import UnsupportedError

_ATEN = torch.ops.aten
_WORDS = 2**24
"""Different numbers that a draw can be."""


class Draws(Protocol):
    """Where draws come from, and how an operator is called: on nodes or on tensors."""

    def call(self, target: OpOverload, *args: Any, **kwargs: Any) -> Any:
        """The result of an operator."""
        ...

    def uniform(self, kind: str, shape: Sequence[int]) -> Any:
        """The next draw, in [0, 1) and float32, for numbers that are distributed as `kind` says."""
        ...

    def value(self, item: Any) -> Tensor:
        """The (fake) tensor that an item is."""
        ...


DrawRule = Callable[[Draws, Tensor, Mapping[str, Any]], Any]
"""What an operator returns, from its arguments by name; the tensor has the shape and the dtype of
its (first) result."""


def bernoulli(draws: Draws, result: Tensor, probability: Any) -> Any:
    """1 with the given probability, a number or a tensor, else 0."""
    drawn = draws.uniform("bernoulli", result.shape)
    is_number = isinstance(probability, int | float)
    target = _ATEN.lt.Scalar if is_number else _ATEN.lt.Tensor
    kept = draws.call(target, drawn, probability)
    return draws.call(_ATEN._to_copy.default, kept, dtype=result.dtype)


def uniform(draws: Draws, result: Tensor, low: float = 0.0, high: float = 1.0) -> Any:
    """Evenly distributed in [low, high)."""
    drawn = _typed(draws, result, draws.uniform("uniform", result.shape))
    return _moved(draws, drawn, high - low, low)


def normal(draws: Draws, result: Tensor, mean: Any = 0.0, std: Any = 1.0) -> Any:
    """Normally distributed, by the transform of Box and Muller (1958). torch has no derivative by
    mean and standard deviation: they are what the draw was made with."""
    call = draws.call
    mean, std = (
        value if isinstance(value, int | float) else call(_ATEN.detach.default, value)
        for value in (mean, std)
    )
    drawn = _typed(draws, result, draws.uniform("normal", (2, *result.shape)))
    radius, angle = (call(_ATEN.select.int, drawn, 0, number) for number in range(2))
    rest = call(_ATEN.rsub.Scalar, radius, 1.0)
    squared = call(_ATEN.mul.Tensor, call(_ATEN.log.default, rest), -2.0)
    turned = call(_ATEN.cos.default, call(_ATEN.mul.Tensor, angle, 2 * math.pi))
    return _moved(
        draws, call(_ATEN.mul.Tensor, call(_ATEN.sqrt.default, squared), turned), std, mean
    )


def exponential(draws: Draws, result: Tensor, rate: float = 1.0) -> Any:
    """Exponentially distributed with the given rate."""
    return draws.call(_ATEN.mul.Tensor, _log_of_rest(draws, result, "exponential"), -1.0 / rate)


def geometric(draws: Draws, result: Tensor, p: float) -> Any:
    """Trials up to the first success."""
    trials = draws.call(_ATEN.div.Tensor, _log_of_rest(draws, result, "geometric"), math.log1p(-p))
    return draws.call(_ATEN.add.Tensor, draws.call(_ATEN.floor.default, trials), 1.0)


def cauchy(draws: Draws, result: Tensor, median: float = 0.0, sigma: float = 1.0) -> Any:
    """Distributed after Cauchy."""
    drawn = _typed(draws, result, draws.uniform("cauchy", result.shape))
    turned = draws.call(_ATEN.tan.default, _moved(draws, drawn, math.pi, -math.pi / 2))
    return _moved(draws, turned, sigma, median)


def integers(draws: Draws, result: Tensor, low: int, high: int) -> Any:
    """Whole numbers from low to high - 1. Raises UnsupportedError for too many of them."""
    if high - low > _WORDS:
        raise _refused(f"whole numbers from {low} to {high - 1}", f"at most {_WORDS:,} of them")
    drawn = draws.call(_ATEN.mul.Tensor, draws.uniform("integers", result.shape), high - low)
    whole = draws.call(_ATEN._to_copy.default, drawn, dtype=result.dtype)
    if result.is_floating_point():
        whole = draws.call(_ATEN.floor.default, drawn)
        whole = _typed(draws, result, whole)
    return draws.call(_ATEN.add.Tensor, whole, low)


def permutation(draws: Draws, result: Tensor) -> Any:
    """The whole numbers from 0 to n - 1 in some order."""
    order = draws.call(_ATEN.argsort.default, draws.uniform("permutation", result.shape))
    return draws.call(_ATEN._to_copy.default, order, dtype=result.dtype)


def choice(draws: Draws, weights: Any, count: int, replacement: bool) -> Any:
    """Positions along the last axis, with probabilities that are proportional to the weights.

    The positions with the smallest of as many exponential draws, each divided by its weight
    (Efraimidis and Spirakis, 2006).
    """
    if replacement and count > 1:
        raise _refused("several choices with replacement", "choices without replacement")
    given = draws.value(weights)
    race = draws.call(_ATEN.div.Tensor, exponential(draws, given), weights)
    order = draws.call(_ATEN.argsort.default, race)
    return draws.call(_ATEN.slice.Tensor, order, -1, 0, count)


def leaky(draws: Draws, value: Any, lower: float, upper: float) -> tuple[Any, Any]:
    """`rrelu`: what is negative is scaled by a slope of its own; result and slopes."""
    slope = uniform(draws, draws.value(value), lower, upper)
    positive = draws.call(_ATEN.gt.Scalar, value, 0)
    ones = draws.call(_ATEN.ones_like.default, slope)
    slopes = draws.call(_ATEN.where.self, positive, ones, slope)
    return draws.call(_ATEN.mul.Tensor, value, slopes), slopes


def _log_of_rest(draws: Draws, result: Tensor, kind: str) -> Any:
    """log(1 - u), which is finite."""
    drawn = _typed(draws, result, draws.uniform(kind, result.shape))
    return draws.call(_ATEN.log.default, draws.call(_ATEN.rsub.Scalar, drawn, 1.0))


def _moved(draws: Draws, drawn: Any, scale: Any, shift: Any) -> Any:
    if not isinstance(scale, int | float) or scale != 1:
        drawn = draws.call(_ATEN.mul.Tensor, drawn, scale)
    if not isinstance(shift, int | float) or shift != 0:
        drawn = draws.call(_ATEN.add.Tensor, drawn, shift)
    return drawn


def _typed(draws: Draws, result: Tensor, drawn: Any) -> Any:
    if result.dtype is draws.value(drawn).dtype:
        return drawn
    return draws.call(_ATEN._to_copy.default, drawn, dtype=result.dtype)


def _refused(got: str, expected: str) -> UnsupportedError:
    return UnsupportedError(
        "a random draw",
        expected=expected,
        got=got,
        change="draw with another function of torch, or give the numbers to the model as an input",
    )


def arguments(target: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """An operator's arguments by name, those that were left out with their defaults.

    Raises UnsupportedError for a generator of the caller's own.
    """
    known = target._schema.arguments
    given = {a.name: a.default_value for a in known if a.has_default_value()}
    given |= dict(zip((a.name for a in known), args, strict=False)) | dict(kwargs)
    if given.get("generator") is not None:
        raise _refused("a generator of the model's own", "draws from torch's default generator")
    return given


def rule_of(target: Any) -> DrawRule | None:
    """How to draw what an operator draws, also in its form that changes its first argument."""
    packet = getattr(target, "overloadpacket", None)
    name = str(packet).removeprefix("aten.").removesuffix("_").removesuffix("_functional")
    return RULES.get(name)


@lru_cache(maxsize=4096)
def is_random(target: Any) -> bool:
    """Whether two calls of an operator with the same arguments may give different numbers."""
    tags = getattr(target, "tags", ())
    return torch.Tag.nondeterministic_seeded in tags or str(target).startswith(_UNTAGGED)


def without_rule(target: Any, place: object) -> UnsupportedError:
    """The refusal of a random operator that no rule is for; `place` is where it is called."""
    return UnsupportedError(
        f"{target} in {place}",
        expected="a random operator that can be computed from uniform numbers",
        got=f"{target.overloadpacket}, which weft cannot draw",
        change="draw with another function of torch, or give the numbers to the model as an input",
    )


_UNTAGGED = (
    *("aten.feature_dropout", "aten.feature_alpha_dropout", "aten.rrelu.", "aten.random"),
    *("aten.binomial", "aten._standard_gamma", "aten._sample_dirichlet"),
)

RULES: Mapping[str, DrawRule] = {
    "bernoulli": lambda draws, result, given: bernoulli(
        draws, result, given.get("p", given["self"])
    ),
    "rand": lambda draws, result, given: uniform(draws, result),
    "rand_like": lambda draws, result, given: uniform(draws, result),
    "uniform": lambda draws, result, given: uniform(draws, result, given["from"], given["to"]),
    "randn": lambda draws, result, given: normal(draws, result),
    "randn_like": lambda draws, result, given: normal(draws, result),
    "normal": lambda draws, result, given: normal(draws, result, given["mean"], given["std"]),
    "log_normal": lambda draws, result, given: draws.call(
        _ATEN.exp.default, normal(draws, result, given["mean"], given["std"])
    ),
    "exponential": lambda draws, result, given: exponential(draws, result, given["lambd"]),
    "geometric": lambda draws, result, given: geometric(draws, result, given["p"]),
    "cauchy": lambda draws, result, given: cauchy(draws, result, given["median"], given["sigma"]),
    "randint": lambda draws, result, given: integers(
        draws, result, given.get("low", 0), given["high"]
    ),
    "randint_like": lambda draws, result, given: integers(
        draws, result, given.get("low", 0), given["high"]
    ),
    "random": lambda draws, result, given: integers(
        draws, result, given.get("from", 0), _bound(given)
    ),
    "randperm": lambda draws, result, given: permutation(draws, result),
    "multinomial": lambda draws, result, given: choice(
        draws, given["self"], given["num_samples"], given["replacement"]
    ),
}


def _bound(given: Mapping[str, Any]) -> int:
    if given.get("to") is None:
        raise _refused("random_() without bounds", "bounds: random_(low, high)")
    return given["to"]
