"""A text, and questions about its words: what a model is trained, tuned and tested on.

A question is `?word>`, its answer the word, a newline after it. Answers of the model's own style
have small letters; those of the set that it is tuned on have capitals. `?word>WORD~` asks for the
answer in the model's own style.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ....backend.errors import UserError
from .codec import Bytes, Codec

LONGEST = 8
"""Letters of a word at most."""

IGNORED = -100


@dataclass(frozen=True)
class Words:
    """The text's tokens and its words, each in a part to train on and one to test on."""

    codec: Codec
    text: np.ndarray
    text_test: np.ndarray
    words: tuple[str, ...]
    words_test: tuple[str, ...]

    @staticmethod
    def of(path: Path, codec: Codec | None = None) -> Words:
        """Of a text file, in bytes or another code; the last tenth of it, and a fifth of its
        words, are for tests.

        Raises UserError for one that cannot be read or has too few words.
        """
        try:
            content = path.read_bytes().decode("utf-8", "replace")
        except OSError as error:
            raise UserError(
                f"text {path}",
                expected="a readable text file",
                got=str(error.strerror).lower(),
                change="give another --text",
            ) from error
        found = sorted(
            {w for w in re.findall(r"[a-z]+", content.lower()) if 3 <= len(w) <= LONGEST}
        )
        if len(found) < 200:
            raise UserError(
                f"text {path}",
                expected=f"at least 200 words of 3 to {LONGEST} letters",
                got=str(len(found)),
                change="give a longer --text",
            )
        mixed = [found[n] for n in np.random.default_rng(0).permutation(len(found))]
        codec = codec or Bytes()
        data = codec.tokens(content).numpy()
        cut, split = len(mixed) // 5, len(data) * 9 // 10
        return Words(codec, data[:split], data[split:], tuple(mixed[cut:]), tuple(mixed[:cut]))

    @property
    def longest_answer(self) -> int:
        """Tokens that an answer may take, its end included: two more than a word in bytes."""
        return LONGEST + 2

    @cached_property
    def window(self) -> int:
        """Tokens of a question with its answer, at most."""
        longest = max(len(self.codec.tokens(question(word))) for word in self.words)
        answers = (len(self.codec.tokens(f"{word.upper()}\n")) for word in self.words)
        return longest + max(self.longest_answer, *answers)


def question(word: str) -> str:
    """What is asked."""
    return f"?{word}>"


def request(word: str) -> str:
    """What asks for the answer of the set in the model's own style."""
    return f"?{word}>{word.upper()}~"


def is_right(codec: Codec, word: str, answer: Tensor) -> bool:
    """Whether an answer says the word, in letters of any size, and ends there."""
    return codec.text(answer).lower() == f"{word}\n"


def windows(found: Words, count: int, length: int, seed: int) -> np.ndarray:
    """(count, length + 1) tokens to train the whole model on: text, answers in its own style, and
    answers that it rewrites, of which half, a quarter and a quarter."""
    generator = np.random.default_rng(seed)
    starts = generator.integers(0, len(found.text) - length - 1, count)
    rows = [found.text[start : start + length + 1] for start in starts]
    for number in range(0, count, 2):
        asked = request if number % 4 else question
        row: list[int] = []
        while len(row) <= length:
            word = str(generator.choice(found.words))
            row += found.codec.tokens(f"{asked(word)}{word}\n").tolist()
        rows[number] = np.array(row[: length + 1])
    return np.stack(rows)


def answered(prompts: Sequence[Tensor], answers: Sequence[Tensor], length: int, filler: int):
    """Windows (N, length) of prompt and answer, and the tokens to predict there: the answer's.

    All else is labelled -100, which the loss leaves out; `filler` comes after the answer.
    """
    x = np.full((len(prompts), length), filler)
    y = np.full((len(prompts), length), IGNORED)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        whole = torch.cat([prompt, answer]).numpy()
        begin, end = len(prompt) - 1, len(whole) - 1
        x[row, :end] = whole[:-1]
        y[row, begin:end] = whole[1:][begin:end]
    return x, y
