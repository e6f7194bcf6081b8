"""Kernels with published measurements, each at the size of a row of its table.

Reading order: kernel and measured (plans of torch modules at the measured size), then the kernels:
products, sums, sparse, decode, attention, which are read off plans; fmach, shifts, prefill,
speedup, which the machine's mechanisms predict without one.
"""

from __future__ import annotations

from . import attention, decode, fmach, prefill, products, shifts, sparse, speedup, sums
from .kernel import AnyKernel, PlanKernel, Prediction, PublishedKernel

KERNELS: dict[str, AnyKernel] = {
    kernel.name: kernel
    for module in (sums, sparse, products, fmach, shifts, decode, attention, prefill, speedup)
    for kernel in module.KERNELS
}

__all__ = ["KERNELS", "AnyKernel", "PlanKernel", "Prediction", "PublishedKernel"]
