"""`OnlineNorm`: state in training and evaluation, error compensation, recomputation, capture."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils.checkpoint import checkpoint
from weft.backend.errors import UserError
from weft.nn import OnlineNorm


def plain(**options: object) -> OnlineNorm:
    return OnlineNorm(4, affine=False, ecm=None, **options)


def state_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_the_four_states_are_saved_and_advance_where_they_should() -> None:
    norm = OnlineNorm(4)
    assert [*norm.state_dict()] == ["weight", "bias", "mean", "var", "u", "v"]
    y = norm(torch.randn(2, 4, 3, 3) + 1)
    assert (norm.mean != 0).all()
    assert (norm.u == 0).all()
    y.square().sum().backward()
    assert (norm.u != 0).all()
    assert (norm.v != 0).all()


def test_control_state_advances_under_autograd_grad_too() -> None:
    torch.manual_seed(0)
    one, other = nn.Linear(4, 4), plain()
    x = torch.randn(3, 4)
    torch.autograd.grad(other(one(x)).pow(3).sum(), [*one.parameters()])
    assert (other.u != 0).all()


def test_a_functional_call_advances_the_state_it_was_given() -> None:
    torch.manual_seed(0)
    norm, state = plain(), state_of(plain())
    y = torch.func.functional_call(norm, state, (torch.randn(2, 4, 3, requires_grad=True),))
    y.pow(3).sum().backward()
    assert all((value != getattr(norm, name)).all() for name, value in state.items())
    assert all(
        torch.equal(value, state_of(plain())[name]) for name, value in state_of(norm).items()
    )


def test_evaluation_uses_stored_statistics_and_changes_nothing() -> None:
    torch.manual_seed(0)
    norm = plain(alpha_fwd=0.5)
    for _ in range(5):
        norm(torch.randn(2, 4, 3) * 2 + 3)
    before = state_of(norm.eval())
    x = torch.randn(6, 4, 3, requires_grad=True)
    y = norm(x)
    y.sum().backward()
    spread = (norm.var + norm.eps).sqrt()
    expected = (x - norm.mean.view(4, 1)) / spread.view(4, 1)
    torch.testing.assert_close(y, expected)
    assert all(torch.equal(before[name], value) for name, value in norm.state_dict().items())


def test_affine_comes_before_the_clamp() -> None:
    norm = OnlineNorm(1, clamp=5.0)
    nn.init.constant_(norm.weight, 10.0)
    nn.init.constant_(norm.bias, 1.0)
    x = torch.tensor([[0.3], [2.0], [-2.0]], requires_grad=True)
    y = norm.eval()(x)
    torch.testing.assert_close(y, torch.tensor([[4.0], [5.0], [-5.0]]), rtol=1e-4, atol=1e-4)
    y.sum().backward()
    assert x.grad is not None
    assert (x.grad[1:] == 0).all()
    assert x.grad[0] > 9


def test_the_gradient_is_zero_exactly_at_the_clamp() -> None:
    norm = plain(eps=0.0)
    norm.ecm = "clamp"
    x = torch.tensor([[5.0, -5.0, 4.9, 0.0]], requires_grad=True)
    norm.eval()(x).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0.0, 0.0, 1.0, 1.0]]


def test_layer_scale_forward_and_backward_formulas() -> None:
    torch.manual_seed(0)
    norm = OnlineNorm(4, affine=False, ecm="layer_scale").double().eval()
    y = (3 * torch.randn(2, 4, 3, 3, dtype=torch.float64)).requires_grad_()
    z, dz = norm(y), torch.randn(2, 4, 3, 3, dtype=torch.float64)
    (dy,) = torch.autograd.grad(z, y, dz)
    normal = y / (1 + norm.eps) ** 0.5
    r = (normal.square().mean((1, 2, 3), keepdim=True) + 1e-5).sqrt()
    torch.testing.assert_close(z, normal / r)
    expected = (dz - z * (dz * z).mean((1, 2, 3), keepdim=True)) / r / (1 + norm.eps) ** 0.5
    torch.testing.assert_close(dy, expected)


@pytest.mark.parametrize("shape", [(2, 6), (2, 6, 3, 3)], ids=str)
@pytest.mark.parametrize("group_size", [1, 2, 3, 6, None])
def test_layer_scale_by_groups_of_channels(group_size: int | None, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    norm = OnlineNorm(6, affine=False, ecm="layer_scale", group_size=group_size, eps=0.0)
    x = 3 * torch.randn(shape)
    z = norm.eval()(x)
    size = group_size or 6
    for n in range(2):
        for start in range(0, 6, size):
            part = x[n, start : start + size]
            expected = part / (part.square().mean() + 1e-5).sqrt()
            torch.testing.assert_close(z[n, start : start + size], expected)


def test_layer_scale_does_not_overflow_in_half_precision() -> None:
    norm = OnlineNorm(4, ecm="layer_scale").eval()
    x = torch.full((1, 4, 3), 1000.0, dtype=torch.float16)
    torch.testing.assert_close(norm(x), torch.ones_like(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_casting_the_module_keeps_the_state_float32(dtype: torch.dtype) -> None:
    norm = OnlineNorm(4)
    norm.mean.fill_(1 / 3)
    norm.to(dtype)
    assert norm.weight is not None
    assert norm.weight.dtype == dtype
    assert norm.mean.dtype == norm.u.dtype == torch.float32
    assert torch.equal(norm.mean, torch.full((4,), 1 / 3))
    x = torch.randn(2, 4, 3, dtype=dtype, requires_grad=True)
    y = norm(x)
    y.sum().backward()
    assert x.grad is not None
    assert y.dtype == x.grad.dtype == dtype
    assert norm.double().mean.dtype == torch.float64


@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpointing_advances_state_once(reentrant: bool) -> None:
    torch.manual_seed(0)
    direct = nn.Sequential(
        nn.Linear(4, 4), OnlineNorm(4), nn.Tanh(), nn.Linear(4, 4), OnlineNorm(4)
    )
    saving = copy.deepcopy(direct)
    for _ in range(4):
        x = torch.randn(3, 4, requires_grad=True)
        again = x.detach().clone().requires_grad_()
        direct(x).pow(3).sum().backward()
        checkpoint(saving, again, use_reentrant=reentrant).pow(3).sum().backward()
        assert x.grad is not None
        assert again.grad is not None
        assert torch.equal(x.grad, again.grad)
        for name, value in direct.state_dict().items():
            assert torch.equal(value, saving.state_dict()[name]), name


def test_recomputing_an_earlier_forward_is_refused() -> None:
    torch.manual_seed(0)
    norm = OnlineNorm(4)
    x = torch.randn(3, 4, requires_grad=True)
    first = checkpoint(norm, x, use_reentrant=False)
    norm(torch.randn(3, 4))
    with pytest.raises(UserError, match="recomputation"):
        first.sum().backward()


@pytest.mark.parametrize("move", [lambda m: m, lambda m: m.to("meta")], ids=["cpu", "meta"])
def test_capture_shows_one_node_and_two_buffer_mutations(
    move: Callable[[nn.Module], nn.Module],
) -> None:
    model = move(nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), OnlineNorm(4), nn.ReLU()).train())
    x = torch.randn(1, 3, 6, 6, device=model[0].weight.device)
    program = torch.export.export(model, (x,), strict=False).run_decompositions()
    nodes = [n for n in program.graph.nodes if n.target is torch.ops.weft.online_norm.default]
    assert len(nodes) == 1
    signature = program.graph_signature
    assert sorted(signature.buffers_to_mutate.values()) == ["1.mean", "1.var"]
    names = [signature.inputs_to_buffers[_source(arg)] for arg in nodes[0].args[1:5]]
    assert names == ["1.mean", "1.var", "1.u", "1.v"]
    assert model[1].mean.is_meta or (model[1].mean == 0).all()


def _source(node: torch.fx.Node) -> str:
    while node.op == "call_function":
        assert node.target in (torch.ops.aten.alias.default, torch.ops.aten.detach.default)
        node = node.args[0]
    return node.name


def test_joint_graph_is_functional_and_holds_both_operators() -> None:
    def joint(x: Tensor, mean: Tensor, var: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, ...]:
        x, u, v = (value.detach().requires_grad_() for value in (x, u, v))
        y, _, *state = torch.ops.weft.online_norm(x, mean, var, u, v, 0.9, 0.9, 1e-5)
        return (*state, *torch.autograd.grad(y.square().sum(), [x, u, v]))

    arguments = torch.randn(1, 4, 3), *(torch.rand(4) for _ in range(4))
    graph = make_fx(joint, tracing_mode="fake")(*arguments)
    targets = [node.target for node in graph.graph.nodes if node.op == "call_function"]
    assert targets.count(torch.ops.weft.online_norm.default) == 1
    assert targets.count(torch.ops.weft.online_norm_backward.default) == 1
    assert not any(getattr(t, "_schema", None) and t._schema.is_mutable for t in targets)
    for ours, theirs in zip(graph(*arguments), joint(*arguments), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize(
    "options",
    [
        {"alpha_fwd": 1.0},
        {"alpha_bkw": -0.1},
        {"ecm": "clip"},
        {"clamp": 0.0},
        {"group_size": 2},
        {"group_size": 3, "ecm": "layer_scale"},
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UserError, match=next(iter(options))):
        OnlineNorm(4, **options)


@pytest.mark.parametrize("shape", [(4,), (2, 5), (2, 3, 4)], ids=str)
def test_inputs_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match="num_features"):
        OnlineNorm(4)(torch.randn(shape))


@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor")  # dynamo's own doing
def test_torch_compile_advances_all_four_states() -> None:
    torch.manual_seed(0)
    direct = nn.Sequential(nn.Linear(4, 4), OnlineNorm(4), nn.Linear(4, 3))
    wrapped = copy.deepcopy(direct)
    compiled = torch.compile(wrapped, backend="aot_eager")
    for _ in range(2):
        x = torch.randn(2, 4)
        direct(x).square().sum().backward()
        compiled(x).square().sum().backward()
    for name, value in state_of(direct).items():
        torch.testing.assert_close(wrapped.state_dict()[name], value, msg=name)
