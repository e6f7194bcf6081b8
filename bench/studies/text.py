"""The experiment on text: a small transformer that predicts the next byte."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from ...backend.optim import Cosine, LinearWarmup, build_rule, compensations
from ...compiler.capture.capture import capture
from ...compiler.plan.program import Stages
from ...compiler.stages.cut import cut
from ...runtime.data import load_data
from ...runtime.tick.job import Job
from ..models.bytes_model import ByteModel, byte_loss
from .training import SEQUENTIAL, Experiment, RunSetting

DEFAULT_TEXT = Path(argparse.__file__)
"""A text that comes with every Python: the source of argparse."""

_WARMUP = 0.05


@dataclass(frozen=True)
class TextNetwork:
    """A decoder of bytes: its blocks, width, heads and the bytes that it sees."""

    blocks: int
    width: int
    heads: int
    window: int

    def model(self, seed: int) -> ByteModel:
        """The network at the start values of a seed."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return ByteModel(self.blocks, self.width, self.heads, self.window)

    @property
    def words(self) -> str:
        """It in words."""
        return (
            f"decoder of {self.blocks} blocks, width {self.width}, {self.heads} heads,"
            f" context {self.window}, LayerNorm"
        )


SMALL = TextNetwork(blocks=2, width=32, heads=2, window=32)
"""The network of the experiment on text."""


@dataclass(frozen=True)
class _Optimizer:
    rate: float
    methods: tuple[str, ...]
    words: str


OPTIMIZERS = {
    "adamw": _Optimizer(3e-3, ("none", "stash", "lwp"), "adamw, betas 0.9 and 0.999"),
    "sgdm": _Optimizer(
        5e-3, tuple(n for n in compensations() if n != "lwp_w2d"), "sgdm, momentum 0.9"
    ),
}
"""Update rules of the experiment, each with its rate and the compensations it defines."""


def text_experiment(optimizer: str, path: Path = DEFAULT_TEXT, epochs: int = 1) -> Experiment:
    """A text, read `epochs` times; `optimizer` is one of OPTIMIZERS.

    Raises UserError for a text that is too short, and UnknownNameError for one that is not there.
    """
    chosen = OPTIMIZERS[optimizer]
    data = load_data(str(path), (SMALL.window,))
    return Experiment(
        name=f"text, {optimizer}",
        setup=f"{SMALL.words}; {chosen.words}, lr {chosen.rate:g}, cosine schedule"
        f" with a warm-up of {_WARMUP:g}; bytes of {data.name}: {len(data.x_train)} windows to"
        f" train, {len(data.x_test)} to test",
        data=data,
        epochs=epochs,
        rate=chosen.rate,
        methods=(SEQUENTIAL, *chosen.methods),
        job=TextJobs(optimizer, chosen.rate, epochs * len(data.x_train)),
    )


@dataclass(frozen=True)
class TextJobs:
    """The job of a setting; the model is captured once, at the first."""

    optimizer: str
    rate: float
    updates: int
    network: TextNetwork = SMALL

    def __call__(self, setting: RunSetting) -> Job:
        model = self.network.model(setting.seed)
        tensors = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        compensation = "none" if setting.method == SEQUENTIAL else setting.method
        rule = build_rule(self.optimizer, compensation=compensation)
        schedule = Cosine(setting.factor * self.rate, self.updates)
        warmup = LinearWarmup(max(1, round(_WARMUP * self.updates)), schedule)
        return Job(self._stages, tensors, {}, rule, warmup)

    @cached_property
    def _stages(self) -> Stages:
        text, following = torch.zeros(2, 1, self.network.window, dtype=torch.long)
        return cut(capture(self.network.model(0), (text, following), byte_loss))
