"""`weft bench compile`: time and peak memory of compiling models without weights in memory."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F

from ..backend.errors import InfeasibleError
from ..backend.nn.norm_swap import replace_norms
from ..backend.packages import model_package
from ..compiler.capture.capture import Capture
from ..compiler.driver import Driver
from ..compiler.emit.emit import Labels
from ..compiler.pipeline import lower
from ..compiler.plan.program import Stages
from ..compiler.plan.training import Training
from ..compiler.stages.cut import Cut
from ..compiler.stages.group import Group
from ..compiler.targets.target import Target
from .models.case import Case

_MIB = 1024**2


@dataclass(frozen=True)
class Measurement:
    """Seconds of processor time by step; `peak_bytes` is the most the process ever held."""

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
            f"{self.name:14} {self.parameters / 1e6:9.1f} M  {self.stages:5} stages"
            f" ({self.distinct} distinct)  {sum(self.seconds.values()):6.1f} s ({steps})"
            f"  peak {self.peak_bytes / _MIB:.0f} MiB  {self.result}"
        )


def gpt(layers: int, width: int, tokens: int, heads: int = 16) -> Case:
    """A language model of GPT-3's shape from the transformers class."""
    transformers = model_package("transformers")

    transformers.logging.set_verbosity_error()
    config = transformers.GPT2Config(
        n_embd=width, n_layer=layers, n_head=heads, n_positions=tokens, use_cache=False
    )
    with torch.device("meta"):
        model = transformers.GPT2LMHeadModel(config)
    ids = torch.empty(1, tokens, dtype=torch.long, device="meta")
    return Case(model, {"input_ids": ids, "labels": ids}, None)


def resnet50(pixels: int = 224) -> Case:
    """ResNet-50 of torchvision with Online Normalization."""
    torchvision = model_package("torchvision")

    with torch.device("meta"):
        model = replace_norms(torchvision.models.resnet50(), "online")
    image = torch.empty(1, 3, pixels, pixels, device="meta")
    return Case(model, (image, torch.empty(1, dtype=torch.long, device="meta")), F.cross_entropy)


def llama(layers: int, width: int, tokens: int) -> Case:
    """A language model of Llama 3 70B's shape, with as many layers as asked."""
    transformers = model_package("transformers")

    transformers.logging.set_verbosity_error()
    config = transformers.LlamaConfig(
        vocab_size=128256,
        hidden_size=width,
        intermediate_size=28672,
        num_hidden_layers=layers,
        num_attention_heads=64,
        num_key_value_heads=8,
        max_position_embeddings=tokens,
        use_cache=False,
    )
    with torch.device("meta"):
        model = transformers.LlamaForCausalLM(config)
    ids = torch.empty(1, tokens, dtype=torch.long, device="meta")
    return Case(model, {"input_ids": ids, "labels": ids}, None)


CASES: Mapping[str, Callable[[], Case]] = {
    "resnet50": resnet50,
    "gpt-12x768": partial(gpt, 12, 768, 1024, 12),
    "gpt-24x768": partial(gpt, 24, 768, 1024, 12),
    "gpt-48x768": partial(gpt, 48, 768, 1024, 12),
    "gpt-96x768": partial(gpt, 96, 768, 1024, 12),
    "gpt-3-xl": partial(gpt, 24, 2048, 2048),
    "llama-3-70b": partial(llama, 80, 8192, 8192),
    "gpt-3-175b": partial(gpt, 96, 12288, 2048, 96),
}


def measure(names: Iterable[str], target: Target) -> Iterator[Measurement]:
    """Compile each of `CASES` named, as it is asked for, in a process of its own."""
    for name in names:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as process:
            yield process.submit(_measure, name, target).result()


def _measure(name: str, target: Target) -> Measurement:
    torch.set_num_threads(1)
    case, clock = CASES[name](), _Clock()
    run = Driver(clock.begin, clock.end)
    graph = run(Capture(case.loss), case.model, case.sample)
    stages = run(Cut(), graph, run(Group(), graph))
    try:
        lower(stages, target, Training(), Labels(name), run=run)
        result = f"fits {target.name}"
    except InfeasibleError as error:
        clock.end()
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
        self._step: tuple[str, float] | None = None

    def begin(self, step: str) -> None:
        """A step begins."""
        self._step = step, time.process_time()

    def end(self, _: object = None) -> None:
        """The step ended, if one is open."""
        if self._step is not None:
            step, started = self._step
            self.seconds[step] = time.process_time() - started
            self._step = None
