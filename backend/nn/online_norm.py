"""`OnlineNorm`: normalization for one sample at a time (Chiley et al., NeurIPS 2019)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._compile import _disable_dynamo

from ..errors import UserError
from ..ops import online_norm, online_norm_cpu
from ..ops.scan import moving_average
from .state import StreamingState, as_dtype, inside_backward, is_replayed, per_channel

ErrorCompensation = Literal["clamp", "layer_scale"]
_State = tuple[Tensor, Tensor, Tensor, Tensor]
_LAYER_SCALE_EPS = 1e-5


class OnlineNorm(StreamingState):
    """Normalise (N, C) or (N, C, *spatial) per channel with streaming statistics.

    Order: normalise, weight and bias (`affine`), error compensation (`ecm`): "clamp" to
    [-clamp, clamp], "layer_scale" by the root mean square over a sample's features (all of them,
    or groups of `group_size` channels), or None. Evaluation uses the stored statistics.

    Buffers mean, var advance once per sample in a training forward; u, v advance when the backward
    runs, in the order of the backward passes. They keep float32 when the module is cast to a
    half-precision dtype. Under `torch.export` mean and var are buffer mutations and nothing is
    written to u and v: the operator's gradient gives their new values. `torch.compile` leaves the
    training forward to eager torch.

    Activation checkpointing: a training forward that runs inside a backward pass is taken for the
    recomputation of this module's latest forward; it repeats that forward with the statistics it
    had and advances nothing. Recomputing any earlier forward raises `UserError`, since its
    statistics are gone. `torch.no_grad()` alone does not stop mean and var from advancing; `eval()`
    does.

    Raises `UserError` for options out of range and inputs of another shape.
    """

    state_names = ("mean", "var", "u", "v")
    mean: Tensor
    var: Tensor
    u: Tensor
    v: Tensor

    def __init__(
        self,
        num_features: int,
        alpha_fwd: float = 0.999,
        alpha_bkw: float = 0.99,
        eps: float = 1e-5,
        affine: bool = True,
        ecm: ErrorCompensation | None = "clamp",
        clamp: float = 5.0,
        group_size: int | None = None,
    ) -> None:
        super().__init__()
        self.num_features, self.eps = num_features, eps
        self.alpha_fwd, self.alpha_bkw = alpha_fwd, alpha_bkw
        self.ecm, self.clamp, self.group_size = ecm, clamp, group_size
        _check_options(self)
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        self.add_state(num_features)
        self._before: list[Tensor] = []  # mean and var before the latest forward

    def forward(self, x: Tensor) -> Tensor:
        """Same shape and dtype as x, (N, C) or (N, C, *spatial)."""
        if x.dim() < 2 or x.shape[1] != self.num_features:
            raise UserError(
                f"OnlineNorm({self.num_features})",
                expected=f"an input of shape (N, {self.num_features}) or "
                f"(N, {self.num_features}, *spatial)",
                got=f"shape {tuple(x.shape)}",
                change="match num_features to the channels (dimension 1) of the input",
            )
        if not self.training:
            return self._compensate(self._affine(self._normalise_stored(x)))
        if torch.compiler.is_dynamo_compiling():
            return self._train_outside_dynamo(x)
        return self._train(x)

    def extra_repr(self) -> str:
        """Options as in the constructor."""
        return (
            f"{self.num_features}, alpha_fwd={self.alpha_fwd}, alpha_bkw={self.alpha_bkw}, "
            f"eps={self.eps}, affine={self.weight is not None}, ecm={self.ecm!r}"
        )

    def _train(self, x: Tensor) -> Tensor:
        state = self._state()
        if torch.compiler.is_exporting():
            return self._advance(x, state)
        if is_replayed():
            return self._advance(x, state)
        if inside_backward():
            return self._recompute(x, state)
        self._before[:] = state[0].clone(), state[1].clone()
        return self._advance(x, state)

    # A graph of dynamo's would lose the hook that writes u and v, without a word.
    _train_outside_dynamo = _disable_dynamo(_train)

    def _state(self) -> _State:
        # Each attribute of a module costs a microsecond, as much as normalising a thousand values.
        buffers: dict[str, Any] = self._buffers
        return buffers["mean"], buffers["var"], buffers["u"], buffers["v"]

    def _advance(self, x: Tensor, state: _State) -> Tensor:
        """The output; advances mean and var in place, and u and v once the backward runs."""
        affine = self.weight, self.bias
        if torch.compiler.is_exporting() or not online_norm_cpu.takes(x, *state, *affine):
            return self._compensate(self._affine(self._normalise(x, state)))
        bound = self.clamp if self.ecm == "clamp" else math.inf
        alphas = self.alpha_fwd, self.alpha_bkw
        z = online_norm_cpu.normalise_transform(x, state, affine, alphas, self.eps, bound)
        return z if self.ecm == "clamp" else self._compensate(z)

    def _normalise(self, x: Tensor, state: _State) -> Tensor:
        mean, var, *control = state
        is_exporting = torch.compiler.is_exporting()  # u and v then get no gradient here
        u, v = control if is_exporting else (c.detach().requires_grad_() for c in control)
        y, _, new_mean, new_var = online_norm(
            x, mean, var, u, v, self.alpha_fwd, self.alpha_bkw, self.eps
        )
        if not is_exporting and y.grad_fn is not None:
            _store_control_after_backward(y.grad_fn, control)
        mean.copy_(new_mean)
        var.copy_(new_var)
        return y

    def _recompute(self, x: Tensor, state: _State) -> Tensor:
        """The latest forward once more: its statistics, no new state."""
        if self._before and self._leads_to(state[0], x, self._before[0]):
            mean, var = (value.clone() for value in self._before)
            return self._advance(x, (mean, var, *state[2:]))
        raise UserError(
            f"OnlineNorm({self.num_features}): recomputation in a backward pass",
            expected="the recomputation of this module's latest forward",
            got="another input: forwards of other samples came between, or it is not repeatable",
            change="run the backward of each forward before the next forward, or keep this "
            "module outside the checkpointed region",
        )

    def _leads_to(self, mean: Tensor, x: Tensor, before: Tensor) -> bool:
        averages = x.detach().to(mean.dtype).reshape(*x.shape[:2], -1).mean(2)
        _, after = moving_average(averages, before, self.alpha_fwd)
        return torch.allclose(after, mean, rtol=1e-5, atol=1e-7)

    def _normalise_stored(self, x: Tensor) -> Tensor:
        mean, scale = per_channel(self.mean, x), per_channel((self.var + self.eps).sqrt(), x)
        return ((x - mean) / scale).to(x.dtype)

    def _affine(self, y: Tensor) -> Tensor:
        if self.weight is None or self.bias is None:
            return y
        weight, bias = as_dtype(self.weight, y.dtype), as_dtype(self.bias, y.dtype)
        return y * per_channel(weight, y) + per_channel(bias, y)

    def _compensate(self, y: Tensor) -> Tensor:
        if self.ecm == "clamp":
            return F.hardtanh(y, -self.clamp, self.clamp)
        if self.ecm == "layer_scale":
            return _layer_scale(y, self.group_size or self.num_features)
        return y


def _store_control_after_backward(node: torch.autograd.graph.Node, control: list[Tensor]) -> None:
    """Write the "gradients" of u and v to the buffers of this very call.

    Under `functional_call` those are not the module's own.
    """

    def store(grad_inputs: Sequence[Tensor | None], _: Sequence[Tensor | None]) -> None:
        for buffer, new in zip(control, grad_inputs[3:5], strict=True):
            if new is not None:
                buffer.detach().copy_(new.detach())

    node.register_hook(store)


def _layer_scale(y: Tensor, group_size: int) -> Tensor:
    """Divide by the root mean square over `group_size` channels and all of space, in float32+."""
    wide = y.reshape(y.shape[0], -1, group_size, *y.shape[2:])
    wide = as_dtype(wide, torch.promote_types(y.dtype, torch.float32))
    power = wide.square().mean(tuple(range(2, wide.dim())), keepdim=True)
    return as_dtype((wide / (power + _LAYER_SCALE_EPS).sqrt()).reshape(y.shape), y.dtype)


def _check_options(norm: OnlineNorm) -> None:
    size, channels = norm.group_size, norm.num_features
    grouped = size is None or (norm.ecm == "layer_scale" and size >= 1 and channels % size == 0)
    valid = {
        "num_features": (channels >= 1, "a whole number >= 1"),
        "alpha_fwd": (0 <= norm.alpha_fwd < 1, "a decay in [0, 1)"),
        "alpha_bkw": (0 <= norm.alpha_bkw < 1, "a decay in [0, 1)"),
        "ecm": (norm.ecm in ("clamp", "layer_scale", None), "'clamp', 'layer_scale' or None"),
        "clamp": (norm.clamp > 0, "a bound > 0"),
        "group_size": (grouped, f"with ecm='layer_scale', a divisor of {channels} channels"),
    }
    for option, (holds, expected) in valid.items():
        if not holds:
            raise UserError(
                f"OnlineNorm: {option}",
                expected=expected,
                got=repr(getattr(norm, option)),
                change=f"set {option}",
            )
