"""All that the reference executor holds between two ticks, as tensors by name, and back.

position                             tick, first sample fed, next sample to be fed
skips                                (stages, 3): total, current, longest
weights/NAME  state/NAME             the model's own names
mask/NAME  collected/NAME            masks; dense gradients that add up for the next mask update
optimizer/KEY/NAME                   KEY is the update rule's
values/STAGE/OUTPUT/SAMPLE           in flight: what a stage or the host (-1) made
saved/STAGE/NUMBER/SAMPLE            what a forward keeps for its backward
stashed/STAGE/NUMBER/SAMPLE          weights kept for it
gradients/STAGE/INPUT/SAMPLE         what a backward made for an input of the stage
rebuilt/STAGE/INPUT/SAMPLE           an input of the stage that its backward gave back
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...compiler.plan.program import Reader, Rebuilt, Source, Stage, TensorSpec
from ..tick.job import Job, Skips
from ..tick.snapshot import NamedTensors, copied

StatePlace = tuple[int, int]
BySample = dict[int, Tensor]
ByNumber = dict[int, list[Tensor]]


class ReferenceState:
    """What the stages hold, and what is in flight, by sample."""

    def __init__(self, job: Job) -> None:
        self.job, self.stages = job, job.stages.stages
        self.tick = 0
        self.fed = range(0)
        self.weights = {n: job.start(n) for stage in self.stages for n in stage.parameters}
        self.optimizer = {n: job.optimizer_start(n, w, torch) for n, w in self.weights.items()}
        states = [(*stage.forward_state, *stage.backward_state) for stage in self.stages]
        self.state = {name: job.start(name) for names in states for name in names}
        self.readers = job.stages.readers
        self.values: dict[Source, BySample] = {source: {} for source in self.readers}
        self.results: dict[Source, BySample] = {s: {} for s in job.stages.results}
        self.saved: list[dict[int, list[Tensor]]] = [{} for _ in self.stages]
        self.stashed: list[dict[int, list[Tensor]]] = [{} for _ in self.stages]
        self.gradients: dict[Reader, BySample] = {
            reader: {} for stage in self.stages for reader in stage.gradient_inputs
        }
        self.rebuilt: dict[Rebuilt, BySample] = {
            key: {} for stage in self.stages for key in stage.rebuilt
        }
        self.skipped = [Skips() for _ in self.stages]
        self.mask = {n: job.masks[n].clone() for n in self.weights if n in job.masks}
        self.collected = {n: torch.zeros_like(self.weights[n]) for n in job.collecting}

    def snapshot(self) -> dict[str, Tensor]:
        """All that training goes on from, by name, as copies."""
        fed = self.fed
        found = {
            "position": torch.tensor([self.tick, fed.start, fed.stop]),
            "skips": torch.tensor([[s.total, s.current, s.longest] for s in self.skipped]),
        }
        found |= {f"weights/{name}": value for name, value in self.weights.items()}
        found |= {f"state/{name}": value for name, value in self.state.items()}
        found |= {f"mask/{name}": value for name, value in self.mask.items()}
        found |= {f"collected/{name}": value for name, value in self.collected.items()}
        for name, state in self.optimizer.items():
            found |= {f"optimizer/{key}/{name}": value for key, value in state.items()}
        for kind, (stage, number), by_sample in self._streams():
            found |= {f"{kind}/{stage}/{number}/{n}": value for n, value in by_sample.items()}
        for stage, by_sample in enumerate(self.saved):
            found[f"waiting/{stage}"] = torch.tensor(sorted(by_sample), dtype=torch.int64)
        for kind, waiting in (("saved", self.saved), ("stashed", self.stashed)):
            for stage, by_sample in enumerate(waiting):
                for sample, values in by_sample.items():
                    names = (f"{kind}/{stage}/{number}/{sample}" for number in range(len(values)))
                    found |= zip(names, values, strict=True)
        return {name: copied(value) for name, value in found.items()}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Become the executor that gave the snapshot; raises UserError for one of another job."""
        given = NamedTensors(tensors)
        tick, first, stop = given.take("position", torch.zeros(3, dtype=torch.int64)).tolist()
        skips = given.take("skips", torch.zeros(len(self.stages), 3, dtype=torch.int64))
        weights = {n: given.take(f"weights/{n}", v) for n, v in self.weights.items()}
        state = {n: given.take(f"state/{n}", v) for n, v in self.state.items()}
        mask = {n: given.take(f"mask/{n}", v) for n, v in self.mask.items()}
        collected = {n: given.take(f"collected/{n}", v) for n, v in self.collected.items()}
        optimizer = {
            name: {key: given.take(f"optimizer/{key}/{name}", v) for key, v in entries.items()}
            for name, entries in self.optimizer.items()
        }
        stash = self.job.rule.stash
        waiting = [_waiting(given, stage, stash) for stage in self.stages]
        kinds = ("values", "gradients", "rebuilt")
        flights = {kind: given.take_flights(kind) for kind in kinds}
        given.check_empty()
        self.tick, self.fed = tick, range(first, stop)
        self.skipped = [Skips(*row) for row in skips.tolist()]
        self.weights, self.state, self.optimizer = weights, state, optimizer
        self.mask, self.collected = mask, collected
        for kind, place, by_sample in self._streams():
            by_sample.clear()
            by_sample.update(flights[kind].get(place, {}))
        self.saved = [saved for saved, _ in waiting]
        self.stashed = [stashed for _, stashed in waiting]

    def _streams(self) -> list[tuple[str, StatePlace, dict[int, Tensor]]]:
        """(kind, (stage, output or input), tensors by sample) of everything between stages."""
        values = [
            ("values", (source.stage, source.output), by_sample)
            for source, by_sample in self.values.items()
        ]
        values += [("gradients", place, s) for place, s in self.gradients.items()]
        return values + [("rebuilt", (k.stage, k.input), s) for k, s in self.rebuilt.items()]


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
