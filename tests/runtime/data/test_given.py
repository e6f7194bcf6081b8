"""Data that Python programs have: every form gives the samples of the arrays behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.given_samples import TX, TY, WANTED, Rows, holds
from helpers.rows import X, Y
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from weft.backend.errors import UserError
from weft.runtime.data import Dataset, as_splits, rows_of


class Endless(IterableDataset):
    def __iter__(self):
        return iter([])


TRAINING_ONLY = {
    "arrays": (X, Y),
    "a list": [X, Y],
    "tensors": (TX, TY),
    "a dict by input": {"y": Y, "x": TX},
    "a dict of parts": {"train": (X, Y)},
    "a dataset": TensorDataset(TX, TY),
    "a dataset of dicts": Rows(),
    "a loader": DataLoader(TensorDataset(TX, TY), batch_size=4, shuffle=True),
    "a loader of dicts": DataLoader(Rows()),
}
WITH_TEST = {
    "own": Dataset("d", X, Y, X[:2], Y[:2], "none"),
    "four arrays": (X, Y, X[:2], Y[:2]),
    "a dict as an archive": {"x_train": X, "y_train": Y, "x_test": X[:2], "y_test": Y[:2]},
    "two datasets": (TensorDataset(TX, TY), TensorDataset(TX[:2], TY[:2])),
    "parts": {"train": Rows(), "test": (X[:2], Y[:2])},
}


@pytest.mark.parametrize("name", TRAINING_ONLY)
def test_samples_to_train_with(name: str) -> None:
    found = as_splits(TRAINING_ONLY[name], WANTED)
    holds(found.train, X, Y)
    assert (found.validation, found.test) == (None, None)
    assert found.shuffles is (name != "a loader of dicts")


@pytest.mark.parametrize("name", WITH_TEST)
def test_samples_to_train_and_test_with(name: str) -> None:
    found = as_splits(WITH_TEST[name], WANTED)
    holds(found.train, X, Y)
    holds(found.test, X[:2], Y[:2])


def test_a_part_for_validation_may_be_given_or_held_out() -> None:
    given = as_splits({"train": (X, Y), "validation": (X[:3], Y[:3])}, WANTED)
    holds(given.validation, X[:3], Y[:3])
    held = as_splits((X, Y), WANTED).with_validation(1 / 3)
    assert held.validation is not None
    whole = np.concatenate([rows_of(held.train)[0], rows_of(held.validation)[0]])
    assert (len(held.train), len(held.validation)) == (6, 3)
    np.testing.assert_array_equal(np.sort(whole, axis=0), np.sort(X, axis=0))
    again = as_splits((X, Y), WANTED).with_validation(1 / 3)
    assert again.train.digest == held.train.digest
    for splits, share in ((given, 0.5), (as_splits((X, Y), WANTED), 0.01)):
        with pytest.raises(UserError, match=r"training\.validation"):
            splits.with_validation(share)


def batch(items: list) -> Any:
    return items


class Sparse:
    """What a scipy matrix looks like."""

    shape = (9, 4)

    def toarray(self) -> np.ndarray:
        return X


UNFIT = {
    "nothing": (None, "a torch Dataset or DataLoader"),
    "no data": (None, "got:      nothing"),
    "a number": (5, "got:      int 5"),
    "one array": (X, "1 array to train, for a model whose inputs are x, y"),
    "three arrays": ((X, Y, X), "3 arrays to train"),
    "objects": ((X, np.array([{}] * 9)), "an array of object"),
    "masked entries": ((np.ma.masked_greater(X, X.max() - 1), Y), "masked entries"),
    "words": ((X, ["a"] * 9), "got:      list"),
    "an odd dict": ({"a": X}, "a dict with a"),
    "an odd part": ({"train": (X, Y), "tset": (X, Y)}, "'tset' beside 'train'"),
    "part of an archive": ({"x_train": X}, "a dict with x_train"),
    "a sparse tensor": ((TX.to_sparse(), TY), r"to_dense\(\)"),
    "a sparse matrix": ((Sparse(), Y), r"toarray\(\)"),
    "fewer labels": ((X, Y[:5]), r"\(9, 4\), \(5,\)"),
    "no samples": ((X[:0], Y[:0]), r"\(0, 4\), \(0,\)"),
    "an empty dataset": (TensorDataset(TX[:0], TY[:0]), "one without samples"),
    "a stream": (Endless(), "only be iterated over"),
    "a loader of a stream": (DataLoader(Endless()), "a sampler of its own|iterated over"),
    "own batches": (DataLoader(Rows(), collate_fn=batch), "collate function"),
    "an item too few": (TensorDataset(TX), "items of 1"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_anything_else_is_refused_with_what_would_do(name: str) -> None:
    given, got = UNFIT[name]
    with pytest.raises(UserError, match=got):
        rows_of(as_splits(given, WANTED).train)
