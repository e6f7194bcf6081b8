"""What mixtures of experts cost beside the dense layers they came from; the tables of
docs/experts.md are what `weft bench experts` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from ..backend.nn.upcycling import upcycle
from ..compiler.pipeline import Options, compile_model
from ..compiler.plan.plan import Plan
from ..compiler.plan.routed import Routed
from ..compiler.recipes.read import shipped_recipe
from ..compiler.recipes.recipe import Recipe
from ..compiler.recipes.upcycling import UpcyclingRecipe
from ..runtime.data import Dataset
from ..sim.analytic import analytic
from ..sim.model.rows import waiting_cycles
from .models.bytes_model import ByteModel, Mlp, byte_loss

LAYERS = ("blocks.*.mlp",)
MIXTURES: Mapping[str, Mapping[str, Any]] = {
    "dense": {},
    "dense, as wide as two experts": {},
    "E4k2": {"experts": 4, "top_k": 2},
    "E8k1": {"experts": 8, "top_k": 1},
    "E8k2": {"experts": 8, "top_k": 2},
    "E8k2, capacity 1.25": {"experts": 8, "top_k": 2, "capacity": 1.25},
    "E8k2, one expert takes a quarter": {"experts": 8, "top_k": 2},
}
"""Arguments of `upcycle` by what a row is called."""

_SECOND = 1000
"""Added to the seed for the order of the second phase."""

_WIDE = "dense, as wide as two experts"
_SKEWED = {"E8k2, one expert takes a quarter": (0.25, *(0.75 / 7,) * 7)}


@dataclass(frozen=True)
class Price:
    """A decoder with a mixture in place of its feed-forward layers, training.

    `touched_bytes` are those of the weights that one token meets, `resident_bytes` those of all.
    `waiting` is the share of their cycles in which PEs of experts wait for the fullest one.
    """

    mixture: str
    parameters: int
    resident_bytes: int
    touched_bytes: int
    pes: int
    interval_cycles: float
    fullest_pe_bytes: int
    waiting: float

    @property
    def pe_cycles(self) -> float:
        """Area times time of a sample."""
        return self.pes * self.interval_cycles


def prices(width: int = 256, window: int = 128, target: str = "wse2") -> Iterator[Price]:
    """A row for each of MIXTURES, of a decoder of one block; nothing is trained."""
    with torch.device("meta"):
        model = ByteModel(blocks=1, width=width, heads=4, window=window)
        tokens = torch.empty(1, window, dtype=torch.long)
        wide = ByteModel(blocks=1, width=width, heads=4, window=window)
        wide.blocks[0].mlp = Mlp(width, 8 * width)
    for name, options in MIXTURES.items():
        made, active = _upcycled(wide if name == _WIDE else model, options)
        loads = {"blocks.*": _SKEWED[name]} if name in _SKEWED else {}
        chosen = Options(witness=False, loads=loads)
        plan = compile_model(made, (tokens, tokens), byte_loss, target, chosen)
        yield _price(name, made, active, plan)


def _upcycled(model: nn.Module, options: Mapping[str, Any]) -> tuple[nn.Module, int]:
    """The model and the parameters that one token meets."""
    if not options:
        return model, sum(parameter.numel() for parameter in model.parameters())
    made = upcycle(model, LAYERS, **options)
    return made.model, made.active_parameters


def _price(name: str, model: nn.Module, active: int, plan: Plan) -> Price:
    sizes = [(p.numel(), p.element_size()) for p in model.parameters()]
    (size,) = {size for _, size in sizes}
    report, document = analytic(plan.document, 1000), plan.document
    return Price(
        mixture=name,
        parameters=sum(count for count, _ in sizes),
        resident_bytes=sum(count * size for count, size in sizes),
        touched_bytes=active * size,
        pes=document.totals.pes_used,
        interval_cycles=report.initiation_interval_cycles,
        fullest_pe_bytes=document.totals.max_memory_per_pe_bytes,
        waiting=_waiting(plan),
    )


def _waiting(plan: Plan) -> float:
    stages = [
        stage
        for stage in plan.document.stages
        if any(isinstance(step, Routed) for o in stage.operators for step in o.steps)
    ]
    total = sum(stage.cycles.total_cycles for stage in stages)
    return sum(map(waiting_cycles, stages)) / total if total else 0.0


class _Layer(nn.Module):
    """x + a feed-forward layer of x: nothing beside it reads what its router reads."""

    def __init__(self, width: int, units: int) -> None:
        super().__init__()
        up, down = nn.Linear(width, units, bias=False), nn.Linear(units, width, bias=False)
        self.mlp = nn.Sequential(up, nn.ReLU(), down)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As many features as there were."""
        return x + self.mlp(x)


def layer_intervals(
    tokens: int, width: int = 256, units: int = 1024, target: str = "wse2"
) -> dict[str, float]:
    """Cycles between samples of `tokens` tokens that train a layer alone: dense with as many units
    as two experts, and as experts of `units` units each, two of them for a token."""
    with torch.device("meta"):
        dense, sample = _Layer(width, 2 * units), torch.empty(1, tokens, width)
        routed = {
            name: upcycle(_Layer(width, units), ("mlp",), balance=0.0, **MIXTURES[name]).model
            for name in ("E4k2", "E8k2")
        }
    loss, chosen = nn.functional.mse_loss, Options(witness=False)
    return {
        name: analytic(
            compile_model(layer, (sample, sample), loss, target, chosen).document, 1000
        ).initiation_interval_cycles
        for name, layer in {"dense": dense, **routed}.items()
    }


@dataclass(frozen=True)
class TrainedExperts:
    """A model after its second phase of training: mean loss of the last samples and of the test, in
    nats a byte."""

    seed: int
    name: str
    parameters: int
    steps: int
    training_loss: float
    test_loss: float


def trained(data: Dataset, executor: str = "jax", seeds: int = 1) -> Iterator[TrainedExperts]:
    """A dense decoder is trained on `data` once; from there on it goes on, or is upcycled to E4k2,
    for as many steps, in the order of another seed. Recipe `upcycled`, with so many seeds."""
    shipped = shipped_recipe("upcycled")
    for seed in range(seeds):
        yield from _phases(data, shipped.model_copy(update={"seed": shipped.seed + seed}), executor)


def _phases(data: Dataset, recipe: Recipe, executor: str) -> Iterator[TrainedExperts]:
    torch.manual_seed(recipe.seed)
    window = recipe.input.shape[0]
    model: nn.Module = ByteModel(window=window)
    yield _run("dense, first phase", model, data, recipe, executor)
    again = recipe.model_copy(update={"seed": recipe.seed + _SECOND})
    routed = recipe.upcycling.of(model)
    yield _run("dense, continued", model, data, again, executor)
    yield _run("E4k2, upcycled", routed, data, again, executor)


def _run(
    name: str, model: nn.Module, data: Dataset, recipe: Recipe, executor: str
) -> TrainedExperts:
    """Trains the model itself."""
    from ..api import train

    tokens = torch.zeros(1, *recipe.input.shape, dtype=torch.long)
    options = Options(
        recipe=recipe.model_copy(update={"upcycling": UpcyclingRecipe()}).model_dump(mode="json"),
        optimizer_states=2,
    )
    plan = compile_model(model, (tokens, tokens), byte_loss, recipe.target.name, options)
    run = train(plan, data, executor=executor)
    model.load_state_dict({**model.state_dict(), **run.tensors}, strict=False)
    count = sum(parameter.numel() for parameter in model.parameters())
    tail = float(np.mean(run.losses[-max(1, len(run.losses) // 10) :]))
    test = run.scores[-1].loss
    assert test is not None  # the model has predictions
    return TrainedExperts(recipe.seed, name, count, len(run.losses), tail, test)


def first_of(data: Dataset, samples: int | None) -> Dataset:
    """The data with at most so many samples for training, and for testing a quarter of that."""
    if samples is None:
        return data
    test = max(1, samples // 4)
    return replace(
        data,
        x_train=data.x_train[:samples],
        y_train=data.y_train[:samples],
        x_test=data.x_test[:test],
        y_test=data.y_test[:test],
    )
