"""What each lever on saved activations buys, network by network: FIFOs, fullest PE, interval.

The table of docs/memory.md is what this prints: `weft bench levers`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F

from ....backend.errors import InfeasibleError
from ....backend.nn.revbifpn import revbifpn
from ....backend.nn.reversible import AdditiveUpdate
from ....backend.nn.revnet import revnet
from ....compiler.pipeline import Options, compile_model
from ....compiler.plan.document import PlanDocument
from ....compiler.plan.plan import Plan
from ...compile import gpt, resnet50
from ...models.case import Case

LEVERS: Mapping[str, Mapping[str, Any]] = {
    "none": {},
    "recompute": {"recompute": True},
    "8 bits": {"packing": "int8"},
    "recompute, 8 bits": {"recompute": True, "packing": "int8"},
    "blocks": {"granularity": "block"},
    "blocks, recompute": {"granularity": "block", "recompute": True},
    "off the wafer": {"off_wafer": 100},
    "recompute, off the wafer": {"recompute": True, "off_wafer": 100},
    "reversible": {"reversible": True},
    "reversible, recompute": {"reversible": True, "recompute": True},
    "reversible, forward apart": {"reversible": True, "mappings": "apart"},
    "reversible, anchors every 3": {"reversible": True, "recompute": True, "anchor_every": 3},
}
"""Options of `weft.compile` by what a row is called; off the wafer are FIFOs from a delay of 100
updates on."""


def _images(make: Callable[..., torch.nn.Module], pixels: int) -> Case:
    with torch.device("meta"):
        model = make()
    image = torch.empty(1, 3, pixels, pixels, device="meta")
    return Case(model, (image, torch.empty(1, dtype=torch.long, device="meta")), F.cross_entropy)


NETWORKS: Mapping[str, Callable[[], Case]] = {
    "RevNet-110": lambda: _images(lambda: revnet(110), 32),
    "ResNet-50": resnet50,
    "GPT, 12 blocks": lambda: gpt(12, 768, 256, 12),
    "RevBiFPN-S0": lambda: _images(lambda: revbifpn("s0"), 224),
    "RevBiFPN-S2": lambda: _images(lambda: revbifpn("s2"), 256),
}


@dataclass(frozen=True)
class LeverRow:
    """A network with a lever. Bytes of the FIFOs are those on the PEs of all stages together.

    Where the plan does not fit, the figures of a plan are None and `reason` says what it needs.
    """

    network: str
    lever: str
    stages: int | None = None
    fifo_bytes: int | None = None
    fullest_pe_bytes: int | None = None
    interval_cycles: float | None = None
    samples_per_s: float | None = None
    backward_bytes: int | None = None
    reason: str = ""


def levers(network: str, target: str = "wse2") -> Iterator[LeverRow]:
    """A row for each lever; those of reversible stages only where the network has them."""
    case = NETWORKS[network]()
    has_updates = any(isinstance(part, AdditiveUpdate) for part in case.model.modules())
    for name, options in LEVERS.items():
        if has_updates or not options.get("reversible"):
            yield _row(network, name, case, target, Options(witness=False, **options))


def _row(network: str, lever: str, case: Case, target: str, options: Options) -> LeverRow:
    try:
        plan = compile_model(case.model, case.sample, case.loss, target, options)
    except InfeasibleError as error:
        return LeverRow(network, lever, reason=f"{error.got} of {error.expected}")
    document, totals = plan.document, plan.document.totals
    return LeverRow(
        network,
        lever,
        stages=len(document.stages),
        fifo_bytes=fifo_bytes(plan),
        fullest_pe_bytes=totals.max_memory_per_pe_bytes,
        interval_cycles=totals.initiation_interval_cycles,
        samples_per_s=totals.throughput_samples_per_s,
        backward_bytes=_backward_bytes(document),
    )


def fifo_bytes(plan: Plan) -> int:
    """What forwards keep on the wafer for their backwards: all samples there, in all stages."""
    stages = plan.stages
    return sum(stages.slots(s.index) * s.program.saved_bytes for s in stages.stages)


def _backward_bytes(document: PlanDocument) -> int:
    """Gradients and what is given back, of one sample over all edges."""
    return sum(edge.backward_bytes for edge in document.edges)
