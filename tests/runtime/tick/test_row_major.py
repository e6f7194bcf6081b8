"""Values between programs have no strides of their own."""

from __future__ import annotations

import torch
from weft.runtime.tick.row_major import row_major


def test_values_are_laid_out_by_rows_and_only_copied_if_they_were_not() -> None:
    image = torch.randn(1, 3, 4, 4).to(memory_format=torch.channels_last)
    plain = torch.randn(2, 3)
    found = row_major([image, plain])
    assert found[0].stride() == (48, 16, 4, 1)
    assert torch.equal(found[0], image)
    assert found[1] is plain
