"""Each normalization through capture and cut: stages without delay equal eager autograd."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from helpers.small_models import Attention
from helpers.staged import forward_backward
from torch import Tensor, nn
from weft.backend.nn import replace_norms, standardize_weights
from weft.compiler.capture.capture import capture
from weft.compiler.stages.cut import cut


class Convolutions(nn.Module):
    """Two normalized convolutions, a residual sum and a classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 4, 3, padding=1)
        self.norm1, self.norm2 = nn.GroupNorm(2, 4), nn.GroupNorm(2, 4)
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        h = h + self.conv(F.relu(self.norm1(h)))
        return self.head(F.relu(self.norm2(h)).mean((2, 3)))


def image() -> tuple[Tensor, Tensor]:
    return torch.randn(1, 1, 8, 8, dtype=torch.float64), torch.tensor([3])


def tokens() -> tuple[Tensor, Tensor]:
    return torch.randint(0, 11, (1, 6)), torch.randint(0, 11, (1, 6))


def normalized(kind: str, **options: object) -> Callable[[nn.Module], nn.Module]:
    return lambda model: replace_norms(model, kind, **options)


CHANGES = {
    "online-clamp": normalized("online"),
    "online-layer-scale": normalized("online", ecm="layer_scale", group_size=2),
    "rms": normalized("rms"),
    "filter-response": normalized("filter_response", learnable_eps=True),
    "batch-channel": normalized("batch_channel"),
    "group": normalized("group"),
    "layer": normalized("layer"),
    "standardized": lambda model: standardize_weights(model, linear=True),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize(
    ("build", "sample"), [(Convolutions, image), (Attention, tokens)], ids=["image", "tokens"]
)
def test_stages_equal_eager_autograd_for_three_samples(
    build: Callable[[], nn.Module], sample: Callable[[], tuple[Tensor, Tensor]], change: Callable
) -> None:
    torch.manual_seed(0)
    model = change(build()).double()
    stages = cut(capture(model, sample(), F.cross_entropy))
    tensors = {name: value.detach().clone() for name, value in model.state_dict().items()}
    for _ in range(3):
        x, target = sample()
        loss, _, gradients, state = forward_backward(stages, tensors, (x, target))
        model.zero_grad()
        expected = F.cross_entropy(model(x), target)
        expected.backward()
        torch.testing.assert_close(loss, expected.detach(), rtol=1e-12, atol=1e-12)
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-9, atol=1e-12)
        tensors |= state
        for name, value in model.named_buffers():
            torch.testing.assert_close(tensors[name], value, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("kind", ["rms", "filter_response", "group", "layer"])
def test_a_position_sees_no_other_through_what_replaces_a_layer_norm(kind: str) -> None:
    torch.manual_seed(0)
    norm = replace_norms(nn.Sequential(nn.LayerNorm(4)), kind)
    x = torch.randn(2, 5, 4)
    other = x.clone()
    other[:, 3:] += 1
    assert torch.equal(norm(x)[:, :3], norm(other)[:, :3])


def test_the_output_of_online_norm_sees_no_other_position() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 5, 4)
    other = x.clone()
    other[:, 3:] += 1
    first, second = (replace_norms(nn.Sequential(nn.LayerNorm(4)), "online") for _ in range(2))
    assert torch.equal(first(x)[:, :3], second(other)[:, :3])
