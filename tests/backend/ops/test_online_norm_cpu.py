"""The compiled kernels of Online Normalization on torch tensors: float32 and float64, CPU."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from weft.backend.ops import online_norm_cpu
from weft.nn import OnlineNorm


def train(norm: nn.Module, shape: tuple[int, ...], dtype: torch.dtype) -> list[Tensor]:
    """Outputs, gradients and the final state of 20 training steps."""
    generator = torch.Generator().manual_seed(1)
    kept = []
    for _ in range(20):
        x = (3 * torch.randn(shape, generator=generator, dtype=dtype) + 1).requires_grad_()
        y = norm(x)
        y.backward(torch.randn(shape, generator=generator, dtype=dtype))
        kept += [y.detach(), x.grad]
    return [*kept, *(p.grad for p in norm.parameters()), *norm.state_dict().values()]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-4)])
@pytest.mark.parametrize(
    "shape", [(1, 4), (7, 4), (1, 4, 6, 5), (3, 4, 5), (1, 4, 50, 50)], ids=str
)
@pytest.mark.parametrize("ecm", ["clamp", "layer_scale", None])
@pytest.mark.parametrize("affine", [True, False])
def test_compiled_path_equals_the_operators(
    monkeypatch: pytest.MonkeyPatch,
    affine: bool,
    ecm: str | None,
    shape: tuple[int, ...],
    dtype: torch.dtype,
    tolerance: float,
) -> None:
    torch.manual_seed(0)
    norm = OnlineNorm(4, 0.9, 0.8, affine=affine, ecm=ecm, clamp=1.5).to(dtype)
    for parameter in norm.parameters():
        nn.init.normal_(parameter)
    other = copy.deepcopy(norm)
    compiled = train(norm, shape, dtype)
    monkeypatch.setattr(online_norm_cpu, "takes", lambda *_: False)
    for ours, theirs in zip(compiled, train(other, shape, dtype), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def test_the_compiled_path_is_taken_and_refused_where_it_should() -> None:
    norm = OnlineNorm(4)
    x = torch.randn(1, 4, 3, 3, requires_grad=True)
    assert "NormaliseTransform" in type(norm(x).grad_fn).__name__
    assert "Hardtanh" in type(norm(x.to(torch.bfloat16)).grad_fn).__name__
    assert "Hardtanh" in type(norm(x.double()).grad_fn).__name__  # state is float32
    assert not online_norm_cpu.takes(x, norm.mean[::2])
    with torch.utils.flop_counter.FlopCounterMode(display=False):
        assert not online_norm_cpu.takes(x, norm.mean)
