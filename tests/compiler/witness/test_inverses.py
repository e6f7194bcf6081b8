"""Layers that say they are reversible are run there and back before a plan rests on it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
import weft
from helpers.reversible_chains import CHAINS, Chain, network
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.backend.nn.reversible import AdditiveCoupling, ReversibleLayer
from weft.compiler.capture.sample import OneSample
from weft.compiler.witness.inverses import check_inverses

SAMPLE = torch.zeros(1, 1, 8, 8, dtype=torch.float64), torch.tensor([1])


class Scaled(ReversibleLayer):
    """y = 2 x, and back by a factor."""

    def __init__(self, back: float) -> None:
        super().__init__()
        self.back = back

    def forward(self, *streams: Tensor) -> tuple[Tensor, ...]:
        return tuple(2 * stream for stream in streams)

    def inverse(self, *streams: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.back * stream for stream in streams)


class Centred(ReversibleLayer):
    """Takes away a mean that the outputs do not tell."""

    def forward(self, *streams: Tensor) -> tuple[Tensor, ...]:
        return tuple(stream - stream.mean() for stream in streams)

    def inverse(self, *streams: Tensor) -> tuple[Tensor, ...]:
        return tuple(stream + stream.mean() for stream in streams)


def with_layers(*layers: ReversibleLayer) -> Chain:
    torch.manual_seed(0)
    model = Chain(layers, (4, 4)).double()
    model.chain.keeps = True
    with torch.no_grad():
        model(SAMPLE[0])
    model.chain.keeps = False
    return model


def checked(model: nn.Module) -> None:
    check_inverses(OneSample(model, F.cross_entropy), SAMPLE)


@pytest.mark.parametrize("name", sorted(CHAINS))
def test_sound_layers_pass_and_are_left_as_they_were(name: str) -> None:
    model = network(name)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    generator = torch.get_rng_state()
    checked(model)
    assert torch.equal(torch.get_rng_state(), generator)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert not model.chain.keeps
    assert all("forward" not in vars(layer) for layer in model.chain.layers)


def test_a_wrong_inverse_is_refused_with_its_relative_error() -> None:
    checked(with_layers(Scaled(0.5)))
    with pytest.raises(UserError) as refused:
        checked(with_layers(Scaled(0.5), Scaled(0.6)))
    assert "chain.layers.1, a reversible Scaled" in refused.value.where
    assert "test_inverses.py" in refused.value.where
    assert "relative error of 0.2" in refused.value.got
    assert "keeps=True" in refused.value.change


def test_statistics_that_the_outputs_do_not_tell_are_refused() -> None:
    with pytest.raises(UserError, match="relative error"):
        checked(with_layers(Centred()))


def test_functions_that_change_their_input_in_place_are_refused() -> None:
    function = nn.Sequential(nn.ReLU(inplace=True), nn.Conv2d(4, 4, 3, padding=1))
    plain = nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1))
    for f, g, name in ((function, plain, "f"), (plain, function, "g")):
        with pytest.raises(UserError, match=rf"chain\.layers\.0\.{name}, a reversible Additive"):
            checked(with_layers(AdditiveCoupling(f, g)))


def test_compile_asks_before_it_makes_stages_reversible() -> None:
    sample = torch.zeros(1, 1, 8, 8, dtype=torch.float64), torch.tensor([1])
    model = with_layers(Scaled(0.5), Scaled(0.7))
    with pytest.raises(UserError, match=r"chain\.layers\.1, a reversible Scaled"):
        weft.compile(model, sample, "cross_entropy", "wse2", {"reversible": True})
