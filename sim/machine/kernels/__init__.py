"""Kernels with published measurements, each a function of a target and a row of its table."""

from __future__ import annotations

from . import decode, gemm, gemv, prefill, reduce, shift, sparse, spmm, summa
from .kernel import Kernel, Row

KERNELS: dict[str, Kernel] = {
    kernel.name: kernel
    for module in (reduce, spmm, gemv, gemm, summa, shift, decode, prefill, sparse)
    for kernel in module.KERNELS
}

__all__ = ["KERNELS", "Kernel", "Row"]
