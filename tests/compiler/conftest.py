"""Property tests draw the same examples on every machine, and no test is judged by its time."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import weft
from helpers.two_layers import Pair
from hypothesis import settings
from torch import nn
from weft.compiler.driver import PassRun

settings.register_profile("weft", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("weft")


@pytest.fixture(scope="module")
def runs() -> list[PassRun]:
    """What every pass made of a network of two layers, in order."""
    made: list[PassRun] = []
    torch.manual_seed(0)
    sample = torch.zeros(1, 6), torch.zeros(1, 3)
    options = weft.Options(on_end=made.append)
    weft.compile(Pair(), sample, nn.functional.mse_loss, "tiny_mesh", options)
    return made


@pytest.fixture(scope="module")
def artefacts(runs: list[PassRun]) -> dict[str, Any]:
    return {run.name: run.artefact for run in runs}
