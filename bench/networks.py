"""From a torch module to the answer of the simulator: time and memory, network by network.

Each network has a process of its own, which first imports all that torch, numba and the model's
package import at their first use: that is a row of its own, as is the first answer after it.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module

import torch
import torch.nn.functional as F
from numba.core.registry import cpu_target

from ..backend.errors import InfeasibleError
from ..backend.nn.norm_swap import replace_norms
from ..backend.packages import model_package
from ..compiler.pipeline import Options, compile_model
from ..compiler.plan.document import Granularity, PlanDocument
from ..compiler.targets.load import load_target
from ..compiler.targets.target import Target
from ..sim import simulate
from .compile import gpt, resnet50
from .models.case import Case
from .resident import Resident
from .timed import Timed, median_s


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


def measure_alone(name: str, rounds: int) -> list[Timed]:
    """`measure_network` of one of `NETWORKS`, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(_measured, name, rounds).result()


def _measured(name: str, rounds: int) -> list[Timed]:
    return list(measure_network(name, NETWORKS[name], rounds))


def measure_network(name: str, network: Network, rounds: int) -> Iterator[Timed]:
    """What imports take, then from the module to the first answer, to further ones, memory, and
    the simulation alone."""
    network.case()
    _import_the_rest()
    imported = Resident.now()
    yield Timed(name, "imports", time.process_time(), "s", 1, imported.text())
    started, clock = time.process_time(), time.perf_counter()
    try:
        plan = network.compile()
    except InfeasibleError as error:
        seconds = time.process_time() - started
        yield Timed(name, "compile", seconds, "s", 1, f"does not fit: {error.where}: {error.got}")
        return
    simulate(plan, 1000)
    first, elapsed = time.process_time() - started, time.perf_counter() - clock
    note = f"{elapsed:.2f} s elapsed; {len(plan.stages)} stages on"
    note += f" {plan.totals.wafers_used} x {plan.target}"
    yield Timed(name, "first, module to 1,000 samples", first, "s", 1, note)
    again = median_s(lambda: simulate(network.compile(), 1000), rounds)
    yield Timed(name, "module to 1,000 samples", again, "s", rounds)
    held = Resident.now()
    grown = held.peak_mib - imported.peak_mib
    yield Timed(name, "memory over imports", grown, "MiB", 1, f"peak {held.text()}")
    for level, samples in (("analytic", 1000), ("event", 1000), ("event", 100_000)):
        seconds = median_s(partial(simulate, plan, samples, level), rounds)
        yield Timed(name, f"{level}, {samples:,} samples", seconds, "s", rounds)


def _import_the_rest() -> None:
    """What torch.export and numba leave for their first call."""
    import_module("torch.export._trace")
    for context in (cpu_target.typing_context, cpu_target.target_context):
        context.refresh()  # type: ignore[attr-defined] - a property to the checker
