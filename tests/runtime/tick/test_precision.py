"""Mixed precision: what is rounded, what is not, and that all executors round alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from helpers.jobs import job_of, perceptron, perceptron_job, samples, skip_net_job
from helpers.plans_to_train import RECIPE
from helpers.small_models import Attention
from helpers.stages_of import stages_of
from torch import nn
from weft.backend.errors import UserError
from weft.compiler.plan.program import HOST, Source, Stage, Stages
from weft.compiler.plan.program_graph import is_view, packet_name
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import make_recipe
from weft.compiler.recipes.recipe import TrainingRecipe
from weft.runtime.reference.executor import ReferenceExecutor
from weft.runtime.tick.job import Executor, Job
from weft.runtime.tick.make_job import make_job
from weft.runtime.tick.precision import PRODUCTS, activation_type, in_bfloat16, in_precision

COUNT = 40

# XLA and torch add products up in float32 in another order and round them to bfloat16 once. Where
# the sums fall to the same side, which is nearly always, only float32's rounding remains; at most
# 1.4e-5 of a tensor's norm is seen. A rounding that one of them leaves out shows as 1e-3.
SAME_ROUNDING = 1e-4


def attention_stages() -> Stages:
    torch.manual_seed(0)
    tokens = torch.zeros(1, 6, dtype=torch.long)
    return stages_of(Attention(), tokens, F.cross_entropy, tokens)


def mixed(job: Job) -> Job:
    return replace(job, stages=in_bfloat16(job.stages))


def job_named(name: str) -> Job:
    return perceptron_job("sc+lwp") if name == "perceptron" else skip_net_job("stash")


@pytest.fixture(scope="module")
def torch_rounds_once() -> None:
    """Torch's own bfloat16 kernels, which the reference runs on, depend on the processor."""
    torch.manual_seed(0)
    x, w = torch.randn(1, 16, 8, 8).bfloat16(), torch.randn(16, 16, 3, 3).bfloat16()
    found = F.conv_transpose2d(x, w, padding=1)
    if not torch.equal(found, F.conv_transpose2d(x.float(), w.float(), padding=1).bfloat16()):
        pytest.skip("torch's bfloat16 kernels round more than once on this processor")


def inside(stage: Stage) -> list[torch.fx.Node]:
    programs = (stage.program.forward, stage.program.backward)
    return [node for module in programs for node in module.graph.nodes if "val" in node.meta]


def reals(value: object) -> set[torch.dtype]:
    found = value if isinstance(value, (tuple, list)) else [value]
    tensors = [v for v in found if isinstance(v, torch.Tensor) and v.dtype.is_floating_point]
    return {tensor.dtype for tensor in tensors}


@pytest.mark.parametrize("kind", ["convolutions", "attention"])
def test_products_are_narrow_and_all_else_is_wide(kind: str) -> None:
    job = mixed(skip_net_job("none"))
    stages = job.stages if kind == "convolutions" else in_bfloat16(attention_stages())
    products = 0
    for node in (node for stage in stages.stages for node in inside(stage)):
        taken = set().union(*(reals(operand.meta["val"]) for operand in node.all_input_nodes))
        if packet_name(node) in PRODUCTS:
            products += 1
            assert taken | reals(node.meta["val"]) == {torch.bfloat16}
        elif packet_name(node) not in ("aten._to_copy", "") and not is_view(node):
            assert taken | reals(node.meta["val"]) <= {torch.float32}, node
    assert products >= 10


def test_programs_compute_in_the_types_they_declare() -> None:
    """Run on real tensors, node by node."""

    class Typed(torch.fx.Interpreter):
        def run_node(self, n: torch.fx.Node) -> object:
            value = super().run_node(n)
            assert n.op == "output" or reals(value) == reals(n.meta["val"]), n
            return value

    for stage in in_bfloat16(attention_stages()).stages:
        module = stage.program.forward
        holders = [n.meta["val"] for n in module.graph.find_nodes(op="placeholder")]
        Typed(module).run(*(torch.zeros(v.shape, dtype=v.dtype) for v in holders))


@pytest.mark.parametrize("kind", ["convolutions", "attention"])
def test_what_leaves_a_stage_is_narrow_except_statistics_and_the_loss(kind: str) -> None:
    plain = skip_net_job("none").stages if kind == "convolutions" else attention_stages()
    for before, after in zip(plain.stages, in_bfloat16(plain).stages, strict=True):
        old, new = before.program, after.program
        kept = ("parameters", "forward_state", "backward_state")
        assert all(getattr(old, name) == getattr(new, name) for name in kept)
        passed = [*new.outputs, *new.saved]
        passed += [
            spec
            for spec, source in zip(new.inputs, after.inputs, strict=True)
            if source.stage != HOST
        ]
        wide = [spec.shape for spec in passed if spec.dtype == "float32"]
        if before.index == plain.loss.stage:
            assert new.outputs == old.outputs
            assert new.saved == old.saved
        else:  # the mean and the deviation that a normalization saves
            norms = [n for n in inside(after) if packet_name(n).endswith("norm")]
            assert bool(wide) == bool(norms)
            assert all(np.prod(shape) <= 6 for shape in wide)


def test_fifo_bytes_halve() -> None:
    """All but those of the host's samples, and of the last stage, which are read at once."""
    pytest.importorskip("jax")
    from weft.runtime.jax.home import OneDevice

    plain = job_of(perceptron(), stages_of(perceptron(), torch.zeros(1, 9)))
    sizes = []
    for job in (plain, mixed(plain)):
        tick = OneDevice(job).tick
        host = [Source(HOST, number) for number in range(2)]
        own = [("saved", len(job.stages) - 1, number) for number in range(3)]
        buffers = zip(tick.buffers.fifos, tick.start().buffers, strict=True)
        sizes.append(sum(buffer.nbytes for key, buffer in buffers if key not in [*host, *own]))
    assert sizes[0] == 2 * sizes[1] > 0


def fed(executor: Executor, job: Job, count: int = COUNT) -> dict[str, torch.Tensor]:
    executor.feed(samples(job, count))
    executor.flush()
    return executor.tensors()


@pytest.mark.usefixtures("torch_rounds_once")
@pytest.mark.parametrize("name", ["perceptron", "convolutions"])
def test_jax_rounds_as_the_reference_does(name: str) -> None:
    pytest.importorskip("jax")
    from weft.runtime.jax.executor import JaxExecutor

    job = mixed(job_named(name))
    expected = fed(ReferenceExecutor(job), job)
    for key, value in fed(JaxExecutor(job, chunk=16), job).items():
        assert value.dtype == torch.float32
        error = (value - expected[key]).norm()
        assert error <= SAME_ROUNDING * expected[key].norm(), f"{key}: {error}"


@pytest.mark.usefixtures("torch_rounds_once")
def test_equal_stages_done_together_round_so_too_and_keep_their_bits_in_a_snapshot() -> None:
    pytest.importorskip("jax")
    from weft.runtime.jax.executor import JaxExecutor

    job = mixed(deep_job())
    machine, (x, y) = JaxExecutor(job, chunk=16), samples(job, COUNT)
    assert machine.home.together
    machine.feed([x[:9], y[:9]])
    taken = machine.snapshot()
    assert any(value.dtype == torch.bfloat16 for value in taken.values())
    ends = []
    for _ in range(2):
        machine.feed([x[9:], y[9:]])
        machine.flush()
        ends.append(machine.tensors())
        machine.restore(taken)
    expected = fed(ReferenceExecutor(job), job)
    for key, value in ends[0].items():
        assert torch.equal(value, ends[1][key]), key
        error = (value - expected[key]).norm()
        assert error <= SAME_ROUNDING * expected[key].norm(), f"{key}: {error}"


def deep_job() -> Job:
    """Five equal layers among eight stages."""
    torch.manual_seed(0)
    equal = [layer for _ in range(5) for layer in (nn.Linear(16, 16), nn.Tanh())]
    model = nn.Sequential(nn.Linear(9, 16), nn.Tanh(), *equal, nn.Linear(16, 3))
    return job_of(model, stages_of(model, torch.zeros(1, 9)), compensation="sc+lwp")


def test_rounding_changes_weights_by_about_its_size() -> None:
    """bfloat16 has 8 bits: a rounding is up to 2^-9 of a value, and does occur."""
    job = perceptron_job("none")
    plain, rounded = (fed(ReferenceExecutor(j), j) for j in (job, mixed(job)))
    for key, value in plain.items():
        moved = (value - job.start(key)).norm()
        assert 0 < (rounded[key] - value).norm() < 2**-4 * moved, key


def test_predictions_and_losses_leave_as_arrays_of_float32() -> None:
    pytest.importorskip("jax")
    from weft.runtime.jax.executor import JaxExecutor

    job = mixed(perceptron_job("none"))
    inputs = samples(job, 12)
    for executor in (ReferenceExecutor(job), JaxExecutor(job, chunk=16)):
        results = executor.feed(inputs)
        (evaluated,) = executor.evaluate(inputs)
        arrays = (results.losses.values, results.predictions[0].values, evaluated)
        assert [array.dtype for array in arrays] == [np.float32] * 3
        narrow = torch.from_numpy(evaluated)
        assert torch.equal(narrow.bfloat16().float(), narrow)


@pytest.mark.parametrize("kind", ["reference", "jax"])
def test_a_snapshot_goes_on_to_the_bit(kind: str) -> None:
    if kind == "jax":
        pytest.importorskip("jax")
    job = mixed(perceptron_job("stash"))
    whole, first, second = (executor(kind, job) for _ in range(3))
    x, y = samples(job, 20)
    whole.feed([x, y])
    first.feed([x[:9], y[:9]])
    second.restore(first.snapshot())
    second.feed([x[9:], y[9:]])
    expected, found = whole.snapshot(), second.snapshot()
    assert any(value.dtype == torch.bfloat16 for value in found.values())
    assert all(torch.equal(value, expected[key]) for key, value in found.items())


def executor(kind: str, job: Job) -> Executor:
    if kind == "reference":
        return ReferenceExecutor(job)
    from weft.runtime.jax.executor import JaxExecutor

    return JaxExecutor(job, chunk=16)


def test_the_recipe_chooses() -> None:
    plan = compile_recipe(make_recipe(RECIPE))
    types = {
        precision: activation_type(
            make_job(
                plan,
                make_recipe(RECIPE, [f"training.precision={precision}"]),
                10,
                "pipelined",
            ).stages
        )
        for precision in ("null", "float32", "bfloat16")
    }
    assert types == {"null": "float32", "float32": "float32", "bfloat16": "bfloat16"}
    assert TrainingRecipe().precision is None


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_plan_of_another_type_is_refused_not_reinterpreted(dtype: torch.dtype) -> None:
    model = nn.Sequential(nn.Linear(4, 3)).to(dtype)
    stages = stages_of(model, torch.zeros(1, 4, dtype=dtype))
    assert in_precision(stages, None) is stages
    for precision in ("float32", "bfloat16"):
        with pytest.raises(UserError, match="float32"):
            in_precision(stages, precision)


def test_equal_stages_keep_sharing_one_program() -> None:
    layers = [nn.Linear(8, 8) for _ in range(4)]
    stages = stages_of(nn.Sequential(*layers), torch.zeros(1, 8))
    keys = [stage.program.key for stage in in_bfloat16(stages).stages]
    assert keys[1] == keys[2] == keys[3] != stages.stages[1].program.key
