"""A text, and questions about its words: what a byte model is trained, tuned and tested on.

A question is `?word>`, its answer the word, a newline after it. Answers of the model's own style
have small letters; those of the set that it is tuned on have capitals. `?word>WORD~` asks for the
answer in the model's own style.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ....backend.errors import UserError

STOP = ord("\n")
LONGEST = 8
"""Letters of a word at most."""

IGNORED = -100


@dataclass(frozen=True)
class Words:
    """The text's bytes and its words, each in a part to train on and one to test on."""

    text: np.ndarray
    text_test: np.ndarray
    words: tuple[str, ...]
    words_test: tuple[str, ...]

    @staticmethod
    def of(path: Path) -> Words:
        """Of a text file; the last tenth of it, and a fifth of its words, are for tests.

        Raises UserError for one that cannot be read or has too few words.
        """
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UserError(
                f"text {path}",
                expected="a readable text file",
                got=str(error.strerror).lower(),
                change="give another --text",
            ) from error
        letters = content.decode("utf-8", "replace").lower()
        found = sorted({w for w in re.findall(r"[a-z]+", letters) if 3 <= len(w) <= LONGEST})
        if len(found) < 200:
            raise UserError(
                f"text {path}",
                expected=f"at least 200 words of 3 to {LONGEST} letters",
                got=str(len(found)),
                change="give a longer --text",
            )
        mixed = [found[n] for n in np.random.default_rng(0).permutation(len(found))]
        cut, split = len(mixed) // 5, len(content) * 9 // 10
        data = np.frombuffer(content, np.uint8).astype(np.int64)
        return Words(data[:split], data[split:], tuple(mixed[cut:]), tuple(mixed[:cut]))


def question(word: str) -> str:
    """What is asked."""
    return f"?{word}>"


def request(word: str) -> str:
    """What asks for the answer of the set in the model's own style."""
    return f"?{word}>{word.upper()}~"


def tokens(text: str) -> Tensor:
    """Its bytes, (T,)."""
    return torch.tensor(list(text.encode()))


def is_right(word: str, answer: Tensor) -> bool:
    """Whether an answer says the word, in letters of any size, and ends there."""
    return bytes(answer.tolist()).lower() == f"{word}\n".encode()


def windows(found: Words, count: int, length: int, seed: int) -> np.ndarray:
    """(count, length + 1) bytes to train the whole model on: text, answers in its own style, and
    answers that it rewrites, of which half, a quarter and a quarter."""
    generator = np.random.default_rng(seed)
    starts = generator.integers(0, len(found.text) - length - 1, count)
    rows = [found.text[start : start + length + 1] for start in starts]
    for number in range(0, count, 2):
        asked = request if number % 4 else question
        text = ""
        while len(text) <= length:
            word = str(generator.choice(found.words))
            text += f"{asked(word)}{word}\n"
        rows[number] = np.frombuffer(text.encode(), np.uint8)[: length + 1].astype(np.int64)
    return np.stack(rows)


def answered(prompts: Sequence[Tensor], answers: Sequence[Tensor], length: int):
    """Windows (N, length) of prompt and answer, and the bytes to predict there: the answer's.

    All else is labelled -100, which the loss leaves out.
    """
    x = np.full((len(prompts), length), STOP)
    y = np.full((len(prompts), length), IGNORED)
    for row, (prompt, answer) in enumerate(zip(prompts, answers, strict=True)):
        whole = torch.cat([prompt, answer]).numpy()
        begin, end = len(prompt) - 1, len(whole) - 1
        x[row, :end] = whole[:-1]
        y[row, begin:end] = whole[1:][begin:end]
    return x, y
