"""What a reversible layer is: streams in, streams out, and back."""

from __future__ import annotations

import pytest
import torch
from helpers.reversible_cases import CASES, image
from helpers.reversible_chains import residual
from torch import nn
from weft.backend.errors import UserError
from weft.backend.nn.reversible import ReversibleSequence


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


def test_a_layer_that_is_not_reversible_is_refused() -> None:
    with pytest.raises(UserError, match="layer 1"):
        ReversibleSequence(*residual()[:1], nn.ReLU())  # type: ignore[arg-type]
