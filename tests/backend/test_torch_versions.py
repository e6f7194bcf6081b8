"""torch.export is silent while a sample is traced, and as it was afterwards."""

from __future__ import annotations

import logging
import warnings

import pytest
import torch.export._trace as export_module
from weft.backend.torch_versions import export_in_silence


def test_it_is_silent_and_as_before_afterwards(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("torch.export")
    before = logger.level
    with export_in_silence():
        vars(export_module)["print"]("a graph")
        assert logger.level == logging.CRITICAL
        warnings.warn("The tensor attributes self.m._flat_weights[0] were assigned", stacklevel=1)
        with pytest.warns(UserWarning, match="other"):
            warnings.warn("other", stacklevel=1)
    assert capsys.readouterr() == ("", "")
    assert logger.level == before
    assert "print" not in vars(export_module)
