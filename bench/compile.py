"""`weft bench compile`: time and peak memory of compiling models without weights in memory."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F

from ..backend.errors import InfeasibleError
from ..backend.nn.norms import replace_norms
from ..compiler.capture import capture
from ..compiler.cut import cut
from ..compiler.emit import Labels, emit
from ..compiler.map import map_kernels
from ..compiler.place.place import place
from ..compiler.program import Stages
from ..compiler.targets.target import Target
from .case import Case

_MIB = 1024**2


@dataclass(frozen=True)
class Measurement:
    """Seconds by step; `peak_bytes` is the process's peak so far, so run the largest model last."""

    name: str
    parameters: int
    stages: int
    distinct: int
    seconds: Mapping[str, float]
    peak_bytes: int
    result: str

    def text(self) -> str:
        """One line: sizes, seconds in all and by step, memory, and whether it fits."""
        steps = ", ".join(f"{step} {seconds:.1f}" for step, seconds in self.seconds.items())
        return (
            f"{self.name:16} {self.parameters / 1e6:9.1f} M  {self.stages:5} stages"
            f" ({self.distinct} distinct)  {sum(self.seconds.values()):6.1f} s ({steps})"
            f"  peak {self.peak_bytes / _MIB:.0f} MiB  {self.result}"
        )


def gpt(layers: int, width: int, tokens: int, heads: int = 16) -> Case:
    """A language model of GPT-3's shape from the transformers class."""
    import transformers

    config = transformers.GPT2Config(
        n_embd=width, n_layer=layers, n_head=heads, n_positions=tokens, use_cache=False
    )
    with torch.device("meta"):
        model = transformers.GPT2LMHeadModel(config)
    ids = torch.empty(1, tokens, dtype=torch.long, device="meta")
    return Case(model, {"input_ids": ids, "labels": ids}, None)


def resnet50(pixels: int = 224) -> Case:
    """ResNet-50 of torchvision with Online Normalization."""
    import torchvision

    with torch.device("meta"):
        model = replace_norms(torchvision.models.resnet50(), "online")
    image = torch.empty(1, 3, pixels, pixels, device="meta")
    return Case(model, (image, torch.empty(1, dtype=torch.long, device="meta")), F.cross_entropy)


CASES: Mapping[str, Callable[[], Case]] = {
    "resnet50": resnet50,
    "gpt-12x768": partial(gpt, 12, 768, 1024, 12),
    "gpt-24x768": partial(gpt, 24, 768, 1024, 12),
    "gpt-48x768": partial(gpt, 48, 768, 1024, 12),
    "gpt-24x2048": partial(gpt, 24, 2048, 2048),
}


def measure(names: Iterator[str], target: Target) -> Iterator[Measurement]:
    """Compile each of `CASES` named, as it is asked for."""
    for name in names:
        yield _measure(name, CASES[name](), target)


def _measure(name: str, case: Case, target: Target) -> Measurement:
    clock = _Clock()
    graph = clock.timed("capture", partial(capture, case.model, case.sample, case.loss))
    stages = clock.timed("cut", partial(cut, graph))
    try:
        kernels = clock.timed("map", partial(map_kernels, stages, {}, target))
        placement = clock.timed("place", partial(place, stages, kernels))
        clock.timed("emit", partial(emit, stages, placement, {}, {}, Labels(name)))
        result = f"fits {target.name}"
    except InfeasibleError as error:
        result = f"does not fit: {error.where}: {error.got}"
    return _measurement(name, case, stages, clock.seconds, result)


def _measurement(
    name: str, case: Case, stages: Stages, seconds: Mapping[str, float], result: str
) -> Measurement:
    return Measurement(
        name=name,
        parameters=sum(parameter.numel() for parameter in case.model.parameters()),
        stages=len(stages),
        distinct=len({stage.program.key for stage in stages.stages}),
        seconds=seconds,
        peak_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        result=result,
    )


class _Clock:
    """Seconds of processor time by step, also of a step that fails."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, step: str, work: Callable):
        started = time.process_time()
        try:
            return work()
        finally:
            self.seconds[step] = time.process_time() - started
