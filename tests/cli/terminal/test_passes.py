"""What passes took, and the artefacts asked for."""

from __future__ import annotations

import torch
import weft
from torch import nn
from weft.cli.terminal.passes import Watch


def test_every_pass_has_a_row_and_those_asked_for_a_text() -> None:
    watch = Watch(["cut"])
    sample = torch.zeros(1, 4), torch.zeros(1, 2)
    options = weft.Options(on_end=watch)
    weft.compile(nn.Linear(4, 2), sample, nn.functional.mse_loss, "tiny_mesh", options)
    assert list(watch.texts) == ["cut"]
    columns, rows = watch.table()
    names = [row[0] for row in rows]
    assert {"capture", "cut", "map", "emit"} <= set(names)
    assert all(len(row) == len(columns) for row in rows)
