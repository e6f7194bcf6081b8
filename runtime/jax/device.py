"""Which platform jax computes on."""

from __future__ import annotations

from typing import Any

import jax


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
