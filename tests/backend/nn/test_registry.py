"""Reference models: shapes, parameter counts, and normalizations by name."""

from __future__ import annotations

import pytest
import torch
from weft.backend.errors import UnknownNameError
from weft.models import model_entry, models, resnet


@pytest.mark.parametrize("name", [*models()])
def test_logits_of_a_sample_on_the_meta_device(name: str) -> None:
    entry = model_entry(name)
    with torch.device("meta"):
        model = entry.factory(classes=7)
        logits = model(torch.empty(2, *entry.input_shape))
    assert logits.shape == (2, 7, *entry.label_shape)


def test_the_caller_seeds_the_initial_weights() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return torch.cat([p.detach().flatten() for p in resnet(8).parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_unknown_model_names_the_closest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'resnet20'"):
        model_entry("resnet-20")
