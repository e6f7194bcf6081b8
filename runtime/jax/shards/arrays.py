"""Arrays with one row per device, read and written from the host, also over several processes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from ..device import own_copy

Array = Any
AXIS = "shard"
OWN_ROW, SAME = PartitionSpec(AXIS), PartitionSpec()
"""How an array lies on the devices: each has its own part, or all of it."""


def sharded(mesh: Mesh, rows: Sequence[np.ndarray]) -> Array:
    """One array of equal rows, the n-th on the n-th device of the mesh."""
    here = [
        own_copy(row, device)
        for row, device in zip(rows, mesh.devices.flat, strict=True)
        if device.process_index == jax.process_index()
    ]
    shape = (len(rows) * len(rows[0]), *rows[0].shape[1:])
    return jax.make_array_from_single_device_arrays(shape, NamedSharding(mesh, OWN_ROW), here)


def rows_of(array: Array) -> np.ndarray:
    """All rows, flat. Every process has to ask for the same arrays in the same order."""
    count = array.sharding.mesh.size
    if array.is_fully_addressable:
        return np.asarray(array).reshape(count, -1)
    return np.asarray(multihost_utils.process_allgather(array, tiled=True)).reshape(count, -1)


def row_of(array: Array, number: int) -> np.ndarray:
    """One row. Every process has to ask for the same one at the same time."""
    if not array.is_fully_addressable:
        return rows_of(array)[number]
    return np.asarray(_shards(array)[array.sharding.mesh.devices.flat[number]])


def with_row(array: Array, number: int, values: np.ndarray) -> Array:
    """The array with `values` at the beginning of one row."""
    device = array.sharding.mesh.devices.flat[number]
    shards = dict(_shards(array))
    if device in shards:
        row = np.array(shards[device])
        row.reshape(-1)[: values.size] = values.reshape(-1)
        shards[device] = own_copy(row, device)
    return jax.make_array_from_single_device_arrays(
        array.shape, array.sharding, list(shards.values())
    )


def _shards(array: Array) -> Mapping[Any, Array]:
    return {shard.device: shard.data for shard in array.addressable_shards}
