"""One floating-point type for a whole computation, whatever types its operators ask for.

The captured graph drops casts that change nothing (`x.float()` in a float32 model) and keeps the
others. To compare a module with its stages to the last digits both run with every floating-point
tensor as wide as the witness: casts to narrower types become casts to the wide one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
import torch.utils.checkpoint
from torch import Tensor
from torch._ops import OpOverload
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from ..capture.draws import is_random
from .draws import Replay

_REAL = frozenset({torch.float16, torch.bfloat16, torch.float32, torch.float64})
_DTYPE = Tensor.dtype.__get__  # type: ignore[attr-defined]
_CHECKPOINT = torch.utils.checkpoint.__file__
_BIT_PATTERN = torch.ops.aten.view.dtype


def is_real(value: Any) -> bool:
    """Whether a value is a floating-point tensor of one of the types that are made wide."""
    return isinstance(value, Tensor) and value.dtype in _REAL


class Wide(TorchDispatchMode):
    """Operators compute on floating-point tensors of type `dtype` only.

    Views and in-place changes of narrower tensors stay as they are: who shares their memory must
    see them. Random operators draw from `draws`, if it is given. New tensors are wide from the
    start: a literal is not rounded before.
    """

    def __init__(self, dtype: torch.dtype, draws: Replay | None = None) -> None:
        super().__init__()
        self.wide = dict.fromkeys(_REAL, dtype)
        self.wide |= dict.fromkeys((torch.complex64, torch.complex128), dtype.to_complex())
        self.dtype, self.draws = dtype, draws
        self._before = torch.get_default_dtype()

    def __enter__(self) -> Wide:
        self._before = torch.get_default_dtype()
        torch.set_default_dtype(self.dtype)
        return super().__enter__()

    def __exit__(self, *error: Any) -> None:
        torch.set_default_dtype(self._before)
        super().__exit__(*error)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        with torch._C.DisableTorchFunction():  # types are not what `Claimed` says
            return self._called(func, args, kwargs or {})

    def _called(self, func: Any, args: tuple[Any, ...], kwargs: Any) -> Any:
        if _returns_a_view(func):
            return func(*args, **kwargs)
        written = _written(func)
        args = tuple(
            value if position in written else self._widened(value)
            for position, value in enumerate(args)
        )
        kwargs = {
            name: value if name in written else self._widened(value)
            for name, value in kwargs.items()
        }
        if self.draws is not None and is_random(func):
            result = self.draws.result(func, args, kwargs)
        else:
            result = func(*args, **kwargs)
        return result if written else self._widened(result)

    def _widened(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            wanted = self.wide.get(value.dtype, value.dtype)
            return value if wanted is value.dtype else value.to(wanted)
        if isinstance(value, torch.dtype):
            return self.wide.get(value, value)
        if isinstance(value, list | tuple):
            return type(value)(map(self._widened, value))
        return value


@lru_cache(maxsize=4096)
def _returns_a_view(func: OpOverload) -> bool:
    returned = [result.alias_info for result in func._schema.returns]
    return any(info is not None and not info.is_write for info in returned) or func is _BIT_PATTERN


@lru_cache(maxsize=4096)
def _written(func: OpOverload) -> frozenset[int | str]:
    """Positions and names of the arguments that the operator writes to."""
    arguments = enumerate(func._schema.arguments)
    written = [(n, a.name) for n, a in arguments if a.alias_info and a.alias_info.is_write]
    return frozenset(key for pair in written for key in pair)


class Claimed(TorchFunctionMode):
    """Python code that asks a wide tensor for its type is told `claimed`, that of the model.

    So `torch.finfo(x.dtype).eps` is what it is when the model trains. Checkpoints are told the
    truth: they compare the types of two runs.
    """

    def __init__(self, wide: torch.dtype, claimed: torch.dtype) -> None:
        super().__init__()
        self.wide, self.claimed = wide, claimed

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func == _DTYPE:
            found = func(*args)
            is_asked = found is self.wide and sys._getframe(1).f_code.co_filename != _CHECKPOINT
            return self.claimed if is_asked else found
        if func in (torch.rms_norm, F.rms_norm):
            return func(*_with_eps(self.claimed, *args, **(kwargs or {})))
        return func(*args, **(kwargs or {}))


def _with_eps(
    claimed: torch.dtype,
    input: Tensor,
    normalized_shape: Any,
    weight: Tensor | None = None,
    eps: float | None = None,
) -> tuple[Any, ...]:
    """The arguments of `rms_norm`, whose epsilon is a number of the type that it computes in, and
    by default depends on it: reals of 16 bits are computed with in 32."""
    computed_in = np.float64 if claimed is torch.float64 else np.float32
    of_type = computed_in(np.finfo(computed_in).eps if eps is None else eps)
    return input, normalized_shape, weight, float(of_type)
