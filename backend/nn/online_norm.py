"""`OnlineNorm`: normalization for one sample at a time (Chiley et al., NeurIPS 2019)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._compile import _disable_dynamo

from ..errors import UserError
from ..ops import online_norm

ErrorCompensation = Literal["clamp", "layer_scale"]
_STATE = ("mean", "var", "u", "v")
_LAYER_SCALE_EPS = 1e-5


class OnlineNorm(nn.Module):
    """Normalise (N, C) or (N, C, *spatial) per channel with streaming statistics.

    Order: normalise, weight and bias (`affine`), error compensation (`ecm`): "clamp" to
    [-clamp, clamp], "layer_scale" by the root mean square over all features of the sample, or
    None. Evaluation uses the stored statistics.

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
    ) -> None:
        super().__init__()
        _check_options(num_features, alpha_fwd, alpha_bkw, ecm, clamp)
        self.num_features, self.eps = num_features, eps
        self.alpha_fwd, self.alpha_bkw = alpha_fwd, alpha_bkw
        self.ecm, self.clamp = ecm, clamp
        self.weight = nn.Parameter(torch.ones(num_features)) if affine else None
        self.bias = nn.Parameter(torch.zeros(num_features)) if affine else None
        for name in _STATE:
            start = torch.ones if name == "var" else torch.zeros
            self.register_buffer(name, start(num_features, dtype=torch.float32))
        self._before: tuple[Tensor, Tensor] | None = None

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
            y = self._normalise_stored(x)
        elif torch.compiler.is_dynamo_compiling():
            y = self._normalise_outside_dynamo(x)
        else:
            y = self._normalise_streaming(x)
        return self._compensate(self._affine(y))

    def extra_repr(self) -> str:
        """Options as in the constructor."""
        return (
            f"{self.num_features}, alpha_fwd={self.alpha_fwd}, alpha_bkw={self.alpha_bkw}, "
            f"eps={self.eps}, affine={self.weight is not None}, ecm={self.ecm!r}"
        )

    def reset_state(self) -> None:
        """Statistics and control state as at construction: mean, u, v = 0 and var = 1."""
        with torch.no_grad():
            for name in _STATE:
                getattr(self, name).fill_(1.0 if name == "var" else 0.0)

    def _normalise_streaming(self, x: Tensor) -> Tensor:
        exporting = torch.compiler.is_exporting()
        if not exporting and _inside_backward():
            return self._recompute(x)
        if not exporting:
            self._before = (self.mean.clone(), self.var.clone())
        y, new_mean, new_var = self._normalise(x, self.mean, self.var)
        if not exporting:
            self._store_control_after_backward(y)
        with torch.no_grad():
            self.mean.copy_(new_mean)
            self.var.copy_(new_var)
        return y

    # A graph of dynamo's would lose the hook that writes u and v, without a word.
    _normalise_outside_dynamo = _disable_dynamo(_normalise_streaming)

    def _normalise(self, x: Tensor, mean: Tensor, var: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        u, v = self.u.detach().requires_grad_(), self.v.detach().requires_grad_()
        y, _, new_mean, new_var = online_norm(
            x, mean, var, u, v, self.alpha_fwd, self.alpha_bkw, self.eps
        )
        return y, new_mean, new_var

    def _recompute(self, x: Tensor) -> Tensor:
        """The latest forward once more: its statistics, no new state."""
        before = self._before
        if before is not None:
            y, new_mean, _ = self._normalise(x, *before)
            if torch.allclose(new_mean, self.mean, rtol=1e-5, atol=1e-7):
                self._store_control_after_backward(y)
                return y
        raise UserError(
            f"OnlineNorm({self.num_features}): recomputation in a backward pass",
            expected="the recomputation of this module's latest forward",
            got="another input: forwards of other samples came between, or it is not repeatable",
            change="run the backward of each forward before the next forward, or keep this "
            "module outside the checkpointed region",
        )

    def _store_control_after_backward(self, y: Tensor) -> None:
        if y.grad_fn is None:
            return
        # The buffers of this very call: under `functional_call` they are not the module's own.
        buffers = (self.u, self.v)

        def store(grad_inputs: Sequence[Tensor | None], _: Sequence[Tensor | None]) -> None:
            for buffer, new in zip(buffers, grad_inputs[3:5], strict=True):
                if new is not None:
                    buffer.detach().copy_(new.detach())

        y.grad_fn.register_hook(store)

    def _normalise_stored(self, x: Tensor) -> Tensor:
        mean, scale = _channels(self.mean, x), _channels((self.var + self.eps).sqrt(), x)
        return ((x - mean) / scale).to(x.dtype)

    def _affine(self, y: Tensor) -> Tensor:
        if self.weight is None or self.bias is None:
            return y
        weight, bias = self.weight, self.bias
        if weight.dtype != y.dtype:
            weight, bias = weight.to(y.dtype), bias.to(y.dtype)
        return y * _channels(weight, y) + _channels(bias, y)

    def _compensate(self, y: Tensor) -> Tensor:
        if self.ecm == "clamp":
            return F.hardtanh(y, -self.clamp, self.clamp)
        if self.ecm == "layer_scale":
            power = y.square().mean(tuple(range(1, y.dim())), keepdim=True)
            return y / (power + _LAYER_SCALE_EPS).sqrt()
        return y

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        former = {name: getattr(self, name) for name in _STATE}
        super()._apply(fn, recurse)
        for name, state in former.items():
            new = getattr(self, name)
            if new.dtype in (torch.float16, torch.bfloat16):
                # 1 - alpha rounds away in half precision: take the device, not the dtype.
                setattr(self, name, state.to(new.device))
        return self


def _channels(per_channel: Tensor, like: Tensor) -> Tensor:
    return per_channel.view(-1, *([1] * (like.dim() - 2)))


def _inside_backward() -> bool:
    # The graph task of the running backward, as `torch.utils.checkpoint` itself asks for it.
    return torch._C._current_graph_task_id() != -1


def _check_options(
    num_features: int, alpha_fwd: float, alpha_bkw: float, ecm: str | None, clamp: float
) -> None:
    wrong = {
        "num_features": (num_features >= 1, "a whole number >= 1", num_features),
        "alpha_fwd": (0 <= alpha_fwd < 1, "a decay in [0, 1)", alpha_fwd),
        "alpha_bkw": (0 <= alpha_bkw < 1, "a decay in [0, 1)", alpha_bkw),
        "ecm": (ecm in ("clamp", "layer_scale", None), "'clamp', 'layer_scale' or None", ecm),
        "clamp": (clamp > 0, "a bound > 0", clamp),
    }
    for option, (valid, expected, got) in wrong.items():
        if not valid:
            raise UserError(
                f"OnlineNorm: {option}", expected=expected, got=repr(got), change=f"set {option}"
            )
