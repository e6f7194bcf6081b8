"""torch's Datasets and DataLoaders as samples, read item by item in every epoch."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.given_samples import WANTED, Rows, holds
from helpers.rows import NoisyRows, X, Y
from torch.utils.data import DataLoader
from weft.backend.errors import UserError
from weft.runtime.data import Chunk, as_splits, rows_of


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


def test_items_of_different_shapes_are_refused() -> None:
    with pytest.raises(UserError, match="items of one shape"):
        rows_of(as_splits(OddShapes(), WANTED).train)


def test_what_is_not_contiguous_is_read_as_it_is() -> None:
    turned = np.ascontiguousarray(X.T).T
    assert not turned.flags.c_contiguous
    found = as_splits((turned, Y), WANTED)
    holds(found.train, X, Y)
    assert found.train.digest == as_splits((X, Y), WANTED).train.digest
