from __future__ import annotations

import numpy as np
import pytest
from weft.backend.errors import UserError
from weft.runtime.data import ArraySamples, Chunk, Constants, Normalized

MEAN, DEVIATION = (0.1, 0.5), (0.3, 0.25)


@pytest.mark.parametrize("scale", [1, 255])
def test_channels_are_normalized_by_the_constants(scale: int) -> None:
    """Bytes after a division by 255, real numbers as they are."""
    values = np.random.default_rng(0).integers(0, 256, (6, 2, 3, 3))
    images = values.astype(np.uint8) if scale == 255 else (values / 255).astype(np.float32)
    samples = Normalized(ArraySamples("x", (images, np.arange(6))), Constants(MEAN, DEVIATION))
    got, labels = samples.read(np.array([4, 1]), 0)
    for channel in range(2):
        expected = (values[[4, 1], channel] / 255 - MEAN[channel]) / DEVIATION[channel]
        np.testing.assert_allclose(got[:, channel], expected, rtol=1e-5, atol=1e-6)
    assert (got.dtype, labels.tolist()) == (np.float32, [4, 1])
    assert samples.forms[0] == ((2, 3, 3), np.float32)
    (streamed,) = (a[0] for a in samples.stream([Chunk(0, 0, np.array([4, 1]))], 1))
    np.testing.assert_array_equal(streamed, got)


def test_one_constant_serves_all_channels() -> None:
    images = np.random.default_rng(0).normal(size=(2, 3, 4, 4)).astype(np.float32)
    np.testing.assert_allclose(Constants((1,), (2,))(images), (images - 1) / 2, rtol=1e-6)


@pytest.mark.parametrize(("mean", "deviation"), [((0.1, 0.2), (1,)), ((0.1,), (1, 1))])
def test_constants_that_do_not_fit_are_refused(mean: tuple, deviation: tuple) -> None:
    plain = ArraySamples("x", (np.zeros((2, 3, 4, 4)), np.zeros(2)))
    with pytest.raises(UserError, match="one for each channel"):
        Normalized(plain, Constants(mean, deviation))
