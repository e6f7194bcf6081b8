"""`weft bench sim`: how long the simulator takes, from the torch module to the answer.

Times are seconds of processor time, medians over rounds in one process, after one round that loads
the compiled loops.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from ..backend.errors import UnknownNameError
from ..compiler.targets.load import load_target
from ..compiler.targets.target import Target
from ..sim import simulate
from ..sim.fabric import (
    FabricRegion,
    FabricResult,
    Instruction,
    broadcast,
    chain,
    ring_product,
    run,
    shift,
)
from .models.case import Case
from .networks import NETWORKS, Network, measure_alone
from .timed import Timed, median_s

SIDE = 64
"""Rows and columns of the fabric regions."""
GEMM_SIDE = 720
"""Rows and columns of PEs of the product."""


def measure(names: Sequence[str], rounds: int) -> Iterator[Timed]:
    """The networks named, then the fabric. Raises UnknownNameError for another name."""
    for name in names:
        if name not in NETWORKS:
            raise UnknownNameError("network", name, NETWORKS, "weft bench sim --help")
    if names:
        _compile_the_loops()
    for name in names:
        yield from measure_alone(name, rounds)
    yield from measure_fabric(rounds)


def _compile_the_loops() -> None:
    """Leave numba's cache filled, so that no network pays for it."""
    simulate(Network(_perceptron, "tiny_mesh").compile(), 10)


def _perceptron() -> Case:
    label = torch.zeros(1, dtype=torch.long)
    return Case(nn.Linear(16, 4), (torch.zeros(1, 16), label), F.cross_entropy)


def measure_fabric(rounds: int) -> Iterator[Timed]:
    """Simulated PEs x cycles per second: with equal rows, which are folded, and without."""
    target = load_target("wse2")
    kernels = {
        "chain": chain(SIDE, 256, SIDE),
        "shift": shift(SIDE, 128, 10, 10, SIDE),
        "broadcast": broadcast(SIDE, 1024, SIDE),
    }
    for name, region in kernels.items():
        yield _speed(f"{name}, equal rows", region, target, rounds)
        for row in range(region.height):
            region.program(row, 0, Instruction.compute(row + 1))
        yield _speed(f"{name}, no two rows equal", region, target, rounds)
    yield _product(target, rounds)


def _product(target: Target, rounds: int) -> Timed:
    """C = A B of 720 x 720 numbers, one per PE, with a multiply-add of 10 cycles per step."""

    def product() -> FabricResult:
        return run(ring_product(GEMM_SIDE, 1, 10).beside(GEMM_SIDE), target)

    result = product()
    note = f"{result.finish.size:,} PEs, {result.cycles:,} cycles, {result.classes} classes"
    name = f"{GEMM_SIDE} x {GEMM_SIDE} product"
    return Timed("fabric", name, median_s(product, rounds), "s", rounds, note)


def _speed(name: str, region: FabricRegion, target: Target, rounds: int) -> Timed:
    result = run(region, target)
    seconds = median_s(partial(run, region, target), rounds)
    speed = region.pes * result.cycles / seconds / 1e6
    note = f"{region.pes:,} PEs, {result.cycles:,} cycles, {result.classes} classes"
    return Timed("fabric", name, speed, "M PE-cycles/s", rounds, note)
