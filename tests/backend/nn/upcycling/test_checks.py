"""What cannot be upcycled is refused before the work starts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.nn import expert_loads, lora, upcycle

NAN = float("nan")
OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    "capacity 0": ({"capacity": 0}, "a factor above 0"),
    "capacity NaN": ({"capacity": NAN}, "a factor above 0"),
    "capacity infinite": ({"capacity": float("inf")}, "a factor above 0"),
    "order": ({"order": "topk"}, "'softmax-top-k' or 'top-k-softmax'"),
    "scaling": ({"scaling": "exakt"}, "scaling"),
    "balance": ({"balance": -1.0}, "from 0 on"),
    "z": ({"z": NAN}, "from 0 on"),
    "jitter": ({"jitter": 1.0}, "below 1"),
    "top_k above": ({"top_k": 5}, "below the 4 experts"),
    "all chosen": ({"top_k": 4}, "below the 4 experts"),
    "none chosen": ({"top_k": 0}, "below the 4 experts"),
    "a string": ({"layers": "mlp"}, "a tuple of globs"),
    "no layers": ({"layers": ()}, "at least one"),
}


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(8, 12), nn.GELU(), nn.Linear(12, 8))
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(x + self.mlp(x))


@pytest.mark.parametrize("name", OPTIONS)
def test_numbers_and_names_that_no_mixture_has(name: str) -> None:
    given, said = OPTIONS[name]
    with pytest.raises(UserError, match=said):
        upcycle(Model(), **{"layers": ("mlp",), "experts": 4, "top_k": 2, **given})


def test_tied_and_adapted_layers() -> None:
    tied = Model()
    tied.other = tied.mlp
    with pytest.raises(UserError, match="one tied with other"):
        upcycle(tied, ("mlp",), experts=4)
    tied = Model()
    tied.other = nn.Linear(8, 12)
    tied.other.weight = tied.mlp[0].weight
    with pytest.raises(UserError, match=r"one tied with other\.weight"):
        upcycle(tied, ("mlp",), experts=4)
    adapted = lora.adapt(Model(), lora.LoRA(("mlp.0",), rank=2))
    with pytest.raises(UserError, match=r"adapters on mlp\.0"):
        upcycle(adapted, ("mlp",), experts=4)


def test_loads_of_nothing() -> None:
    with pytest.raises(UserError, match="0 such modules"):
        expert_loads(Model(), [(torch.zeros(1, 8),)])
    with pytest.raises(UserError, match="1 such modules, which had no rows"):
        expert_loads(upcycle(Model(), ("mlp",), experts=4).model, [])
