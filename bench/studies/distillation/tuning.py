"""Tuning by the pipeline at batch size 1; one compiled program tunes all models of one form."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import nn

from ....backend.optim import Cosine, Guard, build_rule
from ....compiler.pipeline import Options, compile_model
from ....compiler.plan.plan import Plan
from ....compiler.recipes.network import class_loss
from ....runtime.executors import make_executor
from ....runtime.tick.job import Job
from ....runtime.weights.load import copy_into

if TYPE_CHECKING:
    from ....runtime.jax.executor import JaxExecutor


_CLIP = 1.0
"""Largest norm of a stage's gradient."""


class Tuner:
    """Trains copies of causal models on windows of tokens, by AdamW with linear weight prediction.

    A stage is a block, and so is each of what comes before and after the blocks.
    """

    def __init__(self, length: int, rate: float) -> None:
        self.length, self.rate = length, rate
        self._machine: JaxExecutor | None = None

    def plan(self, model: nn.Module) -> Plan:
        """The plan of a model for the default target."""
        sample = torch.zeros(2, 1, self.length, dtype=torch.long)
        options = Options(granularity="block", optimizer_states=2)
        return compile_model(model, tuple(sample), class_loss, "wse2", options)

    def __call__(
        self, model: nn.Module, x: np.ndarray, y: np.ndarray, epochs: int, seed: int
    ) -> nn.Module:
        """A copy of the model after `epochs` epochs over windows (N, length) and labels."""
        job = self._job(model, epochs * len(x))
        if self._machine is None:
            self._machine = cast("JaxExecutor", make_executor("jax", job, "pipelined"))
        else:
            self._machine.restart(job)
        for epoch in range(epochs):
            order = np.random.default_rng((seed, epoch)).permutation(len(x))
            self._machine.feed([x[order], y[order]])
        self._machine.flush()
        tuned = deepcopy(model)
        copy_into(self._machine.tensors(), tuned)
        return tuned

    def _job(self, model: nn.Module, updates: int) -> Job:
        schedule = Cosine(self.rate, updates)
        if self._machine is not None:
            tensors = {n: value.detach() for n, value in model.state_dict().items()}
            known = self._machine.job.tensors
            held = {name: tensors.get(name, value) for name, value in known.items()}
            return replace(self._machine.job, tensors=held, schedule=schedule)
        plan = self.plan(model)
        rule = build_rule("adamw", compensation="lwp")
        return Job(plan.stages, plan.tensors, {}, rule, schedule, Guard(_CLIP))
