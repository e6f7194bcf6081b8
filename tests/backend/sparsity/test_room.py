"""Growth in tiles with room against a loop that tries the weights one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from weft.backend.errors import UserError
from weft.backend.sparsity.room import TileRoom
from weft.backend.sparsity.select import grow_highest
from weft.sparsity import Sparsifier, configure


def _one_by_one(
    stay: np.ndarray, scores: np.ndarray, count: int, splits: tuple[int, int], capacity: int
) -> tuple[np.ndarray, int]:
    """Weights from the highest score down, each where its tile has room."""
    new, held = stay.copy(), {}
    lengths = [-(-size // split) for size, split in zip(stay.shape, splits, strict=True)]
    for place in zip(*np.nonzero(stay), strict=True):
        tile = tuple(int(i) // length for i, length in zip(place, lengths, strict=False))
        held[tile] = held.get(tile, 0) + 1
    for flat in np.argsort(-scores, axis=None, kind="stable"):
        place = np.unravel_index(flat, stay.shape)
        tile = tuple(int(i) // length for i, length in zip(place, lengths, strict=False))
        if new.sum() < count and not new[place] and held.get(tile, 0) < capacity:
            new[place] = True
            held[tile] = held.get(tile, 0) + 1
    return new, int(new.sum())


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.integers(1, 4),
    st.integers(1, 4),
    st.integers(1, 12),
    st.integers(0, 99),
)
def test_what_grows_is_what_a_loop_finds(
    shape: tuple[int, int], rows: int, columns: int, capacity: int, seed: int
) -> None:
    draws = np.random.default_rng(seed)
    splits = min(rows, shape[0]), min(columns, shape[1])
    stay = draws.random(shape) < 0.2
    scores = draws.integers(0, 5, shape).astype(float)  # many are equal
    count = int(stay.sum()) + int(draws.integers(0, stay.size - stay.sum() + 1))
    room = TileRoom(shape, splits, capacity)
    expected, reached = _one_by_one(stay, scores, count, splits, capacity)
    flat = stay.reshape(1, -1), scores.reshape(1, -1), np.array([count])
    if reached < count:
        with pytest.raises(UserError, match=r"'w' at step 7[\s\S]*room for"):
            room.grow("w", 7, *flat)
        return
    new = room.grow("w", 7, *flat)
    assert np.array_equal(new[0], expected.reshape(-1))
    free = grow_highest(*flat)
    assert room.refused == {7: int((free & ~new).sum())}


def test_taps_of_a_kernel_are_on_their_pair_s_tile() -> None:
    room = TileRoom((4, 4, 3, 3), (2, 2), 9)
    tiles = room.tiles.reshape(4, 4, 9)
    assert (tiles[0, 0] == tiles[1, 1]).all()
    assert len({int(tiles[r, c, 0]) for r in (0, 3) for c in (0, 3)}) == 4


def test_rules_obey_the_room_that_they_are_given() -> None:
    config = {"algorithm": "rigl", "sparsity": 0.75, "drop_fraction": 0.9, "growth": "room"}
    model = nn.Sequential(nn.Linear(16, 16, bias=False))
    (rule,) = configure({**config, "init_method": "checkerboard"}).rules(model).values()
    weight = model[0].weight.detach().numpy()
    mask = rule.first_mask(model[0].weight).numpy()
    gradient = np.zeros((16, 16), np.float32)
    gradient[:4, :4] = np.arange(16, 0, -1).reshape(4, 4)  # all would grow in one tile
    with pytest.raises(UserError, match="'room' without a plan"):
        rule.update(mask, weight, gradient, 1)
    bound = replace(rule, room=TileRoom((16, 16), (4, 4), 6))
    new = bound.update(mask, weight, gradient, 1)
    tiles = new.reshape(4, 4, 4, 4).sum((1, 3))
    assert (int(new.sum()), int(tiles.max())) == (64, 6)
    assert tiles[0, 0] == 6
    assert bound.refused == bound.room.refused[1] > 0  # type: ignore[union-attr]


def test_growth_in_tiles_needs_a_plan_and_masks_from_the_start() -> None:
    model = nn.Sequential(nn.Linear(8, 8))
    sgd = torch.optim.SGD(model.parameters(), 0.1)
    config = {"algorithm": "set", "sparsity": 0.5, "growth": "room"}
    with pytest.raises(UserError, match="an eager model has no tiles"):
        Sparsifier(model, sgd, config)
    with pytest.raises(UserError, match=r"got: +'pace'"):
        Sparsifier(model, sgd, {**config, "growth": "pace"})
    with pytest.raises(UserError, match="a dense start fills all tiles"):
        configure({**config, "update": {"freq": 2, "start": 1}})
    with pytest.raises(UserError, match="no balanced groups"):
        configure({**config, "balance_in_groups": 2})
