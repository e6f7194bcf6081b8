"""Which devices run the shards of a split pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from ....backend.errors import UserError


def choose(count: int, platform: str | None) -> list[Any]:
    """`count` devices, as many of each process as of any other, those of one process together.

    They are of `platform` ('cpu', 'cuda', 'tpu'), or of the one jax finds by itself.
    Raises UserError if there are not that many, or fewer are asked for than there are processes.
    """
    devices, processes = jax.devices(platform), jax.process_count()
    edges = [count * number // processes for number in range(processes + 1)]
    chosen: list[Any] = []
    for number in range(processes):
        own = [device for device in devices if device.process_index == number]
        wanted = edges[number + 1] - edges[number]
        if not 0 < wanted <= len(own):
            raise _unfit(count, devices, processes)
        chosen += own[:wanted]
    return chosen


def _unfit(count: int, devices: Sequence[Any], processes: int) -> UserError:
    kind = devices[0].platform
    places = f" in {processes} processes, at least one in each" if processes > 1 else ""
    virtual = (
        "; for virtual ones set XLA_FLAGS=--xla_force_host_platform_device_count=N"
        if kind == "cpu"
        else ""
    )
    return UserError(
        f"{count} devices",
        expected=f"at most the {len(devices)} ({kind}) that jax has{places}",
        got=str(count),
        change=f"ask for {len(devices)} or fewer{virtual}",
    )
