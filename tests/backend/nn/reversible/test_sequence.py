"""A reversible chain trains as the same chain with all activations kept, and keeps none."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from helpers.reversible_chains import chain, halves, residual, silo
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.backend.nn.online_norm import OnlineNorm
from weft.backend.nn.reversible import (
    ReversibleLayer,
    ReversibleSequence,
)

SAMPLES = 5


class Scaled(ReversibleLayer):
    """A reversible layer that is not additive, with a function of its own."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log = nn.Parameter(torch.randn(1, channels, 1, 1) * 0.1)

    def forward(self, *streams: Tensor) -> tuple[Tensor, ...]:
        return tuple(stream * self.log.exp() for stream in streams)

    def inverse(self, *streams: Tensor) -> tuple[Tensor, ...]:
        return tuple(stream * (-self.log).exp() for stream in streams)


def image(*shape: int) -> Tensor:
    return torch.randn(SAMPLES, 1, *shape, dtype=torch.float64)


CASES = {
    "1-D": (lambda: chain(1), [(4, 8), (4, 8)]),
    "2-D": (lambda: chain(2), [(4, 8, 8), (4, 8, 8)]),
    "3-D": (lambda: chain(3), [(4, 4, 4, 4), (4, 4, 4, 4)]),
    "halves": (halves, [(7, 8, 8)]),
    "residual": (residual, [(4, 8, 8), (4, 8, 8)]),
    "silo": (silo, [(4, 8, 8)]),
    "not additive": (lambda: [*chain(2), Scaled(4), *chain(2)], [(4, 8, 8), (4, 8, 8)]),
}


def train(model: nn.Module, inputs: list[Tensor]) -> list[Tensor]:
    """Losses and input gradients of some samples, one after the other."""
    torch.manual_seed(3)
    optimizer, found = torch.optim.SGD(model.parameters(), lr=0.05), []
    for sample in zip(*inputs, strict=True):
        given = [stream.clone().requires_grad_() for stream in sample]
        outputs = model(*given)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        loss = sum(((n + 1) * (y - 0.3) ** 2).mean() for n, y in enumerate(outputs))
        optimizer.zero_grad()
        loss.backward()
        found += [loss.detach(), *(stream.grad for stream in given)]
        found += [p.grad.clone() for p in model.parameters()]
        optimizer.step()
    return found + [buffer.clone() for buffer in model.buffers()]


@pytest.mark.parametrize("name", CASES)
def test_gradients_draws_and_all_statistics_equal_those_of_kept_activations(name: str) -> None:
    torch.manual_seed(0)
    make, shapes = CASES[name]
    reversible = ReversibleSequence(*make()).double()
    for module in reversible.modules():
        if isinstance(module, OnlineNorm):  # its state stays float32 or wider: make it double here
            for state in module.state_names:
                setattr(module, state, getattr(module, state).double())
    kept = deepcopy(reversible)
    kept.keeps = True
    inputs = [image(*shape) for shape in shapes]
    got, expected = train(reversible, inputs), train(kept, inputs)
    assert len(got) == len(expected)
    for mine, its in zip(got, expected, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_the_inverse_gives_the_inputs(name: str) -> None:
    torch.manual_seed(0)
    make, shapes = CASES[name]
    model = ReversibleSequence(*make()).double().eval()
    inputs = [image(*shape)[0] for shape in shapes]
    with torch.no_grad():
        outputs = model(*inputs)
        back = model.inverse(*(outputs if isinstance(outputs, tuple) else (outputs,)))
    back = back if isinstance(back, tuple) else (back,)
    for mine, its in zip(back, inputs, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-9, atol=1e-9)


def kept_bytes(model: nn.Module, inputs: list[Tensor]) -> int:
    held: dict[int, int] = {}

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        if not isinstance(value, nn.Parameter):
            held[storage.data_ptr()] = storage.nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        outputs = model(*inputs)
    assert outputs is not None
    return sum(held.values())


def test_no_activation_is_saved_however_long_the_chain() -> None:
    """Beside its output, which whoever reads it holds anyway."""
    inputs = [torch.randn(1, 4, 16, 16, requires_grad=True) for _ in range(2)]
    sizes = [
        kept_bytes(ReversibleSequence(*(layer for _ in range(n) for layer in chain(2))), inputs)
        for n in (1, 4)
    ]
    assert sizes == [0, 0]


def test_an_output_changed_in_place_is_noticed() -> None:
    model = ReversibleSequence(*chain(2))
    first, second = model(*(torch.randn(1, 4, 8, 8, requires_grad=True) for _ in range(2)))
    with torch.no_grad():
        first.add_(1)
    with pytest.raises(UserError, match="in place"):
        (first.sum() + second.sum()).backward()


def test_a_second_backward_is_refused() -> None:
    model = ReversibleSequence(*chain(2))
    loss = model(*(torch.randn(1, 4, 8, 8, requires_grad=True) for _ in range(2)))[0].sum()
    loss.backward(retain_graph=True)
    with pytest.raises(UserError, match="a second one"):
        loss.backward()


def test_a_layer_that_is_not_reversible_is_refused() -> None:
    with pytest.raises(UserError, match="layer 1"):
        ReversibleSequence(*residual()[:1], nn.ReLU())  # type: ignore[arg-type]
