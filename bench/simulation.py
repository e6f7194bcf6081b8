"""`weft bench sim`: how long the simulator takes, from the torch module to the answer.

Times are seconds of processor time, medians over rounds in one process, after one round that loads
the compiled loops.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F

from ..backend.errors import InfeasibleError, UnknownNameError
from ..backend.nn.norms import replace_norms
from ..backend.packages import model_package
from ..compiler.granularity import Granularity
from ..compiler.pipeline import Options, compile_model
from ..compiler.plan.document import PlanDocument
from ..compiler.targets.load import load_target
from ..compiler.targets.target import Target
from ..sim import simulate
from ..sim.fabric import (
    FabricResult,
    Instruction,
    Region,
    broadcast,
    chain,
    ring_product,
    run,
    shift,
)
from .case import Case
from .compile import gpt, resnet50

_MIB = 1024**2
SIDE = 64
"""Rows and columns of the fabric regions."""
GEMM_SIDE = 720
"""Rows and columns of PEs of the product."""


@dataclass(frozen=True)
class Timed:
    """One measurement; `value` is in `unit`, the median of `rounds`."""

    name: str
    what: str
    value: float
    unit: str
    rounds: int
    note: str = ""


def resnet18() -> Case:
    """ResNet-18 of torchvision with Online Normalization, 224 x 224."""
    torchvision = model_package("torchvision")

    with torch.device("meta"):
        model = replace_norms(torchvision.models.resnet18(), "online")
    image = torch.empty(1, 3, 224, 224, device="meta")
    return Case(model, (image, torch.empty(1, dtype=torch.long, device="meta")), F.cross_entropy)


@dataclass(frozen=True)
class Network:
    """A network on a machine of so many wafers, cut into stages of this granularity."""

    case: Callable[[], Case]
    target: str
    wafers: int = 1
    granularity: Granularity = "finest"
    recompute: bool = False

    @property
    def machine(self) -> Target:
        return replace(load_target(self.target), wafers=self.wafers)

    def compile(self) -> PlanDocument:
        case = self.case()
        options = Options(granularity=self.granularity, recompute=self.recompute)
        return compile_model(case.model, case.sample, case.loss, self.machine, options).document


NETWORKS: Mapping[str, Network] = {
    "resnet18": Network(resnet18, "wse2"),
    "resnet50": Network(resnet50, "wse2"),
    "gpt2-12": Network(partial(gpt, 12, 768, 128, 12), "wse3", 4),
    "gpt3-xl": Network(partial(gpt, 24, 2048, 512), "wse3", 256, "block", True),
}


def measure(names: Sequence[str], rounds: int) -> Iterator[Timed]:
    """The networks named, then the fabric. Raises UnknownNameError for another name."""
    for name in names:
        if name not in NETWORKS:
            raise UnknownNameError("network", name, NETWORKS, "weft bench sim --help")
    for name in names:
        yield from measure_network(name, NETWORKS[name], rounds)
    yield from measure_fabric(rounds)


def measure_network(name: str, network: Network, rounds: int) -> Iterator[Timed]:
    """From the module to the plan, to the first answer, and the simulation alone."""
    started = time.process_time()
    try:
        plan = network.compile()
    except InfeasibleError as error:
        seconds = time.process_time() - started
        yield Timed(name, "compile", seconds, "s", 1, f"does not fit: {error.where}: {error.got}")
        return
    first = time.process_time() - started
    simulate(plan, 10)
    note = f"{len(plan.stages)} stages on {plan.totals.wafers_used} x {plan.target}"
    yield Timed(name, "first compile", first, "s", 1, note)
    whole = _median(lambda: simulate(network.compile(), 1000), min(rounds, 3))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / _MIB
    note = f"peak of the process {peak:.0f} MiB"
    yield Timed(name, "module to 1,000 samples", whole, "s", min(rounds, 3), note)
    for level, samples in (("analytic", 1000), ("event", 1000), ("event", 100_000)):
        seconds = _median(partial(simulate, plan, samples, level), rounds)
        yield Timed(name, f"{level}, {samples:,} samples", seconds, "s", rounds)


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
    return Timed("fabric", name, _median(product, rounds), "s", rounds, note)


def _speed(name: str, region: Region, target: Target, rounds: int) -> Timed:
    result = run(region, target)
    seconds = _median(partial(run, region, target), rounds)
    speed = region.pes * result.cycles / seconds / 1e6
    note = f"{region.pes:,} PEs, {result.cycles:,} cycles, {result.classes} classes"
    return Timed("fabric", name, speed, "M PE-cycles/s", rounds, note)


def _median(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return statistics.median(times)
