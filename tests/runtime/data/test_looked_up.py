"""Whole numbers that look something up: what eager torch refuses is refused, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import weft
from torch import nn
from weft.backend.errors import UserError

ROWS, OTHER_ROWS = 6, 9


class LooksUp(nn.Module):
    """Four whole numbers to three scores; `look` gives what they look up."""

    def __init__(self, look) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.look = look
        self.first, self.second = nn.Embedding(ROWS, 2), nn.Embedding(OTHER_ROWS, 2)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        return self.head(F.pad(self.look(self, x).flatten(1), (0, 8))[:, :8])


LOOKS = {
    "embedding": lambda m, x: m.first(x),
    "flat": lambda m, x: m.first(x.reshape(-1)).reshape(1, 4, 2),
    "transposed": lambda m, x: m.first(x.reshape(1, 2, 2).transpose(1, 2)),
    "narrower": lambda m, x: m.first(x.to(torch.int32)),
    "columns": lambda m, x: torch.cat([m.first(x[:, :2]), m.second(x[:, 2:])], 1),
    "one column": lambda m, x: m.first(x[:, 1]),
    "indexed": lambda m, x: m.first.weight[x],
    "second axis": lambda m, x: m.second.weight.t()[:, x[0]][None],
    "selected": lambda m, x: m.first.weight.index_select(0, x[0])[None],
    "gathered": lambda m, x: m.second.weight.t().contiguous()[:1].gather(1, x),
    "as numbers": lambda m, x: x.float(),
}
NUMBERS = {
    "few": [[0, 1, 2, 3]],
    "many for one": [[5, 5, 8, 8]],
    "just too many": [[5, 6, 2, 0]],
    "last too many": [[0, 0, 0, 9]],
    "negative": [[0, -1, 2, -6]],
    "too far from the end": [[0, 2, -7, -10]],
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_what_eager_torch_refuses_is_refused(look) -> None:
    model = LooksUp(look)
    example = torch.tensor([[0, 1, 2, 3]]), torch.tensor([1])
    plan = weft.compile(model, example, F.cross_entropy)
    for numbers in NUMBERS.values():
        given = np.array(numbers)
        try:
            expected = model(torch.tensor(numbers)).detach().numpy()
        except (IndexError, RuntimeError):
            with pytest.raises(UserError, match="tokens from"):
                weft.predict(plan, given, executor="reference")
        else:
            found = weft.predict(plan, given, executor="reference")[0]
            np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_numbers_from_the_end_are_those_of_torch_on_jax() -> None:
    model = LooksUp(LOOKS["indexed"])
    example = torch.tensor([[0, 1, 2, 3]]), torch.tensor([1])
    plan = weft.compile(model, example, F.cross_entropy)
    numbers = np.array([[-1, 1, -6, 5]])
    expected = model(torch.from_numpy(numbers)).detach().numpy()
    np.testing.assert_allclose(weft.predict(plan, numbers)[0], expected, rtol=1e-5)


@pytest.mark.parametrize("wrong", [[[0, 1, 2, 2.5]], [[0, 1, 2, np.nan]]])
def test_what_is_not_whole_is_refused(wrong) -> None:
    example = torch.tensor([[0, 1, 2, 3]]), torch.tensor([1])
    plan = weft.compile(LooksUp(LOOKS["as numbers"]), example, F.cross_entropy)
    with pytest.raises(UserError, match="whole numbers"):
        weft.predict(plan, np.array(wrong), executor="reference")
