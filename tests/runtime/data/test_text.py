"""A text file as bytes: windows for a language model that predicts the next byte."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from weft.backend.errors import UserError
from weft.runtime.data import load_data


def test_text_is_cut_into_windows_with_the_next_byte_as_label(tmp_path: Path) -> None:
    content = bytes(range(256)) * 2
    (tmp_path / "text").write_bytes(content)
    data = load_data(str(tmp_path / "text"), (10,))
    assert (len(data.x_train), len(data.x_test)) == (46, 5)
    whole = np.concatenate([data.x_train, data.x_test]).reshape(-1)
    labels = np.concatenate([data.y_train, data.y_test]).reshape(-1)
    assert bytes(whole.astype(np.uint8)) == content[:510]
    assert bytes(labels.astype(np.uint8)) == content[1:511]


def test_unfit_text_says_what_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "short"
    path.write_bytes(b"x" * 20)
    with pytest.raises(UserError, match="at least 21 bytes"):
        load_data(str(path), (10,))
    for shape in (None, (1, 8, 8)):
        with pytest.raises(UserError, match="a model whose input is"):
            load_data(str(path), shape)
