"""Which reversible layers a pipeline undoes, and that it says which it does not."""

from __future__ import annotations

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from weft.backend.nn.reversible import AdditiveCoupling, ReversibleLayer, ReversibleSequence
from weft.compiler.capture.capture import capture
from weft.compiler.pipeline import Options, compile_model


class Scaled(ReversibleLayer):
    """x to a x, with an inverse of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((1,), 1.5))

    def forward(self, *streams: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.scale * stream for stream in streams)

    def inverse(self, *streams: Tensor) -> tuple[Tensor, ...]:
        return tuple(stream / self.scale for stream in streams)


class Twice(nn.Module):
    """A chain, of which one layer is called twice."""

    def __init__(self, *layers: ReversibleLayer, again: int | None = None, keeps=False) -> None:
        super().__init__()
        self.chain = ReversibleSequence(*layers, keeps=keeps)
        self.again, self.head = again, nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.chain(x)
        if self.again is not None:
            x = self.chain.layers[self.again](x)[0]
        return self.head(x)


def coupling() -> AdditiveCoupling:
    return AdditiveCoupling(nn.Linear(4, 4), nn.Linear(4, 4), stream=0)


SAMPLE = torch.zeros(1, 8), torch.tensor([1])


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda: Twice(coupling(), coupling()), ()),
        (lambda: Twice(coupling(), Scaled()), ("chain.layers.1 (no additive updates)",)),
        (
            lambda: Twice(coupling(), coupling(), again=0),
            ("chain.layers.0 (not called once per sample)",),
        ),
        (lambda: Twice(Scaled(), again=None, keeps=True), ()),
    ],
)
def test_layers_that_keep_their_activations_are_named(model, expected) -> None:
    graph = capture(model(), SAMPLE, F.cross_entropy)
    assert graph.not_undone == expected


def test_a_compile_with_reversible_stages_says_so() -> None:
    model = Twice(coupling(), Scaled(), coupling())
    with pytest.warns(UserWarning, match=r"keep their activations: chain.layers.1 \(no additive"):
        plan = compile_model(model, SAMPLE, F.cross_entropy, options=Options(reversible=True))
    assert any(stage.rebuilds for stage in plan.document.stages)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compile_model(model, SAMPLE, F.cross_entropy)
