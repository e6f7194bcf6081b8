from __future__ import annotations

import torch
from weft.backend.ops import uniform

WORD = 2**32


def _mix(x: int) -> int:
    x = (x ^ (x >> 16)) * 0x7FEB352D % WORD
    x = (x ^ (x >> 15)) * 0x846CA68B % WORD
    return x ^ (x >> 16)


def test_equals_the_formula_in_python_integers():
    place, count = 3, 41
    drawn, next_key = uniform(torch.tensor([place, count]), (2, 5))
    start = _mix((count + _mix(place)) % WORD)
    expected = [(_mix((k + start) % WORD) >> 8) / 2**24 for k in range(10)]
    assert drawn.reshape(-1).tolist() == expected
    assert next_key.tolist() == [place, count + 1]


def test_is_uniform_and_independent_of_place_and_count():
    keys = [(0, 0), (0, 1), (1, 0), (1, 1)]
    draws = torch.stack([uniform(torch.tensor(key), (1 << 16,))[0] for key in keys]).double()
    assert draws.min() >= 0
    assert draws.max() < 1
    # a mean of 65,536 uniforms has standard deviation 0.0011; correlations have 0.004
    torch.testing.assert_close(draws.mean(1), torch.full((4,), 0.5).double(), atol=0.006, rtol=0)
    correlation = torch.corrcoef(draws)
    torch.testing.assert_close(correlation, torch.eye(4).double(), atol=0.02, rtol=0)
    lagged = torch.corrcoef(torch.stack([draws[0, :-1], draws[0, 1:]]))[0, 1]
    assert abs(lagged) < 0.02


def test_operator_registration_is_sound():
    torch.library.opcheck(torch.ops.weft.uniform.default, (torch.tensor([0, 0]), [3, 4]))
