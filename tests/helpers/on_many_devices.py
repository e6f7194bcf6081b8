"""What runs on eight virtual devices, in a process of its own; prints what was seen as JSON."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

# Most of the time goes into compiling; what these programs compute needs no optimized code.
os.environ["XLA_FLAGS"] = (
    "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
)

import jax
import numpy as np
import torch
import weft
from torch import Tensor, nn
from weft.backend.nn.online_norm import OnlineNorm
from weft.bench.models.bytes_model import ByteModel, byte_loss
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.runtime.checkpoint import found_in
from weft.runtime.jax.executor import JaxExecutor
from weft.runtime.jax.home import ManyDevices, OneDevice
from weft.runtime.jax.shards.balance import split
from weft.runtime.reference.executor import ReferenceExecutor
from weft.runtime.tick.job import Executor, Job
from weft.runtime.tick.shard import Shards, bytes_across
from weft.runtime.tick.stage_classes import stage_classes

from .jobs import job_of, samples
from .plans_to_train import RECIPE, small_data
from .reversible_chains import reversible_job
from .stages_of import stages_of

CHUNK = 16


def even(job: Job, count: int) -> Shards:
    """Shards of about equally many stages."""
    crossing = [bytes_across(job.stages, first) for first in range(len(job.stages))]
    return split([1] * len(job.stages), crossing, count)


def spread(job: Job, count: int) -> JaxExecutor:
    home = ManyDevices(job, even(job, count), jax.devices()[:count])
    return JaxExecutor(job, chunk=CHUNK, home=home)


def drift(mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> float:
    """The largest difference of a tensor, relative to its norm."""
    assert mine.keys() == theirs.keys()
    theirs = {n: t for n, t in theirs.items() if t.is_floating_point()}
    return max(float((mine[n] - t).norm() / t.norm().clamp(min=1e-30)) for n, t in theirs.items())


def gap(mine: np.ndarray, theirs: np.ndarray) -> float:
    assert mine.shape == theirs.shape
    return float(np.abs(mine - theirs).max() / np.abs(theirs).max())


def equal(mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> bool:
    return mine.keys() == theirs.keys() and all(torch.equal(mine[n], t) for n, t in theirs.items())


def fed_and_drained(executor: Executor, inputs: list[np.ndarray]) -> np.ndarray:
    """Its losses after all samples went in and out."""
    parts = [executor.feed(inputs), executor.flush()]
    return np.concatenate([part.losses.values for part in parts])


def deep_perceptron(compensation: str) -> Job:
    """Seven stages with the loss, float64."""
    torch.manual_seed(0)
    widths = [9, 16, 16, 12, 16, 16, 3]
    layers = [
        layer for wide, narrow in pairwise(widths) for layer in (nn.Linear(wide, narrow), nn.Tanh())
    ]
    model = nn.Sequential(*layers[:-1]).to(torch.float64)
    stages = stages_of(model, torch.zeros(1, 9, dtype=torch.float64))
    return job_of(model, stages, compensation=compensation)


def perceptron() -> dict[str, Any]:
    """On four devices and on one; in flight their states are exchanged.

    On one, two equal stages are done together that are with different devices of the four.
    """
    job = deep_perceptron("sc+lwp")
    one, four = JaxExecutor(job, chunk=CHUNK, home=OneDevice(job, together=True)), spread(job, 4)
    before, after = ([a[:50] for a in samples(job, 90)], [a[50:] for a in samples(job, 90)])
    losses = [executor.feed(before).losses.values for executor in (one, four)]
    in_flight = [executor.snapshot() for executor in (one, four)]
    ends = [fed_and_drained(executor, after) for executor in (one, four)]
    unseen = samples(job, 300, seed=1)
    reference = ReferenceExecutor(job)
    fed_and_drained(reference, samples(job, 90))
    found = {
        "losses": gap(losses[1], losses[0]),
        "ends": gap(ends[1], ends[0]),
        "tensors": drift(four.tensors(), one.tensors()),
        "evaluated": gap(four.evaluate(unseen)[0], reference.evaluate(unseen)[0]),
        "together": [own.indices for own in stage_classes(job) if not own.is_single],
        "groups": [len(own) for own in even(job, 4)],
        "permuted": permuted(four),
        "on_wires": [on_wires(four, cut) for cut in range(1, 4)],
        "across": [bytes_across(job.stages, own.start) for own in even(job, 4)[1:]],
    }
    end = four.tensors()
    four.restore(in_flight[0])
    one.restore(in_flight[1])
    found |= {
        "one_to_four": gap(fed_and_drained(four, after), ends[0]),
        "four_to_one": gap(fed_and_drained(one, after), ends[0]),
        "tensors_of_one": drift(one.tensors(), end),
        "tensors_of_four": drift(four.tensors(), end),
    }
    four.restore(in_flight[0])
    moved = four.snapshot()
    one.restore(moved)
    return {**found, "snapshot_moves_to_the_bit": equal(one.snapshot(), moved)}


def on_wires(executor: JaxExecutor, cut: int) -> int:
    """Bytes that are put into the arrays that cross a cut, both ways."""
    split_tick = executor.home.tick
    sizes = (split_tick.forward[cut].elements, split_tick.backward[cut].elements)
    return sum(n * np.dtype(dtype).itemsize for size in sizes for dtype, n in size.items())


def permuted(executor: JaxExecutor) -> list[tuple[str, int]]:
    """Dtype and elements of what each device sends per tick, from the compiled program."""
    text = executor._train.as_text()
    found = re.findall(r"= \(?(\w+)\[(\d+)\][^=]* collective-permute(?:-start)?\(", text)
    return [(dtype, int(size)) for dtype, size in found]


class Residual(nn.Module):
    """Convolutions with Online Normalization and a residual sum, 5 stages with the loss."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 3, 3, padding=1, bias=False)
        self.norm = OnlineNorm(3, 0.9, 0.8)
        self.conv, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x)
        h = h + self.conv(torch.relu(self.norm(h)))
        return self.head(h.mean((2, 3)))


def skips_and_norms() -> dict[str, Any]:
    torch.manual_seed(0)
    model = Residual().to(torch.float64)
    stages = stages_of(model, torch.zeros(1, 1, 5, 5, dtype=torch.float64))
    masks = {"conv.weight": torch.rand(model.conv.weight.shape) < 0.5}
    job = job_of(model, stages, compensation="stash", masks=masks)
    mine, reference, inputs = spread(job, 4), ReferenceExecutor(job), samples(job, 40)
    found = against_reference(job, mine, inputs)
    fed_and_drained(reference, inputs)
    masked = mine.tensors()["conv.weight"][~masks["conv.weight"]]
    return {
        **found,
        "stages": len(stages),
        "masked": int(masked.count_nonzero()),
        "evaluated": gap(mine.evaluate(inputs)[0], reference.evaluate(inputs)[0]),
    }


class TiedDecoder(ByteModel):
    """A decoder whose scores are read off the table of its bytes."""

    def __init__(self) -> None:
        super().__init__(blocks=1, width=8, heads=2, window=4)
        self.head.weight = self.bytes.weight


def tied_decoder() -> dict[str, Any]:
    torch.manual_seed(0)
    model = TiedDecoder()
    for module in model.modules():
        module._non_persistent_buffers_set.clear()
    window = torch.zeros(1, 4, dtype=torch.long)
    job = job_of(model, stages_of(model, window, byte_loss, window), compensation="sc+lwp")
    text = np.random.default_rng(0).integers(0, 256, (60, 5))
    found = against_reference(job, spread(job, 8), [text[:, :-1], text[:, 1:]])
    farthest = max(stage.index - s.stage for stage in job.stages.stages for s in stage.inputs)
    return {**found, "stages": len(job.stages), "farthest": farthest}


def reversible() -> dict[str, Any]:
    """What stages give back passes devices."""
    job = reversible_job("halves", "none")
    found = against_reference(job, spread(job, 4), samples(job, 30))
    reaches = [key.stage - job.stages.asking[s][0] for s, key in job.stages.rebuilt.items()]
    return {**found, "farthest": max(reaches)}


def against_reference(job: Job, mine: JaxExecutor, inputs: list[np.ndarray]) -> dict[str, Any]:
    reference = ReferenceExecutor(job)
    losses = gap(fed_and_drained(mine, inputs), fed_and_drained(reference, inputs))
    return {"losses": losses, "tensors": drift(mine.tensors(), reference.tensors())}


def sizes() -> dict[str, Any]:
    """Bytes of each device's state, where all layers are alike."""
    torch.manual_seed(0)
    model = nn.Sequential(*[nn.Linear(96, 96) for _ in range(14)], nn.Linear(96, 3))
    stages = stages_of(model, torch.zeros(1, 96))
    job = job_of(model, stages)
    home = ManyDevices(job, even(job, 4), jax.devices()[:4])
    bytes_of = dict.fromkeys(jax.devices()[:4], 0)
    for array in jax.tree.leaves(home.start()):
        for shard in array.addressable_shards:
            bytes_of[shard.device] += shard.data.nbytes
    total = sum(form.size * form.dtype.itemsize for form in jax.tree.leaves(home.form()))
    groups = [home.tick.layout.leaf_bytes(number) for number in range(4)]
    return {"total": total, "groups": groups, "devices": list(bytes_of.values())}


def rigl_through_the_api() -> dict[str, Any]:
    """Masks that change, trained on several devices and resumed on another number of them."""
    sparsity = {"algorithm": "rigl", "sparsity": 0.6, "update": {"freq": 20, "stop": 100}}
    plan = compile_recipe(make_recipe({**RECIPE, "sparsity": sparsity}))
    data = small_data(train=60)
    expected = weft.train(plan, data, executor="reference", epochs=2)
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        run = weft.train(plan, data, devices=3, epochs=2, checkpoint=directory, every=50)
        resumed = weft.train(plan, data, resume=found_in(directory)[0])
    changed = sum(int((expected.masks[n] != plan.masks[n]).sum()) for n in plan.masks)
    return {
        "changed": changed,
        "masks": equal(run.masks, expected.masks),
        "tensors": drift(run.tensors, expected.tensors),
        "losses": gap(run.losses, expected.losses),
        "resumed_masks": equal(resumed.masks, expected.masks),
        "resumed_tensors": drift(resumed.tensors, expected.tensors),
    }


def main() -> None:
    with jax.enable_x64(True):
        found = {"perceptron": perceptron(), "skips_and_norms": skips_and_norms()}
        found |= {"reversible": reversible()}
    found |= {f.__name__: f() for f in (tied_decoder, sizes, rigl_through_the_api)}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
