"""What goes over one cut between devices in one direction, as one flat array per dtype."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp

from ....compiler.plan.program import Stages
from ....compiler.plan.schedule import ValueKey, spec_of
from ..ops.lower import jax_dtype

Array = Any
Flat = dict[str, Array]
"""By name of the dtype."""


class Wire:
    """The values `keys` in this order; `elements` of each dtype."""

    def __init__(self, pipeline: Stages, keys: Sequence[ValueKey]) -> None:
        self.keys = tuple(keys)
        self._places: dict[ValueKey, tuple[str, int, tuple[int, ...], int]] = {}
        self.elements: dict[str, int] = {}
        for key in keys:
            spec = spec_of(pipeline, key)
            dtype = jnp.dtype(jax_dtype(spec.torch_dtype)).name
            start = self.elements.get(dtype, 0)
            self._places[key] = dtype, start, spec.shape, spec.elements
            self.elements[dtype] = start + spec.elements

    def pack(self, values: Mapping[ValueKey, Any], room: Mapping[str, int], xp: Any = jnp) -> Flat:
        """The values in flat arrays of `room` elements, which is what the widest cut needs."""
        flat = {}
        for dtype, size in room.items():
            own = [key for key, place in self._places.items() if place[0] == dtype]
            rest = xp.zeros(size - self.elements.get(dtype, 0), dtype)
            flat[dtype] = xp.concatenate([*(values[key].reshape(-1) for key in own), rest])
        return flat

    def unpack(self, flat: Mapping[str, Any]) -> dict[ValueKey, Any]:
        """The values in flat arrays."""
        return {
            key: flat[dtype][start : start + elements].reshape(shape)
            for key, (dtype, start, shape, elements) in self._places.items()
        }


def room_for(wires: Sequence[Wire]) -> dict[str, int]:
    """Elements of each dtype that the widest of several wires needs."""
    dtypes = sorted({dtype for wire in wires for dtype in wire.elements})
    return {dtype: max(wire.elements.get(dtype, 0) for wire in wires) for dtype in dtypes}
