"""One run through tasks: trained by the pipeline at batch size 1, tested after each task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from ....backend.nn.hebbian import HebbianClassifier, plastic_mlp
from ....backend.optim import Constant
from ....compiler.plan.plan import Plan
from ....compiler.recipes.build import compile_recipe
from ....compiler.recipes.read import shipped_recipe
from ....runtime.executors import make_executor
from ....runtime.tick.job import Job
from ....runtime.tick.make_job import make_job
from .tasks import Task

if TYPE_CHECKING:
    from ....runtime.jax.executor import JaxExecutor

_HEAD = "head."
_FISHER = 500
"""Samples of a task by which the importance of the head's weights is estimated."""


@dataclass(frozen=True)
class Method:
    """What distinguishes runs: the rate and the start of the trace's part, and whether slow weights
    are held near those of earlier tasks."""

    eta: float
    plasticity: float
    consolidates: bool


class Learner:
    """A perceptron whose head is plastic or not; one compiled program runs all methods."""

    def __init__(
        self, features: int, classes: int, width: int, rate: float, penalty: float
    ) -> None:
        self.features, self.classes, self.width = features, classes, width
        self.rate, self.penalty = rate, penalty

    def run(self, method: Method, tasks: Sequence[Task], seed: int) -> list[list[float]]:
        """After each task, the share of right answers on each task so far."""
        start = self._start(method, seed)
        body = {name: value for name, value in start.items() if not name.startswith(_HEAD)}
        first = {name: value for name, value in start.items() if name.startswith(_HEAD)}
        heads = {task.head: first for task in tasks}
        found = []
        for number, task in enumerate(tasks):
            self._machine.restart(self._job({**body, **heads[task.head]}))
            self._machine.feed([task.x, task.y])
            self._machine.flush()
            trained = self._machine.tensors()
            body = {name: trained[name] for name in body}
            heads[task.head] = {name: trained[name] for name in first}
            if method.consolidates:
                heads[task.head] = self._consolidated(body, heads[task.head], task)
            seen = tasks[: number + 1]
            found.append([self._accuracy({**body, **heads[t.head]}, t) for t in seen])
        return found

    def _model(self) -> HebbianClassifier:
        return plastic_mlp(self.features, self.classes, width=self.width, penalty=self.penalty)

    def _start(self, method: Method, seed: int) -> dict[str, Tensor]:
        """Start values; methods of one seed have equal weights."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = self._model()
            plastic = method.plasticity * torch.rand_like(model.head.alpha)
        tensors = {n: value.detach().clone() for n, value in model.state_dict().items()}
        eta = torch.tensor(float(method.eta))
        return {**tensors, f"{_HEAD}alpha": plastic, f"{_HEAD}eta": eta}

    def _loaded(self, tensors: Mapping[str, Tensor]) -> HebbianClassifier:
        model = self._model()
        model.load_state_dict(dict(tensors))
        return model.eval()

    def _accuracy(self, tensors: Mapping[str, Tensor], task: Task) -> float:
        model, labels = self._loaded(tensors), torch.from_numpy(task.y_test)
        with torch.no_grad():
            scores = model(torch.from_numpy(task.x_test), labels).scores
        return float((scores.argmax(1) == labels).double().mean())

    def _consolidated(
        self, body: Mapping[str, Tensor], head: Mapping[str, Tensor], task: Task
    ) -> dict[str, Tensor]:
        model = self._loaded({**body, **head})
        x, y = torch.from_numpy(task.x[:_FISHER]), torch.from_numpy(task.y[:_FISHER])
        with torch.no_grad():
            features = model.body(x)
        model.head.consolidate(model.head.squared_gradients(features, y))
        state = model.state_dict()
        return {name: state[name] for name in head}

    def _job(self, tensors: Mapping[str, Tensor]) -> Job:
        return replace(self._first, tensors=dict(tensors))

    @cached_property
    def _plan(self) -> Plan:
        options = {"features": self.features, "classes": self.classes, "width": self.width}
        options |= {"penalty": self.penalty, "learned_eta": False}
        changes = [f"model.options.{name}={value}" for name, value in options.items()]
        changes += [f"input.shape=[{self.features}]", f"input.classes={self.classes}"]
        return compile_recipe(shipped_recipe("hebbian", changes))

    @cached_property
    def _first(self) -> Job:
        recipe = shipped_recipe("hebbian", [f"optimizer.lr={self.rate}"])
        return replace(make_job(self._plan, recipe, 1, "pipelined"), schedule=Constant(self.rate))

    @cached_property
    def _machine(self) -> JaxExecutor:
        return cast("JaxExecutor", make_executor("jax", self._first, "pipelined"))
