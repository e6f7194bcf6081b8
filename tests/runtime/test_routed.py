"""Mixtures of experts through the executors: weft's own and those of transformers, against torch.

The judge is eager torch: transformers' own loop over the experts that are hit, plain SGD one sample
at a time. All in float64, in which transformers computes where it says float32.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import weft
from helpers.jobs import falling_rate
from helpers.killed import train_until_killed
from helpers.plans_to_train import assert_same_end
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map
from weft.backend.nn.upcycling import upcycle
from weft.backend.optim import build_rule
from weft.compiler.capture.capture import capture, own_tensors
from weft.compiler.capture.sample import Loss, OneSample
from weft.compiler.plan.check import check
from weft.compiler.plan.routed import Routed
from weft.compiler.recipes.build import compile_recipe
from weft.compiler.recipes.read import shipped_recipe
from weft.compiler.stages.cut import cut
from weft.compiler.targets.load import load_target
from weft.runtime.reference.executor import ReferenceExecutor, SequentialReference
from weft.runtime.tick.job import Job

jax = pytest.importorskip("jax")

from weft.runtime.jax.executor import JaxExecutor  # noqa: E402

EQUAL = 1e-9
COUNT, TOKENS = 24, 6

DECODER = {
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 32,
    "max_position_embeddings": 8,
    "use_cache": False,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LATENT = {
    "kv_lora_rank": 8,
    "q_lora_rank": 12,
    "qk_rope_head_dim": 4,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
}
QWEN = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8}
GROUPS = {"n_routed_experts": 6, "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "mixtral": ("Mixtral", {**DECODER, "num_local_experts": 4}),
    "qwen2-moe": ("Qwen2Moe", {**DECODER, **QWEN, "shared_expert_intermediate_size": 8}),
    "qwen3-moe": ("Qwen3Moe", {**DECODER, **QWEN, "head_dim": 8}),
    "deepseek-v2": (
        "DeepseekV2",
        {
            **DECODER,
            **LATENT,
            **GROUPS,
            "moe_intermediate_size": 8,
            "first_k_dense_replace": 0,
            "topk_method": "group_limited_greedy",
            "routed_scaling_factor": 2.0,
            "n_shared_experts": 2,
            "head_dim": 4,
        },
    ),
    "deepseek-v3": (
        "DeepseekV3",
        {**DECODER, **LATENT, **GROUPS, "moe_intermediate_size": 8, "first_k_dense_replace": 0},
    ),
}


class InFloat64(TorchFunctionMode):
    """Double for float."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        args, kwargs = tree_map(_widened, (args, kwargs or {}))
        return (Tensor.double if func is Tensor.float else func)(*args, **kwargs)


def _widened(argument: Any) -> Any:
    return torch.float64 if argument is torch.float32 else argument


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mlp = nn.LayerNorm(8), nn.Sequential(nn.Linear(8, 12), nn.GELU())
        self.mlp.append(nn.Linear(12, 8))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mlp(self.norm(x))


class Tokens(nn.Module):
    """One block over tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.block, self.head = nn.Embedding(32, 8), Block(), nn.Linear(8, 32)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.block(self.table(tokens)))


def token_loss(scores: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(scores.flatten(0, 1), labels.flatten())


def upcycled(**options: Any) -> tuple[nn.Module, Loss]:
    """With experts that differ and a router that prefers some."""
    torch.manual_seed(0)
    model = upcycle(Tokens(), ("block.mlp",), experts=4, **options).model.double()
    for parameter in model.block.mlp.parameters():  # type: ignore[union-attr]
        nn.init.normal_(parameter, std=0.5)
    return model, token_loss


def of_transformers(name: str) -> tuple[nn.Module, None]:
    transformers = pytest.importorskip("transformers")
    kind, options = FAMILIES[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**options, experts_implementation="eager")
    return getattr(transformers, f"{kind}ForCausalLM")(config).double(), None


MODELS: dict[str, Callable[[], tuple[nn.Module, Loss | None]]] = {
    "dropless": lambda: upcycled(z=1e-3),
    "capacity": lambda: upcycled(capacity=1.0, order="softmax-top-k"),
    **{name: lambda name=name: of_transformers(name) for name in FAMILIES},
}


def job_of(model: nn.Module, loss: Loss | None, compensation: str = "none") -> Job:
    x = torch.arange(TOKENS)[None]
    sample = (x, x) if loss else {"input_ids": x, "labels": x}
    with InFloat64():
        graph = capture(model, sample, loss)
    tensors = {**graph.constants, **own_tensors(OneSample(model, loss))}
    tensors = {name: value.detach().clone() for name, value in tensors.items()}
    rule = build_rule("sgdm", momentum=0.0, weight_decay=0.0, compensation=compensation)
    return Job(cut(graph), tensors, {}, rule, falling_rate)


def samples() -> list[np.ndarray]:
    text = np.random.default_rng(0).integers(3, 32, (COUNT, TOKENS))
    return [text, text]


def eager(model: nn.Module, loss: Loss | None) -> tuple[list[float], dict[str, Tensor]]:
    """Losses, and parameters after as many steps of SGD."""
    losses, (inputs, labels) = [], map(torch.from_numpy, samples())
    model.train()
    for step in range(COUNT):
        x, y = inputs[step : step + 1], labels[step : step + 1]
        value = loss(model(x), y) if loss else model(input_ids=x, labels=y).loss
        model.zero_grad()
        value.backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter -= falling_rate(step) * parameter.grad
        losses.append(float(value.detach()))
    return losses, dict(model.named_parameters())


def _distance(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm().clamp(min=1e-12))


@pytest.mark.parametrize("name", MODELS)
def test_sequential_training_is_that_of_eager_torch(name: str) -> None:
    model, loss = MODELS[name]()
    job = job_of(model, loss)
    executor = SequentialReference(job)
    results = executor.feed(samples())
    with InFloat64():
        losses, parameters = eager(model, loss)
    assert np.abs(results.losses.values.ravel() - losses).max() < EQUAL
    got = executor.tensors()
    for stage in job.stages.stages:
        for key in stage.trained:
            assert not torch.equal(got[key], job.start(key)), key
            assert _distance(got[key], parameters[key].detach()) < EQUAL, key


_OTHERS = ("qwen2-moe", "deepseek-v2", "deepseek-v3")
_SIZES = {"deepseek-v2": 6, "deepseek-v3": 6}


@pytest.mark.parametrize("name", FAMILIES)
def test_its_plan_has_routed_stages_of_the_models_top_k(name: str) -> None:
    """Rows are those of two experts for each token, not of all; the checker derives them again."""
    model, _ = of_transformers(name)
    tokens = torch.arange(TOKENS)[None]
    model = model.float()
    plan = weft.compile(model, {"input_ids": tokens, "labels": tokens}, None, "wse2")
    assert check(plan.document, load_target("wse2"), plan.programs) == ()
    records = [o for stage in plan.document.stages for o in stage.operators]
    found = [(o, load) for o in records for load in o.steps if isinstance(load, Routed)]
    experts = _SIZES.get(name, 4)
    assert {(load.experts, load.top_k) for _, load in found} == {(experts, 2)}
    assert {load.rows for _, load in found} == {2 * TOKENS}
    products = {o.macs_dense for o, _ in found}
    width, hidden = 16, 24 if name == "mixtral" else 8
    assert products == {2 * TOKENS * width * n for n in (hidden, 2 * hidden)}
    assert weft.simulate(plan, samples=5).initiation_interval_cycles > 0


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in _OTHERS]


@pytest.mark.parametrize("name", ["dropless", "capacity", "mixtral", *SLOW])
def test_jax_trains_as_the_reference_does(name: str) -> None:
    job = job_of(*MODELS[name](), compensation="sc+lwp")
    reference = ReferenceExecutor(job)
    with jax.enable_x64(True):
        mine = JaxExecutor(job, chunk=8)
        for executor in (reference, mine):
            executor.feed(samples())
            executor.flush()
        got = mine.tensors()
    for key, expected in reference.tensors().items():
        if expected.is_floating_point():
            assert _distance(got[key], expected) < EQUAL, key


SMALL = ["model.options.width=8", "model.options.window=6", "input.shape=[6]"]
RECIPE = [*SMALL, "input.label_shape=[6]", "target=tiny_mesh"]


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["reference", "jax"])
def test_the_shipped_recipe_ends_in_the_same_bits_after_a_kill(
    executor: str, tmp_path: Path
) -> None:
    plan = compile_recipe(shipped_recipe("upcycled", RECIPE))
    plan.save(tmp_path / "plan")
    text = tmp_path / "text"
    text.write_bytes(np.random.default_rng(0).integers(97, 120, 400, dtype=np.uint8).tobytes())
    whole = weft.train(plan, str(text), executor=executor)
    train_until_killed(tmp_path / "plan", str(text), tmp_path / "kept", executor)
    run = weft.train(plan, str(text), resume=tmp_path / "kept")
    assert 0 < run.first_loss < len(whole.losses)
    assert_same_end(run, whole)
