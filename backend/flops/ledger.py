"""Training FLOPs by layer and kind.

A multiply-accumulate is two FLOPs. Training a layer costs three times its forward: the forward,
the gradient of its input and the gradient of its weights, each in proportion to the non-zero
weights. Norms, activations, biases and the optimizer are left out, as in the published tables.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from ..errors import UserError
from ..sparsity.rule import MaskRule

WorkKind = Literal["linear", "convolution", "attention", "vocabulary", "other"]
"""attention: products of two activations, which no weight sparsity reduces."""


@dataclass(frozen=True)
class Flops:
    """FLOPs as if all weights were dense, and those left when zero weights are skipped."""

    dense: float
    effective: float

    @property
    def ratio(self) -> float:
        """effective / dense."""
        return self.effective / self.dense if self.dense else 1.0

    def __add__(self, other: Flops) -> Flops:
        return Flops(self.dense + other.dense, self.effective + other.effective)

    def __mul__(self, factor: float) -> Flops:
        return Flops(self.dense * factor, self.effective * factor)


_NOTHING = Flops(0.0, 0.0)


@dataclass(frozen=True)
class Layer:
    """A product of the forward pass: multiply-accumulates per sample, and its weight if any.

    `density` is the share of the weight that is not zero.
    """

    name: str
    kind: WorkKind
    macs: int
    weight: str | None = None
    density: float = 1.0

    @property
    def forward(self) -> Flops:
        """FLOPs of the forward pass of one sample."""
        return Flops(2.0 * self.macs, 2.0 * self.macs * self.density)

    @property
    def training(self) -> Flops:
        """FLOPs of a training step of one sample: 3 f."""
        return self.forward * 3

    @property
    def growing(self) -> Flops:
        """A training step whose weight gradient is dense, as RigL needs it: 2 f_s + f_d."""
        f = self.forward
        return Flops(3 * f.dense, 2 * f.effective + f.dense)


@dataclass(frozen=True)
class Ledger:
    """The layers of a model, in order."""

    layers: tuple[Layer, ...]

    @property
    def forward(self) -> Flops:
        """FLOPs of the forward pass of one sample."""
        return sum((layer.forward for layer in self.layers), _NOTHING)

    @property
    def training(self) -> Flops:
        """FLOPs of a training step per sample, without the dense gradients of RigL."""
        return sum((layer.training for layer in self.layers), _NOTHING)

    def rigl(self, period: int) -> Flops:
        """Training FLOPs per sample with a dense gradient after every `period` sparse steps.

        (3 f_s P + 2 f_s + f_d) / (P + 1), Evci et al. 2020, appendix. `update.freq` is P + 1.
        """
        steps = (layer.training * period + layer.growing for layer in self.layers)
        return sum(steps, _NOTHING) * (1 / (period + 1))

    def by_kind(self) -> dict[WorkKind, Flops]:
        """Training FLOPs per sample of every kind of layer that occurs."""
        kinds: dict[WorkKind, Flops] = {}
        for layer in self.layers:
            kinds[layer.kind] = kinds.get(layer.kind, _NOTHING) + layer.training
        return kinds

    def run(self, samples: int) -> Flops:
        """Training FLOPs of `samples` samples."""
        return self.training * samples

    def with_densities(self, densities: Mapping[str, float]) -> Ledger:
        """The same layers, weights named in `densities` at that share of non-zeros.

        Raises `UserError` for a name that is no layer's weight.
        """
        unknown = densities.keys() - {layer.weight for layer in self.layers}
        if unknown:
            raise UserError(
                "densities",
                expected="weights of the ledger's layers",
                got=", ".join(sorted(unknown)),
                change="name weights such as "
                + ", ".join([layer.weight for layer in self.layers if layer.weight][:8]),
            )
        new = (
            replace(layer, density=densities.get(layer.weight or "", layer.density))
            for layer in self.layers
        )
        return Ledger(tuple(new))


def run_flops(
    ledger: Ledger, rules: Mapping[str, MaskRule], steps: int, samples_per_step: int
) -> Flops:
    """Training FLOPs of a run of `steps` steps under changing masks.

    Masks change between steps as `rules` say; steps whose dense gradients RigL collects pay for
    them.
    """
    total = _NOTHING
    for layer in ledger.layers:
        rule = rules.get(layer.weight or "")
        total += _layer_run(layer, rule, steps) if rule else layer.training * steps
    return total * samples_per_step


def _layer_run(layer: Layer, rule: MaskRule, steps: int) -> Flops:
    elements = max(sum(rule.group.blocks.sizes(rule.shape)), 1)
    changes = [step for step in range(1, steps) if rule.due(step)]
    total = _NOTHING
    for begin, end in zip([0, *changes], [*changes, steps], strict=True):
        at = replace(layer, density=int(rule.kept(begin).sum()) / elements)
        grows = int(np.count_nonzero(rule.collects(np.arange(begin + 1, end + 1))))
        total += at.training * (end - begin - grows) + at.growing * grows
    return total
