"""A feed-forward layer: down(activation(up x)), or down(activation(gate x) * up x)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import UserError

_GATED = (("gate_proj", "up_proj", "down_proj"), ("w1", "w3", "w2"), ("gate", "up", "down"))
_PLAIN = (
    ("c_fc", "c_proj"),
    ("fc1", "fc2"),
    ("up_proj", "down_proj"),
    ("up", "down"),
    ("dense_h_to_4h", "dense_4h_to_h"),
    ("linear1", "linear2"),
    ("w1", "w2"),
)
Affine = Callable[[Tensor, Tensor, Tensor | None], Tensor]

_ACTIVATIONS = ("act_fn", "act", "activation", "activation_fn", "act_func")


@dataclass(frozen=True)
class FeedForward:
    """Weights (hidden, width), and `down` (width, hidden); biases (hidden,) and (width,), or None.

    Stacked, all have a first axis of experts.
    `dropout` is the module's own, on its output.
    """

    up: Tensor
    down: Tensor
    activation: Callable[[Tensor], Tensor]
    gate: Tensor | None = None
    up_bias: Tensor | None = None
    gate_bias: Tensor | None = None
    down_bias: Tensor | None = None
    dropout: float = 0.0

    @property
    def width(self) -> int:
        """Features in and out."""
        return self.up.shape[1]

    @property
    def hidden(self) -> int:
        """Hidden units."""
        return self.up.shape[0]

    def __call__(self, x: Tensor, affine: Affine = F.linear) -> Tensor:
        """(*, width) to (*, width), without dropout; `affine` multiplies (*, in) with a weight and
        adds a bias, if there is one."""
        hidden = affine(x, self.up, self.up_bias)
        if self.gate is None:
            hidden = self.activation(hidden)
        else:
            hidden = self.activation(affine(x, self.gate, self.gate_bias)) * hidden
        return affine(hidden, self.down, self.down_bias)


def feed_forward(name: str, module: nn.Module) -> FeedForward:
    """The weights of a feed-forward module by the names that libraries give them, or of a
    sequence linear, activation, linear; held against a small copy of the module on an input.

    Raises `UserError` for a module that computes anything else.
    """
    with torch.device("cpu"):  # what is made to look, whatever the caller's default is
        for found in _candidates(module):
            if _is_what_it_computes(found, module):
                return found
    raise UserError(
        f"upcycling of module '{name}'",
        expected="down(activation(up x)), or down(activation(gate x) * up x)",
        got=f"a {type(module).__name__} of {', '.join(dict(module.named_children())) or 'nothing'}",
        change="name such modules only, or replace them by weft.nn.upcycling.Experts by hand",
    )


def _candidates(module: nn.Module) -> Iterator[FeedForward]:
    rate = _dropout(module)
    if isinstance(module, nn.Sequential):
        layers = [layer for layer in module if not isinstance(layer, nn.Dropout)]
        if len(layers) == 3:
            yield from _plain(layers[0], layers[2], layers[1], rate)
        return
    activation: Any = next(
        (a for n in _ACTIVATIONS if callable(a := getattr(module, n, None))), None
    )
    if activation is None:
        return
    for names in _GATED:
        layers = [getattr(module, name, None) for name in names]
        if all(_matrix(layer) is not None for layer in layers):
            gate, up, down = layers
            for found in _plain(up, down, activation, rate):
                yield replace(found, gate=_matrix(gate), gate_bias=getattr(gate, "bias", None))
    for first, second in _PLAIN:
        up, down = getattr(module, first, None), getattr(module, second, None)
        yield from _plain(up, down, activation, rate)


def _plain(
    up: nn.Module | None,
    down: nn.Module | None,
    activation: Callable[[Tensor], Tensor],
    dropout: float,
) -> Iterator[FeedForward]:
    first, second = _matrix(up), _matrix(down)
    if first is not None and second is not None and first.shape == second.shape[::-1]:
        biases = {"up_bias": getattr(up, "bias", None), "down_bias": getattr(down, "bias", None)}
        yield FeedForward(first, second, activation, **biases, dropout=dropout)


def _matrix(layer: nn.Module | None) -> Tensor | None:
    """(out, in); transformers' Conv1D has it the other way."""
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor) or weight.dim() != 2 or isinstance(layer, nn.Embedding):
        return None
    return weight.mT if type(layer).__name__ == "Conv1D" else weight


def _dropout(module: nn.Module) -> float:
    return max((m.p for m in module.modules() if isinstance(m, nn.Dropout)), default=0.0)


@torch.no_grad()
def _is_what_it_computes(found: FeedForward, module: nn.Module) -> bool:
    small = _small(found, module)
    same = next((f for f in _candidates(small) if _is_form_of(f, found)), None)
    if same is None:
        return False
    x = torch.randn(3, 5, same.width, generator=torch.Generator().manual_seed(0)).double()
    try:
        y = small(x)
    except Exception:
        return False  # it takes other inputs
    return isinstance(y, Tensor) and y.shape == x.shape and torch.allclose(same(x), y)


def _small(found: FeedForward, module: nn.Module) -> nn.Module:
    """A copy on the CPU, in float64 and eval mode, with few features and drawn weights."""
    sizes = {found.width: min(found.width, 8), found.hidden: min(found.hidden, 12)}
    draws = torch.Generator().manual_seed(0)
    memo: dict[int, Any] = {}
    for parameter in module.parameters():
        shape = [sizes.get(size, size) for size in parameter.shape]
        memo[id(parameter)] = nn.Parameter(torch.randn(shape, generator=draws).double())
    small = copy.deepcopy(module, memo)
    for part in small.modules():
        if hasattr(part, "nf"):  # transformers' Conv1D knows its width
            part.nf = sizes.get(part.nf, part.nf)  # type: ignore[assignment,call-overload,arg-type]
    return small.cpu().double().eval()


def _is_form_of(first: FeedForward, second: FeedForward) -> bool:
    """Whether two candidates have the same parts."""
    parts = ("up", "down", "gate", "up_bias", "gate_bias", "down_bias")
    pairs = [(getattr(first, part), getattr(second, part)) for part in parts]
    return all((a is None) == (b is None) for a, b in pairs)
