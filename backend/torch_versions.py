"""What differs between versions of torch: the one place where weft looks at more than one.

`make newest` runs the quick checks on the newest torch that the package index has. What was met:

- 2.9 prints the graph of what torch.export refuses on stderr; its loggers do so, too.
- 2.9 looks for a gradient of each tensor that it makes a fake one of, and warns of it.
- `Function.apply` calls its base's in 2.9, also where a program has kept it (`sign = Sign.apply`);
  in 2.14 it is a method in C++: what was kept of it cannot be replaced.
- The name of what dynamo reads an input with is a method in 2.9, a property in 2.14.
- An autograd Function that dynamo has traced is given a context in 2.9, and returns gradients of
  its tensors alone; neither in 2.14, whose results may be one tensor, written in place.
- 2.14 warns of each attribute that is assigned while a module is traced; weft's guards judge that.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch.export._trace as export_module
from torch import fx
from torch.autograd.function import Function, FunctionMeta, _SingleLevelFunction

_LOGGERS = (
    *("torch.fx.experimental.symbolic_shapes", "torch._export", "torch.export"),
    "torch._subclasses.fake_tensor",
)
_SAID = (r"The \.grad attribute", r"The tensor attributes? .* assigned during export")

_APPLY: Any = vars(Function)["apply"]
_IS_PYTHON = isinstance(_APPLY, classmethod)
_open: list[type[Function]] = []
"""Functions whose own `apply` runs, where it is in C++."""


@contextmanager
def calls_of_functions(
    stand_in: Callable[..., Any], passed_by: Callable[[type[Function]], None]
) -> Iterator[None]:
    """`stand_in(kind, ...)` is called for `kind.apply(...)`; `passed_by(kind)` where a program has
    kept that method, which then cannot be replaced."""
    owner: Any = _SingleLevelFunction if _IS_PYTHON else Function
    owner.apply = classmethod(stand_in)
    if not _IS_PYTHON:
        FunctionMeta.__getattribute__ = _watching(passed_by)  # type: ignore[method-assign]
    try:
        yield
    finally:
        if _IS_PYTHON:
            del owner.apply
        else:
            owner.apply = _APPLY
            del FunctionMeta.__getattribute__


def original_apply(kind: type[Function]) -> Callable[..., Any]:
    """What `kind.apply` does where another stands in."""
    if _IS_PYTHON:
        return super(_SingleLevelFunction, kind).apply  # type: ignore[misc]
    return partial(_opened, kind)


def _opened(kind: type[Function], *args: Any, **kwargs: Any) -> Any:
    _open.append(kind)
    try:
        return _APPLY.__get__(None, kind)(*args, **kwargs)
    finally:
        _open.pop()


def _watching(passed_by: Callable[[type[Function]], None]) -> Callable[[Any, str], Any]:
    """Attributes of Functions; `apply` in C++ asks for `forward` first."""

    def attribute(kind: Any, name: str) -> Any:
        if name == "forward" and not _open:
            passed_by(kind)
        return type.__getattribute__(kind, name)

    return attribute


@contextmanager
def export_in_silence() -> Iterator[None]:
    """torch.export without its dumps of graphs, and without warnings that are no user's matter."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    export_module.__dict__["print"] = lambda *values, **options: None
    try:
        with warnings.catch_warnings():
            for message in _SAID:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        export_module.__dict__.pop("print", None)
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def expression_of(node: fx.Node) -> str:
    """The Python expression that dynamo read an input with, such as L['self']._modules['fc']; the
    node's own name where it did not."""
    source: Any = getattr(node, "_dynamo_source", None)
    if source is None:
        return node.name
    name: Any = source.name
    return str(name() if callable(name) else name)


def apply_traced(
    forward: fx.GraphModule,
    backward: fx.GraphModule,
    *operands: Any,
    non_differentiable_idx: Sequence[int],
    dirty_idx: Sequence[int] = (),
    **_: Any,
) -> Any:
    """What an autograd Function returns that dynamo has traced to a forward and a backward. The
    last operands, which it finds by itself, may have no gradient."""
    context = [None] * (len(forward.graph.find_nodes(op="placeholder")) - len(operands))

    class Applied(Function):
        @staticmethod
        def forward(ctx: Any, *given: Any) -> Any:
            results, ctx.kept = forward(*context, *given)
            each = results if isinstance(results, tuple | list) else (results,)
            ctx.mark_non_differentiable(*(each[n] for n in non_differentiable_idx))
            ctx.mark_dirty(*(each[n] for n in dirty_idx))
            return results

        @staticmethod
        def backward(ctx: Any, *gradients: Any) -> Any:
            found = backward(*context, *gradients, *ctx.kept)
            found = found if isinstance(found, tuple | list) else (found,)
            return (*found, *[None] * (len(operands) - len(found)))

    return Applied.apply(*operands)
