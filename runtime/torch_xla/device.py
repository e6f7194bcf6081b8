"""Which device torch_xla computes on; one per process, chosen before the first tensor."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_ROUNDS = "--xla_allow_excess_precision=false"
"""Or XLA drops roundings to bfloat16 between two operations in float32."""


@contextmanager
def _choosing_in_silence() -> Iterator[None]:
    """torch_xla warns of the device it chooses; whoever names none has asked it to."""

    def is_else(record: logging.LogRecord) -> bool:
        return "PJRT_DEVICE" not in record.getMessage()

    logging.root.addFilter(is_else)
    try:
        yield
    finally:
        logging.root.removeFilter(is_else)


@_choosing_in_silence()
def start(device: str | None) -> str:
    """Compute on 'cpu', 'cuda' or 'tpu', or on what PJRT_DEVICE says; at full float32 precision.

    Returns torch_xla's name of the device. Raises RuntimeError or OSError where there is no such
    device, or another one is in use, and ImportError without torch_xla.
    """
    if device is not None and "torch_xla" not in sys.modules:
        os.environ["PJRT_DEVICE"] = device.upper()  # or else its import chooses one
    if "torch_xla" not in sys.modules:
        flags = os.environ.get("XLA_FLAGS", "").split()
        os.environ["XLA_FLAGS"] = " ".join([*flags, _ROUNDS])
    from .library import runtime, set_mat_mul_precision, torch_xla

    if device is not None and os.environ.get("PJRT_DEVICE") != device.upper():
        runtime.set_device_type(device.upper())
    found = torch_xla.device()
    if runtime.device_type() == "TPU":  # it says that one should not do it twice, so not elsewhere
        set_mat_mul_precision("highest")
    return f"{runtime.device_type()} {found}"
