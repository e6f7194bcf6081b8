"""Folders of PEFT's: what is missing or broken is said."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from weft.backend.errors import UserError
from weft.backend.peft_files import CONFIG, WEIGHTS, read_keys, read_tensors, write_folder


def test_what_is_written_is_read(tmp_path: Path) -> None:
    wide = torch.arange(6.0).reshape(2, 3).T  # not contiguous
    write_folder(tmp_path / "new", {"a": wide}, {"r": 2}, {"masked": "true"})
    tensors, metadata = read_tensors(tmp_path / "new")
    assert torch.equal(tensors["a"], wide)
    assert metadata == {"format": "pt", "masked": "true"}
    assert read_keys(tmp_path / "new")["r"] == 2


def test_missing_and_broken_files_are_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="configuration of PEFT"):
        read_keys(tmp_path)
    with pytest.raises(UserError, match="safetensors file"):
        read_tensors(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"1")
    with pytest.raises(UserError, match="safetensors file"):
        read_tensors(tmp_path)
    for text in ("[1]", "{"):
        (tmp_path / CONFIG).write_text(text)
        with pytest.raises(UserError, match=r"JSON object|configuration of PEFT"):
            read_keys(tmp_path)
