"""Which platform jax computes on, and how arrays get there."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np


def start(device: str) -> list[Any]:
    """Compute on 'cpu', 'cuda' or 'tpu' from now on, and initialise no other accelerator.

    Returns jax's devices of that platform. Raises RuntimeError where there is no such device.
    """
    before = jax.config.values["jax_platforms"]
    try:
        jax.config.update("jax_platforms", device if device == "cpu" else f"{device},cpu")
        found = jax.devices(device)
    except RuntimeError:
        jax.config.update("jax_platforms", before)
        raise
    jax.config.update("jax_default_device", found[0])
    return found


def own_copy(values: np.ndarray, device: Any = None) -> Any:
    """On a device, in memory of its own, since executors donate it.

    On a CPU jax 0.10 shares the memory of an aligned numpy array, whatever `may_alias` says.
    """
    return jax.device_put(np.array(values), device)
