"""Where all loops of `weft bench run` compute."""

from __future__ import annotations

import os

import torch

from ...backend.errors import UserError
from ...runtime.jax.device import start
from ...runtime.probe import brief

DEVICES = ("cpu", "cuda")
"""Eager torch is one of the loops, so a device that it has."""


def use(device: str) -> str | None:
    """Let jax compute there; the reason why torch or jax cannot, if one cannot."""
    try:
        start(device)
    except RuntimeError as error:
        return f"jax: {brief(str(error))}"
    if device == "cuda" and not torch.cuda.is_available():
        return "torch: no CUDA device"
    return None


def use_cores(count: int) -> None:
    """Keep this process to `count` of its cores; before jax computes anything.

    Raises UserError for more than there are.
    """
    own = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if count > len(own):
        raise UserError(
            f"--cores {count}",
            expected=f"at most {len(own)}, what this process may use",
            got=str(count),
            change="leave --cores out for all of them" if own else "leave --cores out",
        )
    os.sched_setaffinity(0, own[:count])
    torch.set_num_threads(count)
