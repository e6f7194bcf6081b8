"""`weft bench headline`: what a plan says of itself against its simulation, on 14 networks.

Interval and latency of the totals, of the closed form and of the event level, of networks cut
as finely as can be and by block, in 32 and in 16 bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from ..backend.errors import InfeasibleError, UnknownNameError
from ..backend.named_models import models
from ..backend.nn.norm_swap import replace_norms
from ..backend.nn.norm_swap.find import norms_of
from ..backend.packages import model_package
from ..compiler.pipeline import Options, compile_model
from ..compiler.plan.document import Granularity, PlanDocument
from ..compiler.targets.load import load_target
from ..sim import simulate
from .compile import gpt
from .models.case import Case

TARGET = "wse2"
GRANULARITIES: tuple[Granularity, ...] = ("finest", "block")
DTYPES = (torch.float32, torch.bfloat16)
_CHAIN = 8
"""Wafers for a network that does not fit one."""


@dataclass(frozen=True)
class Headline:
    """One plan. `intervals` and `latencies` are those of the totals, of the analytic and of the
    event level, in cycles; without any, `note` says why there is no plan."""

    network: str
    granularity: str
    dtype: str
    wafers: int
    intervals: tuple[float, ...]
    latencies: tuple[int, ...]
    note: str

    @property
    def difference(self) -> float:
        """The largest relative distance of a level from the totals, in interval or latency."""
        of = ((self.intervals, self.intervals[:1]), (self.latencies, self.latencies[:1]))
        return max(abs(value / first - 1) for values, (first,) in of for value in values)


def _image(network: str, channels: int, pixels: int) -> Case:
    with torch.device("meta"):
        model = models()[network].factory(in_channels=channels)
    return _pictures(model, channels, pixels)


def _vision(network: str) -> Case:
    torchvision = model_package("torchvision")
    with torch.device("meta"):
        model = _online(getattr(torchvision.models, network)())
    return _pictures(model, 3, 224)


def _timm(network: str) -> Case:
    timm = model_package("timm")
    with torch.device("meta"):
        model = _online(timm.create_model(network))
    return _pictures(model, 3, 224)


def _online(model: nn.Module) -> nn.Module:
    """With Online Normalization, where it normalises at all."""
    return replace_norms(model, "online") if norms_of(model) else model


def _pictures(model: nn.Module, channels: int, pixels: int) -> Case:
    image = torch.empty(1, channels, pixels, pixels, device="meta")
    return Case(model, (image, torch.empty(1, dtype=torch.long, device="meta")), F.cross_entropy)


def _bert() -> Case:
    transformers = model_package("transformers")
    transformers.logging.set_verbosity_error()
    config = transformers.BertConfig(
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, tie_word_embeddings=False
    )
    with torch.device("meta"):
        model = transformers.BertForPreTraining(config)
    tokens = torch.empty(1, 128, dtype=torch.long, device="meta")
    follows = torch.empty(1, dtype=torch.long, device="meta")
    sample = {"input_ids": tokens, "labels": tokens, "next_sentence_label": follows}
    return Case(model, sample, None)


NETWORKS: Mapping[str, Callable[[], Case]] = {
    "mlp": partial(_image, "mlp", 1, 8),
    "resnet20-8": partial(_image, "resnet20", 1, 8),
    "resnet20-32": partial(_image, "resnet20", 3, 32),
    "resnet56-32": partial(_image, "resnet56", 3, 32),
    "resnet18": partial(_vision, "resnet18"),
    "resnet50": partial(_vision, "resnet50"),
    "vgg11": partial(_vision, "vgg11"),
    "mobilenet_v2": partial(_vision, "mobilenet_v2"),
    "densenet121": partial(_vision, "densenet121"),
    "vit_tiny": partial(_timm, "vit_tiny_patch16_224"),
    "mixer_s32": partial(_timm, "mixer_s32_224"),
    "gpt2-4": partial(gpt, 4, 256, 64, 4),
    "gpt2-12": partial(gpt, 12, 768, 128, 12),
    "bert-base": _bert,
}


def headlines(names: tuple[str, ...] = ()) -> Iterator[Headline]:
    """The rows of the networks named, or of all. Raises UnknownNameError for another name."""
    for name in names or NETWORKS:
        if name not in NETWORKS:
            raise UnknownNameError("network", name, NETWORKS, "weft bench headline --help")
        for granularity in GRANULARITIES:
            for dtype in DTYPES:
                yield headline(name, NETWORKS[name], granularity, dtype)


def headline(
    name: str, case: Callable[[], Case], granularity: Granularity, dtype: torch.dtype
) -> Headline:
    """Compile on one wafer, or on a chain of them, and hold the totals against both levels."""
    of = name, granularity, str(dtype).removeprefix("torch.")
    try:
        plan = _plan(case(), granularity, dtype)
    except InfeasibleError as error:
        return Headline(*of, 0, (), (), f"does not fit: {error.where}: {error.got}")
    totals, samples = plan.totals, 4 * len(plan.stages) + 400
    reports = [simulate(plan, samples, level) for level in ("analytic", "event")]
    return Headline(
        *of,
        wafers=totals.wafers_used,
        intervals=(
            totals.initiation_interval_cycles,
            *(report.initiation_interval_cycles for report in reports),
        ),
        latencies=(totals.latency_cycles, *(report.forward_latency_cycles for report in reports)),
        note=totals.bound_by if all(r.bound_by == totals.bound_by for r in reports) else "differ",
    )


def _plan(case: Case, granularity: Granularity, dtype: torch.dtype) -> PlanDocument:
    model, target = case.model.to(dtype), load_target(TARGET)
    sample = _converted(case.sample, dtype)
    options = Options(granularity=granularity)
    try:
        return compile_model(model, sample, case.loss, target, options).document
    except InfeasibleError:
        chain = replace(target, wafers=_CHAIN)
        return compile_model(model, sample, case.loss, chain, options).document


def _converted(sample, dtype: torch.dtype):
    """Images in the model's type; tokens and labels as they are."""
    if isinstance(sample, dict):
        return sample
    return tuple(one.to(dtype) if one.is_floating_point() else one for one in sample)
