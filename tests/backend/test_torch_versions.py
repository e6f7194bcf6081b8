"""Exports are silent and Functions are seen, with every torch that weft runs on; then as before."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import pytest
import torch
import torch.export._trace as export_module
from torch.autograd import Function
from weft.backend.torch_versions import calls_of_functions, export_in_silence, original_apply


def test_it_is_silent_and_as_before_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("torch.export")
    before = logger.level
    with export_in_silence():
        vars(export_module)["print"]("a graph")
        assert logger.level == logging.CRITICAL
        warnings.warn(
            "The tensor attributes self.m._flat_weights[0] were assigned during export",
            stacklevel=1,
        )
        with pytest.warns(UserWarning, match="other"):
            warnings.warn("other", stacklevel=1)
    assert capsys.readouterr() == ("", "")
    assert logger.level == before
    assert "print" not in vars(export_module)


class Doubled(Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return 2 * x

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        return 2 * gradient


def test_calls_of_functions_go_through_what_stands_in_or_are_told() -> None:
    kept, seen = Doubled.apply, []

    def stand_in(kind: Any, *args: Any) -> Any:
        seen.append(kind)
        return original_apply(kind)(*args)

    with calls_of_functions(stand_in, seen.append):
        assert Doubled.apply(torch.ones(())) == 2
        assert seen == [Doubled]
        kept(torch.ones(()))
        assert seen == [Doubled, Doubled]
    Doubled.apply(torch.ones(()))
    kept(torch.ones(()))
    assert len(seen) == 2
