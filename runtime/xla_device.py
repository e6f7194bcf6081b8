"""Which device torch_xla computes on; one per process, chosen before the first tensor."""

from __future__ import annotations

import os
import sys

from ..backend.errors import UserError


def claim(device: str | None) -> None:
    """Compute on 'cpu', 'cuda' or 'tpu', or on what PJRT_DEVICE says; at full float32 precision.

    Raises UserError where there is no such device, or another one is in use, and ImportError
    without torch_xla.
    """
    if device is not None and "torch_xla" not in sys.modules:
        os.environ["PJRT_DEVICE"] = device.upper()  # or else its import chooses one, and says so
    import torch_xla
    from torch_xla import runtime
    from torch_xla.backends import set_mat_mul_precision

    try:
        if device is not None and runtime.device_type() != device.upper():
            runtime.set_device_type(device.upper())
        torch_xla.device()
    except (RuntimeError, OSError) as error:
        raise UserError(
            f"executor torch-xla on device {device or runtime.device_type()}",
            expected="a device that torch_xla finds here, the same one for the whole process",
            got=(str(error).strip().splitlines() or [type(error).__name__])[0],
            change="take another --device; weft doctor says which ones work here",
        ) from error
    if runtime.device_type() == "TPU":  # it says that one should not do it twice, so not elsewhere
        set_mat_mul_precision("highest")
