"""Whether a pruned weight is 0 in the product: modules may compute what they multiply.

Weight norm keeps the zeros of its directions; an orthogonal parametrization or a standardised
convolution turns them into other numbers, so that a mask would be in force in name only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.parametrize import ParametrizationList
from torch.overrides import TorchFunctionMode

from ..errors import UnsupportedError
from ..parameters import ParameterPlace, places

_PRODUCTS = frozenset({F.linear, F.conv1d, F.conv2d, F.conv3d}) | frozenset(
    {F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d, torch.matmul, torch.mm}
)
_PLAIN = frozenset({nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d}) | frozenset(
    {nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d}
)


def check_zeros_reach_products(model: nn.Module, names: Iterable[str]) -> None:
    """Raises UnsupportedError for a parameter whose zeros its module does not multiply as zeros.

    The module is run on random values, half of them pruned: parametrizations, and linear layers
    and convolutions that are not torch's own. What others do with a parameter is not known.
    """
    known = places(model)
    for name in names:
        parameter = known[name].parameter
        for module, key in known[name].owners:
            mask = _half(parameter)
            for used in [] if parameter.is_meta else _multiplied(module, key, parameter, mask):
                if used.shape == mask.shape and bool(used[~mask].any()):
                    raise _lost(name, module)


def check_stays_finite(name: str, place: ParameterPlace, mask: Tensor) -> None:
    """Raises UnsupportedError for a mask under which a module computes no finite weight: weight
    norm divides each row by its norm, which is 0 where all of a row is pruned."""
    for module, key in [] if place.parameter.is_meta else place.owners:
        for used in _multiplied(module, key, place.parameter, mask.cpu()):
            broken = int((~used.isfinite()).sum())
            if broken:
                raise UnsupportedError(
                    f"sparsity of '{name}'",
                    expected="a mask under which the product's weight is finite",
                    got=f"one that prunes all of a part that {_maker(module)} divides by the norm"
                    f" of: {broken} of {used.numel()} elements of the weight are not finite",
                    change="prune less, spread evenly (init_method: checkerboard), or leave it out"
                    " by param_filter",
                )


def _half(parameter: Tensor) -> Tensor:
    """A random half of the elements: no pattern that a parametrization might share."""
    return torch.rand(parameter.shape, generator=torch.Generator().manual_seed(1)) < 0.5


def _multiplied(module: nn.Module, key: str, parameter: Tensor, mask: Tensor) -> Sequence[Tensor]:
    """The weights that a module computes from a parameter with random values that is masked.

    None where the parameter itself is the weight, and where it is not known.
    """
    values = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0))
    values = values.to(parameter.dtype) * mask
    if isinstance(module, ParametrizationList):
        return [_called(module, key, values, ())]
    if not isinstance(module, nn.Linear | _ConvNd) or _is_plain(module, key):
        return []
    weights = _SeenWeights()
    try:
        with weights:
            _called(module, key, values, (_input(module, parameter.dtype),))
    except Exception:  # a subclass may take anything
        return []
    return weights.seen


def _is_plain(module: nn.Module, key: str) -> bool:
    return key == "bias" or (key == "weight" and type(module) in _PLAIN)


def _called(module: nn.Module, key: str, value: Tensor, inputs: tuple[Any, ...]) -> Any:
    """The module's result on the CPU with one parameter replaced; it is afterwards as before."""
    state = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    state = {name: tensor.detach().cpu().clone() for name, tensor in state.items()}
    before, mode = dict(module.__dict__), module.training
    try:
        module.eval()
        with torch.no_grad():
            return functional_call(module, state | {key: value}, inputs)
    finally:
        module.__dict__.update(before)  # hooks of torch.nn.utils.weight_norm leave a weight here
        module.train(mode)


def _input(module: nn.Linear | _ConvNd, dtype: torch.dtype) -> Tensor:
    if isinstance(module, nn.Linear):
        return torch.ones(1, module.in_features, dtype=dtype)
    reach = zip(module.kernel_size, module.dilation, strict=True)
    sizes = [(size - 1) * dilation + 1 for size, dilation in reach]
    return torch.ones(1, module.in_channels, *sizes, dtype=dtype)


class _SeenWeights(TorchFunctionMode):
    """Remembers the second operand of every product."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if func in _PRODUCTS:
            operands = [*args, named.get("weight"), named.get("mat2"), named.get("other")]
            self.seen.append([value for value in operands if isinstance(value, Tensor)][1])
        return func(*args, **named)


def _lost(name: str, module: nn.Module) -> UnsupportedError:
    return UnsupportedError(
        f"sparsity of '{name}'",
        expected="a weight whose zeros are zeros of the product",
        got=f"one that {_maker(module)} computes the product's weight from, without keeping the"
        " zeros",
        change="leave it out by param_filter, or take the parametrization or standardization away",
    )


def _maker(module: nn.Module) -> str:
    made_by = [type(m).__name__ for m in module] if isinstance(module, ParametrizationList) else []
    return ", ".join(made_by) or type(module).__name__
