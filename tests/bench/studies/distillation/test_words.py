"""Questions and answers as bytes, and what a window asks to predict."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from weft.backend.errors import UserError
from weft.bench.studies.distillation.codec import Bytes
from weft.bench.studies.distillation.words import (
    IGNORED,
    Words,
    answered,
    is_right,
    question,
    windows,
)

STOP, tokens = Bytes().stop, Bytes().tokens


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Words:
    return Words.of(text(tmp_path_factory.mktemp("text")))


def text(folder: Path) -> Path:
    letters = "abcdefghij"
    made = [f"{a}{b}{c}" for a in letters for b in letters for c in letters[:3]]
    path = folder / "words.txt"
    path.write_text(" ".join(made * 3))
    return path


def test_parts_to_test_on_are_not_trained_on(words: Words) -> None:
    assert (words.window, words.longest_answer) == (15, 10)
    assert len(words.words) == 240
    assert len(words.words_test) == 60
    assert not set(words.words) & set(words.words_test)
    assert len(words.text_test) == pytest.approx(len(words.text) / 9, abs=1)


def test_a_window_is_labelled_where_the_answer_is(words: Words) -> None:
    x, y = answered([tokens(question("abc"))], [tokens("ABC\n")], 12, STOP)
    assert bytes(x[0].tolist()).startswith(b"?abc>ABC\n")
    labelled = np.flatnonzero(y[0] != IGNORED)
    assert labelled.tolist() == [4, 5, 6, 7]
    assert bytes(y[0, labelled].tolist()) == b"ABC\n"
    assert bytes(x[0, labelled + 1].tolist()) == b"ABC\n"


def test_windows_are_half_text_and_half_answers(words: Words) -> None:
    rows = windows(words, 40, 30, seed=0)
    assert rows.shape == (40, 31)
    asked = [bytes(row.tolist()).startswith(b"?") for row in rows]
    assert sum(asked) == 20
    with_request = [b"~" in bytes(row.tolist()) for row in rows]
    assert sum(with_request) == 10


def test_an_answer_is_right_in_letters_of_any_size() -> None:
    assert is_right(Bytes(), "abc", tokens("ABC\n"))
    assert is_right(Bytes(), "abc", tokens("abc\n"))
    assert not is_right(Bytes(), "abc", tokens("abc"))
    assert not is_right(Bytes(), "abc", tokens("abcd\n"))
    assert not is_right(Bytes(), "abc", torch.tensor([], dtype=torch.long))


def test_texts_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        Words.of(tmp_path / "none.txt")
    short = tmp_path / "short.txt"
    short.write_text("few words are here")
    with pytest.raises(UserError, match="at least 200 words"):
        Words.of(short)
