"""Lets a model draw the numbers that its plan draws: draw n of a sample is that of place n.

The place of a draw is the seed of torch's generator, which every draw sets to the next one. So a
forward that is done again in the backward (activation checkpointing), before which torch restores
the generator, draws the same numbers again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload

from ...backend.errors import UnsupportedError
from ...backend.ops import uniform
from ..capture.draws import arguments, bernoulli, leaky, rule_of, without_rule
from ..capture.source_lines import calling_line, running_line

_ATEN = torch.ops.aten
_FIRST_SEED = 0x7EF7 << 32


@dataclass(frozen=True)
class Draw:
    """One draw of a sample: what it is for, its shape, and the line that asked for it."""

    kind: str
    shape: tuple[int, ...]
    line: tuple[str, int] = field(default=("", 0), compare=False)


class Replay:
    """The draws of sample number `sample`, in floating-point type `dtype`; `made` lists them."""

    def __init__(self, sample: int, dtype: torch.dtype) -> None:
        self.sample, self.dtype = sample, dtype
        self.made: list[Draw] = []

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """From the first place on; the generator is afterwards as it was."""
        before = torch.get_rng_state()
        torch.default_generator.manual_seed(_FIRST_SEED)
        try:
            yield
        finally:
            torch.set_rng_state(before)

    def result(self, target: OpOverload, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What a random operator returns, and what it writes to its arguments.

        Raises UnsupportedError for one that weft cannot draw.
        """
        given = arguments(target, args, kwargs)
        name = str(target.overloadpacket)
        if name.startswith("aten.rrelu_with_noise"):
            return self._leaky(target, given)
        if name == "aten.native_dropout":
            return self._dropout(given)
        rule = rule_of(target)
        if rule is None:
            raise without_rule(target, running_line())
        if target._schema.is_mutable:
            return given["self"].copy_(rule(self, given["self"], given))
        return rule(self, self._described(given), given)

    def call(self, target: Any, *args: Any, **kwargs: Any) -> Any:
        """The result of an operator."""
        return target(*args, **kwargs)

    def value(self, item: Tensor) -> Tensor:
        """The tensor itself."""
        return item

    def uniform(self, kind: str, shape: Sequence[int]) -> Tensor:
        """The draw of the place that the generator tells.

        Raises UnsupportedError for a model that sets the generator by itself.
        """
        place = torch.default_generator.initial_seed() - _FIRST_SEED
        if not 0 <= place <= len(self.made):
            raise UnsupportedError(
                f"a draw in {running_line()}",
                expected="draws that follow one another from torch's generator",
                got="a forward that seeds the generator, so that every sample draws the same",
                change="leave out the seed, or keep the numbers in a buffer",
            )
        if place == len(self.made):
            self.made.append(Draw(kind, tuple(shape), calling_line()))
        torch.default_generator.manual_seed(_FIRST_SEED + place + 1)
        drawn, _ = uniform(torch.tensor([place, self.sample]), shape)
        return drawn

    def _leaky(self, target: OpOverload, given: Mapping[str, Any]) -> Any:
        if not given["training"]:
            return _ATEN.leaky_relu.default(given["self"], (given["lower"] + given["upper"]) / 2)
        result, slopes = leaky(self, given["self"], given["lower"], given["upper"])
        if not target._schema.is_mutable:
            return result, slopes
        given["noise"].copy_(slopes)
        is_in_place = str(target.overloadpacket).endswith("_")
        return given["self"].copy_(result) if is_in_place else result

    def _dropout(self, given: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        value, p, train = given["input"], given["p"], given["train"]
        if not train or not p:
            return value.clone(), torch.ones_like(value, dtype=torch.bool)
        kept = bernoulli(self, value, 1.0 - p)
        return value * kept * (0.0 if p == 1 else 1 / (1 - p)), kept.bool()

    def _described(self, given: Mapping[str, Any]) -> Tensor:
        """A tensor of the shape and type that the operator returns."""
        tensors = [given[n] for n in ("self", "mean", "std") if isinstance(given.get(n), Tensor)]
        shape = given.get("size", (given["n"],) if "n" in given else None)
        if shape is None:
            shape = torch.broadcast_shapes(*(tensor.shape for tensor in tensors))
        dtype = given.get("dtype", tensors[0].dtype if tensors else None)
        if dtype is None:
            dtype = tensors[0].dtype if tensors else self.dtype
        wanted = torch.int64 if isinstance(dtype, int) else dtype
        return torch.empty(tuple(shape), dtype=wanted, device="meta")
