"""FIFOs on the device against a list of everything that was pushed."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from weft.compiler.plan.program import Source, TensorSpec
from weft.compiler.plan.schedule import Read

jax = pytest.importorskip("jax")

from weft.runtime.jax.fifo import Fifo, FlatFifo  # noqa: E402
from weft.runtime.jax.traffic import JaxTraffic  # noqa: E402

TICKS = 13


@pytest.mark.parametrize("backend", ["cpu", "gpu"])
@pytest.mark.parametrize("kind", [Fifo, FlatFifo])
@pytest.mark.parametrize("reach", [1, 2, 5])
def test_reads_are_what_was_pushed(
    kind: type[Fifo], reach: int, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every age up to the reach, zeros before the first push, read as on either backend."""
    monkeypatch.setattr(jax, "default_backend", lambda: backend)
    fifo = kind(TensorSpec((2, 3), "float32"), reach)
    pushed = np.random.default_rng(0).standard_normal((TICKS, 2, 3)).astype(np.float32)
    key, buffers = Source(0, 0), (fifo.empty(),)
    layout: Any = SimpleNamespace(in_rings={}, held={key: fifo})

    @jax.jit
    def tick(buffers, value, number):
        traffic = JaxTraffic(layout, buffers, number)
        traffic.push((key,), value)
        return traffic.buffers(), [traffic.read((Read(key, age),)) for age in range(reach + 1)]

    for number, value in enumerate(pushed):
        buffers, values = tick(buffers, value, number)
        for age, got in enumerate(values):
            expected = pushed[number - age] if age <= number else np.zeros((2, 3))
            np.testing.assert_array_equal(got, expected)
