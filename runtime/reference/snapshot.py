"""All that the reference executor holds as tensors by name, and back.

position                             tick, first sample fed, next sample to be fed
skips                                (stages, 3): total, current, longest
weights/NAME  state/NAME             the model's own names
mask/NAME  collected/NAME            masks; dense gradients that add up for the next mask update
optimizer/KEY/NAME                   KEY is the update rule's
values/STAGE/OUTPUT/SAMPLE           in flight: what a stage or the host (-1) made
saved/STAGE/NUMBER/SAMPLE            what a forward keeps for its backward
stashed/STAGE/NUMBER/SAMPLE          weights kept for it
gradients/STAGE/INPUT/SAMPLE         what a backward made for an input of the stage
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ...compiler.plan.program import Stage, TensorSpec
from ..tick.job import Skips
from ..tick.snapshot import NamedTensors, copied

if TYPE_CHECKING:
    from .executor import ReferenceExecutor


def snapshot(executor: ReferenceExecutor) -> dict[str, Tensor]:
    """What the executor holds, as copies."""
    fed = executor.fed
    found = {
        "position": torch.tensor([executor.tick, fed.start, fed.stop]),
        "skips": torch.tensor([[s.total, s.current, s.longest] for s in executor.skipped]),
    }
    found |= {f"weights/{name}": value for name, value in executor.weights.items()}
    found |= {f"state/{name}": value for name, value in executor.state.items()}
    found |= {f"mask/{name}": value for name, value in executor.mask.items()}
    found |= {f"collected/{name}": value for name, value in executor.collected.items()}
    for name, state in executor.optimizer.items():
        found |= {f"optimizer/{key}/{name}": value for key, value in state.items()}
    for kind, (stage, number), by_sample in _streams(executor):
        found |= {f"{kind}/{stage}/{number}/{n}": value for n, value in by_sample.items()}
    for stage, by_sample in enumerate(executor.saved):
        found[f"waiting/{stage}"] = torch.tensor(sorted(by_sample), dtype=torch.int64)
    for kind, waiting in (("saved", executor.saved), ("stashed", executor.stashed)):
        for stage, by_sample in enumerate(waiting):
            for sample, values in by_sample.items():
                names = (f"{kind}/{stage}/{number}/{sample}" for number in range(len(values)))
                found |= zip(names, values, strict=True)
    return {name: copied(value) for name, value in found.items()}


def restore(executor: ReferenceExecutor, snapshot: Mapping[str, Tensor]) -> None:
    """Put a snapshot in place of what the executor holds. Raises UserError if it does not fit."""
    given = NamedTensors(snapshot)
    tick, first, stop = given.take("position", torch.zeros(3, dtype=torch.int64)).tolist()
    skips = given.take("skips", torch.zeros(len(executor.stages), 3, dtype=torch.int64))
    weights = {n: given.take(f"weights/{n}", v) for n, v in executor.weights.items()}
    state = {n: given.take(f"state/{n}", v) for n, v in executor.state.items()}
    mask = {n: given.take(f"mask/{n}", v) for n, v in executor.mask.items()}
    collected = {n: given.take(f"collected/{n}", v) for n, v in executor.collected.items()}
    optimizer = {
        name: {key: given.take(f"optimizer/{key}/{name}", value) for key, value in entries.items()}
        for name, entries in executor.optimizer.items()
    }
    stash = executor.job.rule.stash
    waiting = [_waiting(given, stage, stash) for stage in executor.stages]
    flights = {kind: given.take_flights(kind) for kind in ("values", "gradients")}
    given.check_empty()
    executor.tick, executor.fed = tick, range(first, stop)
    executor.skipped = [Skips(*row) for row in skips.tolist()]
    executor.weights, executor.state, executor.optimizer = weights, state, optimizer
    executor.mask, executor.collected = mask, collected
    for kind, place, by_sample in _streams(executor):
        by_sample.clear()
        by_sample.update(flights[kind].get(place, {}))
    executor.saved = [saved for saved, _ in waiting]
    executor.stashed = [stashed for _, stashed in waiting]


Place = tuple[int, int]
ByNumber = dict[int, list[Tensor]]


def _streams(executor: ReferenceExecutor) -> list[tuple[str, Place, dict[int, Tensor]]]:
    """(kind, (stage, output or input), tensors by sample) of everything between stages."""
    values = [
        ("values", (source.stage, source.output), by_sample)
        for source, by_sample in executor.values.items()
    ]
    return values + [("gradients", place, s) for place, s in executor.gradients.items()]


def _waiting(given: NamedTensors, stage: Stage, stash: bool) -> tuple[ByNumber, ByNumber]:
    """By sample, what a stage's forwards saved for their backwards, and the stashed weights."""
    samples = given.take_numbers(f"waiting/{stage.index}")
    program = stage.program
    kinds = {"saved": program.saved, "stashed": program.parameters}
    saved, stashed = (
        {
            sample: [
                given.take(f"{kind}/{stage.index}/{number}/{sample}", _like(spec))
                for number, spec in enumerate(specs)
            ]
            for sample in (samples if stash or kind == "saved" else ())
        }
        for kind, specs in kinds.items()
    )
    return saved, stashed


def _like(spec: TensorSpec) -> Tensor:
    return torch.empty(spec.shape, dtype=spec.torch_dtype, device="meta")
