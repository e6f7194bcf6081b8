"""Crops and mirror images: each is one that can be, and follows from seed, epoch and number."""

from __future__ import annotations

import numpy as np
import pytest
from weft.backend.errors import UserError
from weft.runtime.data import ArraySamples, Augmented, Chunk

PAD, SIZE, COUNT = 2, 5, 40


@pytest.fixture
def plain() -> ArraySamples:
    """Images of numbers that occur once, none of them zero."""
    images = 1.0 + np.arange(COUNT * 2 * SIZE * SIZE).reshape(COUNT, 2, SIZE, SIZE)
    return ArraySamples("images", (images, np.arange(COUNT)))


def crops(image: np.ndarray) -> list[np.ndarray]:
    """Every image that may come of one, by loops over a padded copy, mirrored ones last."""
    padded = np.zeros((2, SIZE + 2 * PAD, SIZE + 2 * PAD))
    padded[:, PAD : PAD + SIZE, PAD : PAD + SIZE] = image
    places = range(2 * PAD + 1)
    found = [padded[:, d : d + SIZE, r : r + SIZE] for d in places for r in places]
    return found + [np.flip(crop, 2) for crop in found]


def test_every_image_is_a_crop_or_its_mirror_image(plain: ArraySamples) -> None:
    changed = Augmented(plain, seed=0, pad_crop=PAD, flip=True)
    seen = set()
    for epoch in range(20):
        images, labels = changed.read(np.arange(COUNT), epoch)
        np.testing.assert_array_equal(labels, np.arange(COUNT))
        for image, original in zip(images, plain.arrays[0], strict=True):
            (which,) = (n for n, c in enumerate(crops(original)) if np.array_equal(c, image))
            seen.add(which)
    assert seen == set(range(2 * (2 * PAD + 1) ** 2))


def test_what_is_drawn_depends_on_seed_epoch_and_number_alone(plain: ArraySamples) -> None:
    changed = Augmented(plain, seed=3, pad_crop=PAD, flip=True)
    whole = changed.read(np.arange(COUNT), 1)[0]
    order = np.random.default_rng(0).permutation(COUNT)
    chunks = [Chunk(0, 1, part) for part in np.array_split(order, 7)]
    for workers in (0, 1, 3):
        parts = np.concatenate([images for images, _ in changed.stream(chunks, workers)])
        np.testing.assert_array_equal(parts, whole[order])
    again = Augmented(plain, seed=3, pad_crop=PAD, flip=True).read(np.arange(COUNT), 1)[0]
    np.testing.assert_array_equal(again, whole)
    for seed, epoch in ((4, 1), (3, 2)):
        other = Augmented(plain, seed=seed, pad_crop=PAD, flip=True)
        assert not np.array_equal(other.read(np.arange(COUNT), epoch)[0], whole)


def test_either_change_may_be_left_out(plain: ArraySamples) -> None:
    images = plain.arrays[0]
    flipped = Augmented(plain, seed=0, flip=True).read(np.arange(COUNT), 0)[0]
    mirrored = [
        np.array_equal(new, np.flip(old, 2)) for new, old in zip(flipped, images, strict=True)
    ]
    assert 10 < sum(mirrored) < 30
    kept = [np.array_equal(new, old) for new, old in zip(flipped, images, strict=True)]
    assert sum(kept) + sum(mirrored) == COUNT
    cropped = Augmented(plain, seed=0, pad_crop=1).read(np.arange(COUNT), 0)[0]
    assert any((image == 0).any() for image in cropped)
    assert all(np.array_equal(image, np.where(image, image, 0)) for image in cropped)


def test_only_images_can_be_changed() -> None:
    with pytest.raises(UserError, match=r"\(C, H, W\)"):
        Augmented(ArraySamples("rows", (np.zeros((3, 4)), np.zeros(3))), seed=0, flip=True)


def test_the_digest_says_what_is_done(plain: ArraySamples) -> None:
    changes = [{"seed": 0}, {"seed": 1}, {"seed": 0, "flip": True}, {"seed": 0, "pad_crop": 1}]
    assert len({Augmented(plain, **change).digest for change in changes}) == 4
