"""Kernels and connections of a contest instance.

A kernel is one to four convolutions that share a grid of h x w positions. Convolution i splits
its C input channels in c_i parts and its K output channels in k_i; with those it takes

    height   h w (c_i + 1)                  width   3 k_i
    time     ceil(H/h) ceil(W/w) ceil(C/c_i) ceil(K/k_i) R S / T^2
    memory   floor((C/c_i)(K/k_i) R S + ((W+S-1)/w)((H+R-1)/h)(K/k_i))   per tile

and the kernel is as high, slow and large as its worst convolution, and as wide as all together.
Source: description of the ISPD 2020 contest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

FORMAL = {
    "conv": ("H", "W", "C", "K", "R", "S", "T", "U"),
    "dblock": ("H", "W", "F"),
    "cblock": ("H", "W", "F"),
}
"""Formal arguments in the order of a solution file."""


@dataclass(frozen=True)
class Convolution:
    """Formal sizes of one convolution."""

    H: int
    W: int
    R: int
    S: int
    C: int
    K: int
    T: int


@dataclass(frozen=True)
class ContestKernel:
    """A node: its type, formal arguments by name, and name."""

    kind: str
    formal: Mapping[str, int]
    name: str

    @cached_property
    def convolutions(self) -> tuple[Convolution, ...]:
        """The convolutions of a block in order, or the one."""
        f = self.formal
        if self.kind == "conv":
            return (Convolution(f["H"], f["W"], f["R"], f["S"], f["C"], f["K"], f["T"]),)
        H, W, F = f["H"], f["W"], f["F"]
        quarter, half = F // 4, F // 2
        if self.kind == "dblock":
            return (
                Convolution(H, W, 1, 1, F, quarter, 1),
                Convolution(H, W, 3, 3, quarter, quarter, 1),
                Convolution(H, W, 1, 1, quarter, F, 1),
            )
        return (
            Convolution(H, W, 1, 1, half, quarter, 1),
            Convolution(H, W, 3, 3, quarter, quarter, 2),
            Convolution(H // 2, W // 2, 1, 1, quarter, F, 1),
            Convolution(H, W, 1, 1, half, F, 2),
        )

    @cached_property
    def table(self) -> np.ndarray:
        """One row H, W, R, S, C, K, T for each convolution."""
        rows = [(c.H, c.W, c.R, c.S, c.C, c.K, c.T) for c in self.convolutions]
        return np.array(rows, np.int64)


@dataclass(frozen=True)
class Instance:
    """What a .kgraph file says; `edges` are numbers of kernels, inputs and outputs left out."""

    name: str
    columns: int
    rows: int
    memory_limit: int
    time_weight: float
    wire_weight: float
    adapter_weight: float
    kernels: tuple[ContestKernel, ...]
    edges: tuple[tuple[int, int], ...]
