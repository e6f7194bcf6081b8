"""Whether blocks add to the stream that they read, seen from the operators that they run.

A sum joins the stream itself, passed on as it is, with something computed of it: in blocks of
transformers and residual networks, reversible ones too, but not in a chain of layers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_SUMS = frozenset(["add", "add_", "addcmul", "addmm", "addmm_", "baddbmm", "sub", "sub_"])
_PASSED_ON = frozenset(
    {
        *("alias", "clone", "contiguous", "detach", "_to_copy", "mul", "div", "native_dropout"),
        *("cat", "select", "slice", "split", "split_with_sizes", "unbind"),
        *("expand", "permute", "reshape", "squeeze", "t", "transpose", "unsqueeze", "view"),
        "_unsafe_view",
    }
)
"""Operators that leave the stream what it is, but for its place, type or scale."""


class SumsWithStream(TorchDispatchMode):
    """While it is active, a block runs between `begin` and `end`, which says whether it adds to
    the stream."""

    def __init__(self) -> None:
        super().__init__()
        self._itself: set[int] = set()
        self._made: set[int] = set()
        self._held: list[Tensor] = []
        """Tensors whose identities are noted: no other one may get them."""
        self._adds = False

    def begin(self, given: Any) -> None:
        """A block reads these: the first tensor is its stream, or half of it."""
        self._held = list(_tensors(given))
        self._made = set(map(id, self._held))
        self._itself = set(map(id, self._held[:1]))
        self._adds = False

    def end(self) -> bool:
        """Whether a sum of the block joined the stream with something made of it."""
        adds = self._adds
        self.begin(())
        return adds

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {id(value) for value in _tensors((args, kwargs or {}))}
        name = func.overloadpacket.__name__
        itself, made = given & self._itself, given & self._made
        if name in _SUMS and itself and len(made) > 1:
            self._adds = True
        if made:
            self._note(result, bool(itself) and name in _PASSED_ON and len(made) == 1)
        return result

    def _note(self, result: Any, is_itself: bool) -> None:
        found = list(_tensors(result))
        self._held += found
        self._made |= set(map(id, found))
        if is_itself:
            self._itself |= set(map(id, found))


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _tensors(item)
