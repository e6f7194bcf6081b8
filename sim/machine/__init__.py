"""The machine's mechanisms: a PE that runs vector programs, a line of PEs that talk, kernels."""

from __future__ import annotations

from .kernels import KERNELS, Kernel, Row

__all__ = ["KERNELS", "Kernel", "Row"]
