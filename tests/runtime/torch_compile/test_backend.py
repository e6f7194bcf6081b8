"""torch.compile(model, backend="weft"): the numbers of eager torch, and the plan beside them."""

from __future__ import annotations

import copy
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import weft
from helpers.small_models import Attention, Branches, Transposed
from torch import Tensor, nn
from weft.backend.errors import InfeasibleError, UnsupportedError, UserError
from weft.compiler.plan.check import check
from weft.runtime.torch_compile.backend import CompiledGraph

pytestmark = pytest.mark.filterwarnings(  # dynamo looks at .grad of what goes over a graph break
    "ignore:The .grad attribute of a Tensor that is not a leaf Tensor"
)
ROUNDING = {torch.float32: 1e-6, torch.float64: 1e-12}
"""Relative to the largest element: the sums of a backward are taken in another order."""


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.middle = nn.Embedding(7, 4), nn.Linear(4, 4)
        self.head = nn.Linear(4, 7, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(torch.tanh(self.middle(self.embedding(tokens))))


class Two(nn.Module):
    """Two layers; subclasses say what happens between them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Any:
        return self.second(F.gelu(self.first(x)))


class WithoutGradient(Two):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            fixed = self.first(x)
        return self.second(F.gelu(self.first(x)) + fixed)


class Frozen(Two):
    def __init__(self) -> None:
        super().__init__()
        self.first.weight.requires_grad_(False)


class Broken(Two):
    def forward(self, x: Tensor) -> Tensor:
        hidden = F.gelu(self.first(x))
        torch._dynamo.graph_break()
        return self.second(hidden)


class Several(Two):
    """Outputs that overlap, one that is an input, one without a gradient."""

    def forward(self, x: Tensor) -> Any:
        y = self.second(self.first(x))
        return y, y, y.reshape(-1), x, y.argmax(-1)


class BatchNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.layer(x)))


class OnlineNorm(Two):
    def __init__(self) -> None:
        super().__init__()
        self.norm = weft.nn.OnlineNorm(5)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(F.relu(self.norm(self.first(x))))


def _encoder() -> nn.Module:
    return nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)


def _tokens(count: int, size: int) -> Tensor:
    return torch.randint(0, size, (2, count))


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "two layers": (Two, lambda: torch.randn(3, 4)),
    "branches": (Branches, lambda: torch.randn(2, 2, 8, 8)),
    "attention": (Attention, lambda: _tokens(6, 11)),
    "transposed": (Transposed, lambda: torch.randn(2, 5, 3)),
    "encoder layer": (_encoder, lambda: torch.randn(2, 5, 8)),
    "tied weights": (Tied, lambda: _tokens(3, 7)),
    "no_grad inside": (WithoutGradient, lambda: torch.randn(2, 4)),
    "frozen": (Frozen, lambda: torch.randn(2, 4)),
    "graph break": (Broken, lambda: torch.randn(2, 4)),
    "several outputs": (Several, lambda: torch.randn(2, 4)),
    "batch norm": (BatchNorm, lambda: torch.randn(4, 2, 6, 6)),
    "online norm": (OnlineNorm, lambda: torch.randn(1, 4)),
}


def _outputs(result: Any) -> list[Tensor]:
    return [result] if isinstance(result, Tensor) else list(result)


def _assert_close(got: Tensor | None, expected: Tensor | None, dtype: torch.dtype) -> None:
    assert (got is None) == (expected is None)
    if got is not None and expected is not None:
        scale = float(expected.detach().abs().max()) if expected.numel() else 0.0
        torch.testing.assert_close(got, expected, rtol=0, atol=ROUNDING[dtype] * max(scale, 1.0))


def _step(model: nn.Module, x: Tensor, weights: list[Tensor]) -> tuple[list[Tensor], Tensor | None]:
    """Outputs, and the gradient of the input, of a loss that weighs every output differently."""
    x = x.clone().requires_grad_(x.is_floating_point())
    outputs = _outputs(model(x))
    graded = [(y, w) for y, w in zip(outputs, weights, strict=False) if y.requires_grad]
    torch.stack([(y * w).sum() for y, w in graded]).sum().backward()
    return outputs, x.grad


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("name", MODELS)
def test_outputs_gradients_and_buffers_are_those_of_eager(name: str, dtype: torch.dtype) -> None:
    make, sample = MODELS[name]
    eager = make().to(dtype)
    stages = copy.deepcopy(eager)
    compiled = torch.compile(stages, backend="weft")
    x = sample()
    x = x.to(dtype) if x.is_floating_point() else x
    weights = [torch.randn_like(y.to(dtype)) for y in _outputs(copy.deepcopy(eager)(x))]
    for _ in range(2):
        expected, expected_gradient = _step(eager, x, weights)
        got, gradient = _step(compiled, x, weights)
        for value, other in zip(got, expected, strict=True):
            assert value.requires_grad == other.requires_grad
            _assert_close(value, other, dtype)
        _assert_close(gradient, expected_gradient, dtype)
    for (_, own), (_, other) in zip(
        stages.named_parameters(), eager.named_parameters(), strict=True
    ):
        _assert_close(own.grad, other.grad, dtype)
    for own, other in zip(stages.buffers(), eager.buffers(), strict=True):
        _assert_close(own, other, dtype)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW])
def test_a_training_loop_with_its_own_loss_and_optimizer(optimizer: type) -> None:
    eager = Branches().double()
    stages = copy.deepcopy(eager)
    for model, own in ((eager, eager), (torch.compile(stages, backend="weft"), stages)):
        torch.manual_seed(1)
        steps = optimizer(own.parameters(), lr=0.01)
        for batch in (4, 4, 3):  # the last batch is smaller, as it is
            x, target = torch.randn(batch, 2, 8, 8).double(), torch.randint(0, 5, (batch,))
            steps.zero_grad()
            F.cross_entropy(model(x), target).backward()
            steps.step()
    for own, other in zip(stages.parameters(), eager.parameters(), strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=1e-10)  # AdamW divides by tiny roots


def test_inference_without_gradients_has_no_plan() -> None:
    model = Two().eval()
    compiled = torch.compile(model, backend="weft")
    x = torch.randn(2, 4)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            torch.testing.assert_close(compiled(x), model(x))
    assert weft.plans_of(compiled) == ()
    with pytest.raises(UserError, match="run with gradients"):
        weft.plan_of(compiled)


def test_the_plan_is_sound_survives_the_disk_and_has_the_weights_of_now(tmp_path: Any) -> None:
    model = Two()
    compiled = torch.compile(model, backend="weft", options={"target": "tiny_mesh"})
    compiled(torch.randn(1, 4)).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    plan = weft.load(weft.plan_of(compiled).save(tmp_path / "p"))
    assert plan.document.model == "Two"
    assert [stage.id for stage in plan.document.stages] == ["s00:first", "s01:second", "s02:loss"]
    assert check(plan.document, programs=plan.programs) == ()
    for name, value in model.named_parameters():
        assert torch.equal(plan.tensors[name], value)
    assert weft.simulate(plan, samples=5).throughput_samples_per_s > 0
    sources = {stage.source.partition(":")[0] for stage in plan.document.stages[:2]}
    assert sources == {"runtime/torch_compile/test_backend.py"}


def test_a_model_of_several_graphs_has_several_plans() -> None:
    compiled = torch.compile(Broken(), backend="weft", options={"target": "tiny_mesh"})
    compiled(torch.randn(2, 4)).sum().backward()
    with pytest.raises(UserError, match="plans_of"):
        weft.plan_of(compiled)
    plans = weft.plans_of(compiled)
    assert [plan.document.model for plan in plans] == ["Broken.0", "Broken.1"]
    owned = [record.name for plan in plans for record in plan.document.parameters]
    assert sorted(owned) == ["first.bias", "first.weight", "second.bias", "second.weight"]


def test_what_does_not_fit_still_trains_and_the_plan_says_why() -> None:
    model = nn.Linear(500, 700)
    compiled = torch.compile(model, backend="weft", options={"target": "tiny_mesh"})
    compiled(torch.randn(64, 500)).sum().backward()
    assert model.weight.grad is not None
    with pytest.raises(InfeasibleError, match="tiny_mesh"):
        weft.plan_of(compiled)


def test_dropout_draws_its_own_masks() -> None:
    compiled = torch.compile(nn.Dropout(0.25), backend="weft")
    first, second = (compiled(torch.ones(200, 50)) for _ in range(2))
    assert first.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert 0.2 < float((first == 0).float().mean()) < 0.3
    assert not torch.equal(first, second)


class ChangesItsInput(Two):
    def forward(self, x: Tensor) -> Tensor:
        x.add_(1)
        return super().forward(x)


class GivesAConstant(Two):
    def forward(self, x: Tensor) -> Any:
        return super().forward(x), self.first.weight.square().sum()


@pytest.mark.parametrize(
    ("model", "said"),
    [(ChangesItsInput, "changed in place"), (GivesAConstant, "weights and constants alone")],
)
def test_what_is_unsupported_is_refused_as_it_is(model: type[nn.Module], said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        torch.compile(model(), backend="weft")(torch.randn(2, 4))


def test_autocast_is_refused() -> None:
    compiled = torch.compile(Two(), backend="weft")
    with torch.autocast("cpu"), pytest.raises(UnsupportedError, match="autocast"):
        compiled(torch.randn(2, 4))


def test_an_unknown_option_is_refused() -> None:
    compiled = torch.compile(Two(), backend="weft", options={"targt": "wse2"})
    with pytest.raises(UserError, match="did you mean 'target'"):
        compiled(torch.randn(2, 4))


def test_a_second_derivative_is_refused() -> None:
    x = torch.randn(2, 4, requires_grad=True)
    y = torch.compile(Two(), backend="weft")(x).square().sum()
    (gradient,) = torch.autograd.grad(y, x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_the_backend_is_registered_without_importing_weft() -> None:
    code = "import torch; assert 'weft' in torch._dynamo.list_backends(None)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_graph_without_outputs_runs_as_it_is() -> None:
    """What dynamo leaves between two breaks may be empty, or change a buffer and nothing else."""

    class Counting(nn.Module):
        def forward(self, count: torch.Tensor) -> tuple[()]:
            count.add_(1)
            return ()

    count = torch.zeros(())
    assert CompiledGraph(torch.fx.symbolic_trace(Counting()), {})(count) == ()
    assert count == 1
