"""Bytes and a tokenizer's tokens: to text and back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers.byte_pairs import save_tokenizer
from weft.bench.studies.distillation.codec import Bytes, codec_at

TEXT = "?word>WORD~ word\nwords"


def test_bytes_are_text_and_back() -> None:
    codec = Bytes()
    assert codec.tokens("a\n").tolist() == [97, 10]
    assert codec.text(codec.tokens(TEXT)) == TEXT
    assert codec.text(torch.tensor([97, 3000])) == "a�"


def test_a_tokenizer_beside_the_model_is_used(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    assert codec_at(tmp_path).name == "bytes"
    save_tokenizer(tmp_path, TEXT)
    codec = codec_at(tmp_path)
    assert codec.vocabulary > 256
    assert codec.text(codec.tokens(TEXT)) == TEXT
    assert len(codec.tokens(TEXT)) < len(TEXT)
    assert codec.tokens("word\n")[-1] == codec.stop
