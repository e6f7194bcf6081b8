"""A file that is no safetensors file is told by its header."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from weft.backend.errors import UserError
from weft.runtime.weights.safetensors_header import check_header


def test_a_safetensors_file_passes(tmp_path: Path) -> None:
    save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "w.safetensors")
    check_header(tmp_path / "w.safetensors")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + bytes(100)])
def test_another_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(content)
    with pytest.raises(UserError, match="save other formats as safetensors first"):
        check_header(tmp_path / "w.bin")


def test_a_file_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        check_header(tmp_path / "w.safetensors")
