"""Which tensors the user's Python reads beside those that it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only


class ForeignReads(TorchDispatchMode):
    """Notes in `foreign` each tensor that was neither given nor computed here, once."""

    def __init__(self, given: Sequence[Tensor]) -> None:
        super().__init__()
        self.foreign: list[Tensor] = []
        self._fake_of: dict[int, Tensor] = {}
        self._kept: list[Any] = list(given)
        self._known = {id(value) for value in given}
        self._mode = next(v.fake_mode for v in given if isinstance(v, FakeTensor))

    def know(self, *values: Tensor) -> None:
        """These are given, too."""
        self._kept += values
        self._known |= {id(value) for value in values}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            raise ValueError("it reads the value of a tensor as a number")
        args, kwargs = tree_map_only(Tensor, self._stand_in, (args, kwargs or {}))
        result = func(*args, **kwargs)
        self.know(*(leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)))
        return result

    def _stand_in(self, value: Tensor) -> Tensor:
        if id(value) in self._known:
            return value
        if id(value) not in self._fake_of:
            self.foreign.append(value)
            is_fake = isinstance(value, FakeTensor)
            fake = value if is_fake else self._mode.from_tensor(value, static_shapes=True)
            self._fake_of[id(value)] = fake
            self._known.add(id(fake))
            self._kept += [value, fake]
        return self._fake_of[id(value)]
