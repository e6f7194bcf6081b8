"""A small multi-layer perceptron."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from .norms import make_norm


class MLP(nn.Module):
    """Linear, then (norm-relu-linear) `hidden` times, on the flattened input."""

    def __init__(
        self,
        features: int,
        classes: int,
        width: int,
        hidden: int,
        normalization: str,
        options: dict[str, Any],
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Flatten(), nn.Linear(features, width, bias=False)]
        for index in range(hidden):
            last = index == hidden - 1
            outputs = classes if last else width
            layers += [make_norm(normalization, width, **options), nn.ReLU()]
            layers += [nn.Linear(width, outputs, bias=last)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (N, classes) of inputs (N, ...) with `features` values per sample."""
        return self.layers(x)


def mlp(
    in_channels: int = 1,
    classes: int = 10,
    normalization: str = "online",
    *,
    image_size: int = 8,
    width: int = 64,
    hidden: int = 3,
    **norm_options: Any,
) -> MLP:
    """A perceptron for images (N, in_channels, image_size, image_size)."""
    features = in_channels * image_size**2
    return MLP(features, classes, width, hidden, normalization, norm_options)
