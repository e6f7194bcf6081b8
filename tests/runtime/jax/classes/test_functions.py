"""Equal stages as one batched computation: which they are, what it computes, what it checkpoints.

Bounds are those of `test_equality.py`: XLA adds up a batch of products in an order of its own.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

pytest.importorskip("jax")

from weft.backend.optim import Guard, build_rule
from weft.bench.equality.cases import EqualityCase, case, job_of
from weft.bench.equality.equality import distance
from weft.bench.models.bytes_model import ByteModel, byte_loss
from weft.compiler.capture.capture import capture
from weft.compiler.stages.cut import cut
from weft.runtime.jax.executor import JaxExecutor
from weft.runtime.jax.home import OneDevice, one_device
from weft.runtime.tick.job import Job
from weft.runtime.tick.stage_classes import stage_classes

COUNT = 60
FLOAT32 = 1e-5


@pytest.fixture(scope="module")
def deep() -> EqualityCase:
    """A perceptron with five equal layers in the middle."""
    torch.manual_seed(0)
    equal = [layer for _ in range(5) for layer in (nn.Linear(12, 12), nn.Tanh())]
    model = nn.Sequential(nn.Linear(8, 12), nn.Tanh(), *equal, nn.Linear(12, 5))
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 5, COUNT)
    x = generator.standard_normal((COUNT, 8)) + labels[:, None] / 5
    sample = torch.zeros(1, 8), torch.zeros(1, dtype=torch.long)
    return EqualityCase(cut(capture(model, sample, F.cross_entropy)), model, (x, labels))


@pytest.fixture(scope="module")
def gpt() -> EqualityCase:
    """Two blocks with skips, and scores read off the table of bytes, whose stream passes them."""
    torch.manual_seed(0)
    model, window = ByteModel(blocks=2, width=8, heads=2, window=4), 4
    model.head.weight = model.bytes.weight
    tokens = torch.zeros(1, window, dtype=torch.long)
    text = np.random.default_rng(0).integers(0, 256, (COUNT, window + 1))
    stages = cut(capture(model, (tokens, tokens), byte_loss))
    return EqualityCase(stages, model, (text[:, :-1], text[:, 1:]))


@pytest.fixture(scope="module")
def rigl(deep: EqualityCase) -> JaxExecutor:
    """Compiled once for a job that several tests run."""
    return grouped(job_of(deep, "sgdm", "sc+lwp", "rigl"))


def grouped(job: Job) -> JaxExecutor:
    return JaxExecutor(job, chunk=16, home=OneDevice(job, together=True))


def sizes(job: Job) -> list[int]:
    return sorted(len(own.stages) for own in stage_classes(job))


def test_every_stage_is_in_one_group_of_its_program(gpt: EqualityCase) -> None:
    job = job_of(gpt, "sgdm", "sc+lwp", "none")
    found = stage_classes(job)
    indices = [index for group in found for index in group.indices]
    assert sorted(indices) == list(range(len(job.stages)))
    assert all(len({stage.program.key for stage in group.stages}) == 1 for group in found)
    assert max(sizes(job)) > 1
    ends = [group.stages for group in found if {0, len(job.stages) - 1} & set(group.indices)]
    assert all(len(stages) == 1 for stages in ends)


def test_a_mask_sets_a_stage_apart(deep: EqualityCase) -> None:
    job = job_of(deep, "sgdm", "none", "none")
    assert sizes(job) == [1, 1, 1, 5]
    name = "4.weight"
    masked = replace(job, masks={name: torch.ones(12, 12, dtype=torch.bool)})
    assert sizes(masked) == [1, 1, 1, 1, 4]


@pytest.mark.parametrize(
    ("layers", "expected"), [(2, [1, 1, 1, 1, 2, 2]), (0, [1] * 8), (9, [1, 1, 1, 5])]
)
def test_no_more_are_together_than_may_be(
    deep: EqualityCase, layers: int, expected: list[int]
) -> None:
    """Of five layers with 156 parameters; a single one may take more."""
    job = job_of(deep, "sgdm", "none", "none")
    found = stage_classes(job, layers * 4 * 156)
    assert sorted(len(own.stages) for own in found) == expected
    firsts = [own.first.index for own in found]
    assert firsts == sorted(firsts)


def test_equal_convolutions_are_done_together() -> None:
    """In ResNet-20; ResNet-8 has too few that are equal to do any together."""
    job = job_of(case("resnet20", COUNT), "sgdm", "none", "none")
    assert any(own.first.parameters for own in stage_classes(job) if not own.is_single)
    assert one_device(job, "pipelined").together
    job = job_of(case("resnet8", COUNT), "sgdm", "none", "none")
    assert not one_device(job, "pipelined").together


@pytest.mark.parametrize(
    ("rule", "compensation", "masks"),
    [
        ("sgdm", "ab", "static"),
        ("adamw", "stash", "none"),
    ],
)
def test_a_perceptron_equals_the_reference(
    deep: EqualityCase, rule: str, compensation: str, masks: str
) -> None:
    job = job_of(deep, rule, compensation, masks)
    assert one_device(job, "pipelined").together
    far = distance(job, deep.inputs, grouped(job))
    assert far.largest <= FLOAT32, far


def test_braking_by_factors_equals_the_reference(deep: EqualityCase) -> None:
    """Without decay or masks a gradient is a column times a row, here clipped as well."""
    rule = build_rule("sgdm", momentum=0.9, compensation="ab", braking_rho=1.5)
    job = replace(job_of(deep, "sgdm", "ab", "none"), rule=rule, guard=Guard(0.5))
    far = distance(job, deep.inputs, grouped(job))
    assert far.largest <= FLOAT32, far


def test_masks_that_change_equal_the_reference(deep: EqualityCase, rigl: JaxExecutor) -> None:
    rigl.restart(rigl.job)
    far = distance(rigl.job, deep.inputs, rigl)
    assert far.largest <= FLOAT32, far


def test_skips_and_a_tied_table_equal_the_reference(gpt: EqualityCase) -> None:
    job = job_of(gpt, "sgdm", "sc+lwp_w", "none")
    far = distance(job, gpt.inputs, grouped(job))
    assert far.largest <= FLOAT32, far


def test_a_checkpoint_does_not_tell(deep: EqualityCase, rigl: JaxExecutor) -> None:
    """Taken with samples in flight and masks that have changed, either form goes on from either."""
    rigl.restart(rigl.job)
    both = rigl, JaxExecutor(rigl.job, chunk=16, home=OneDevice(rigl.job, "pipelined"))
    first, rest = zip(*((a[:41], a[41:]) for a in deep.inputs), strict=True)
    taken = []
    for executor in both:
        executor.feed(first)
        taken.append(executor.snapshot())
    close(taken[0], taken[1])
    for executor, snapshot in zip(both, reversed(taken), strict=True):
        executor.restore(snapshot)
        again = executor.snapshot()
        assert again.keys() == snapshot.keys()
        assert all(torch.equal(again[name], value) for name, value in snapshot.items())
    results = [np.concatenate([e.feed(rest).losses.values, e.flush().losses.values]) for e in both]
    np.testing.assert_allclose(results[0], results[1], rtol=FLOAT32)
    close(both[0].snapshot(), both[1].snapshot())


def close(mine: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert mine.keys() == other.keys()
    for name, value in other.items():
        assert mine[name].shape == value.shape, name
        far = (mine[name].double() - value.double()).norm()
        assert far <= FLOAT32 * value.double().norm(), name


def test_the_fifos_take_no_more_than_one_by_one(deep: EqualityCase) -> None:
    """But for a second slot where some of a group's values are read after one tick only."""
    job = job_of(deep, "sgdm", "stash", "none")
    tick = OneDevice(job, together=True).tick
    together = sum(buffer.nbytes for buffer in tick.start().buffers)
    alone = sum(np.zeros(fifo.shape, np.float32).nbytes for fifo in tick.buffers.fifos.values())
    registers = sum(fifo.spec.size_bytes for fifo in tick.buffers.fifos.values() if fifo.reach <= 1)
    assert together <= alone + registers
