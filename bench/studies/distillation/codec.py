"""Text as tokens: bytes, or those of a model's tokenizer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ....backend.packages import model_package

_END = "\n"


class Codec(Protocol):
    """Text to tokens (T,) and back; `stop` is the token that a newline ends with."""

    name: str
    stop: int
    vocabulary: int

    def tokens(self, text: str) -> Tensor: ...

    def text(self, tokens: Tensor) -> str: ...


class Bytes:
    """A token is a byte."""

    name, stop, vocabulary = "bytes", ord(_END), 256

    def tokens(self, text: str) -> Tensor:
        """Its bytes in UTF-8."""
        return torch.from_numpy(np.frombuffer(text.encode(), np.uint8).astype(np.int64))

    def text(self, tokens: Tensor) -> str:
        """What is no UTF-8, or no byte, is replaced."""
        return bytes(min(token, 255) for token in tokens.tolist()).decode("utf-8", "replace")


class Tokenized:
    """The tokens of a tokenizer of transformers, without special ones at the ends."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self.name = f"tokens of {type(tokenizer).__name__}"
        self.vocabulary = len(tokenizer)
        self.stop = int(self.tokens(f"a{_END}")[-1])

    def tokens(self, text: str) -> Tensor:
        """Of any text."""
        found = self._tokenizer(text, add_special_tokens=False, verbose=False)
        return torch.tensor(found["input_ids"], dtype=torch.long)

    def text(self, tokens: Tensor) -> str:
        """Spaces as they are."""
        return str(self._tokenizer.decode(tokens, clean_up_tokenization_spaces=False))


def codec_at(path: Path) -> Codec:
    """The tokenizer of a model's folder; bytes where there is none."""
    names = "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json"
    if not any((path / name).is_file() for name in names):
        return Bytes()
    return Tokenized(model_package("transformers").AutoTokenizer.from_pretrained(path))
