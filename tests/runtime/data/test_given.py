"""Data that Python programs have: every form gives the samples of the arrays behind it."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.rows import NoisyRows, X, Y
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
from torch.utils.data import Dataset as TorchDataset
from weft.backend.errors import UserError
from weft.runtime.data import Chunk, Dataset, Samples, Wanted, as_splits, rows_of

TX, TY = torch.from_numpy(X), torch.from_numpy(Y)
WANTED = Wanted(("x", "y"), (4,), seed=0)


class Rows(TorchDataset):
    """Items that are dicts."""

    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"y": int(Y[index]), "x": TX[index], "id": index}


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


def holds(samples: Samples | None, x: np.ndarray, y: np.ndarray) -> None:
    assert samples is not None
    assert len(samples) == len(x)
    for got, expected in zip(rows_of(samples), (x, y), strict=True):
        np.testing.assert_array_equal(got, expected)
    assert [form.shape for form in samples.forms] == [(4,), ()]


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


@pytest.mark.parametrize("processes", [0, 2])
def test_transforms_that_draw_depend_on_seed_epoch_and_index_alone(processes: int) -> None:
    loader = DataLoader(NoisyRows(), shuffle=True, num_workers=processes)
    samples = as_splits(loader, WANTED).train
    chunks = [Chunk(0, 1, np.array([4, 2, 7])), Chunk(3, 1, np.array([0, 8]))]
    state = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()
    streamed = np.concatenate([x for x, _ in samples.stream(chunks, 2)])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == state[:2]
    assert torch.equal(torch.get_rng_state(), state[2])
    expected = as_splits(NoisyRows(), WANTED).train.read(np.array([4, 2, 7, 0, 8]), 1)[0]
    np.testing.assert_array_equal(streamed, expected)
    other_epoch = samples.read(np.array([4]), 2)[0]
    other_seed = as_splits(NoisyRows(), replace(WANTED, seed=1)).train.read(np.array([4]), 1)[0]
    assert not np.allclose(other_epoch, streamed[:1])
    assert not np.allclose(other_seed, streamed[:1])


class OddShapes(Rows):
    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        return X[index, : 4 - (index > 4)], int(Y[index])


def batch(items: list) -> Any:
    return items


class Sparse:
    """What a scipy matrix looks like."""

    shape = (9, 4)

    def toarray(self) -> np.ndarray:
        return X


UNFIT = {
    "nothing": (None, "a torch Dataset or DataLoader"),
    "one array": (X, "1 arrays to train, for a model whose inputs are x, y"),
    "three arrays": ((X, Y, X), "3 arrays to train"),
    "objects": ((X, np.array([{}] * 9)), "an array of object"),
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


def test_items_of_different_shapes_are_refused() -> None:
    with pytest.raises(UserError, match="items of one shape"):
        rows_of(as_splits(OddShapes(), WANTED).train)


def test_what_is_not_contiguous_is_read_as_it_is() -> None:
    turned = np.ascontiguousarray(X.T).T
    assert not turned.flags.c_contiguous
    found = as_splits((turned, Y), WANTED)
    holds(found.train, X, Y)
    assert found.train.digest == as_splits((X, Y), WANTED).train.digest
