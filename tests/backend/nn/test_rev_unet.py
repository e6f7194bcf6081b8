"""The reversible 3-D U-Net and its twin that keeps all activations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.backend.nn.rev_unet import rev_unet


def saved_bytes(model: nn.Module, x: Tensor) -> int:
    own = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    held: dict[int, Tensor] = {}

    def pack(value: Tensor) -> Tensor:
        held.setdefault(value.untyped_storage().data_ptr(), value)
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        model(x)
    return sum(v.untyped_storage().nbytes() for place, v in held.items() if place not in own)


@pytest.mark.parametrize("normalization", ["group", "online"])
def test_gradients_equal_those_of_the_twin(normalization: str) -> None:
    torch.manual_seed(0)
    options = {"width": 4, "levels": 2, "classes": 3, "normalization": normalization}
    models = rev_unet(**options).double(), rev_unet(**options, keeps=True).double()
    models[1].load_state_dict(models[0].state_dict())
    gradients = []
    for one in models:
        for module in one.modules():
            for state in getattr(module, "state_names", ()):
                setattr(module, state, getattr(module, state).double())
        torch.manual_seed(1)
        for _ in range(2):
            x = torch.randn(1, 4, 8, 8, 8, dtype=torch.float64)
            one.zero_grad()
            label = torch.randint(3, (1, 8, 8, 8))
            nn.functional.cross_entropy(one(x), label).backward()
        gradients.append([p.grad for p in one.parameters()] + list(one.buffers()))
    for mine, its in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-9, atol=1e-9)


def test_more_blocks_a_level_save_no_more_bytes() -> None:
    x = torch.randn(1, 4, 8, 8, 8)
    sizes = [saved_bytes(rev_unet(width=4, blocks=n), x) for n in (1, 4)]
    kept = [saved_bytes(rev_unet(width=4, blocks=n, keeps=True), x) for n in (1, 4)]
    assert sizes[0] == sizes[1] < kept[0] < kept[1]


def test_volumes_that_cannot_be_halved_are_refused() -> None:
    with pytest.raises(UserError, match="multiples of 4"):
        rev_unet(width=4)(torch.randn(1, 4, 8, 8, 6))
    with pytest.raises(UserError, match="even number"):
        rev_unet(width=5)
