"""What a forward does while it is traced that the trace would lose or get wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ....backend.errors import UnsupportedError
from ....backend.queries import QUERIES
from ..source_lines import running_line

_PLAIN = (Tensor, nn.Parameter, nn.Buffer)
_GET_DATA = Tensor.data.__get__  # type: ignore[attr-defined]
_SET_DATA = Tensor.data.__set__  # type: ignore[attr-defined]
_SET_NEED = Tensor.requires_grad.__set__  # type: ignore[attr-defined]


@contextmanager
def watching(model: nn.Module) -> Iterator[None]:
    """Refuses, with its line, what a trace would not show; `inference_mode` is taken for `no_grad`.

    Raises UnsupportedError from inside.
    """
    patches = (
        (saved_tensors_hooks, "__enter__", _entering_saved),
        (TorchDispatchMode, "__enter__", _entering_mode),
        (torch.inference_mode, "__enter__", lambda _: _entering_inference),
        (torch.inference_mode, "__exit__", lambda _: _leaving_inference),
        (Tensor, "register_post_accumulate_grad_hook", lambda _: _accumulated),
    )
    before = [(kind, name, vars(kind)[name]) for kind, name, _ in patches]
    for kind, name, make in patches:
        setattr(kind, name, make(vars(kind)[name]))
    try:
        with _CallWatch(model):
            yield
    finally:
        for kind, name, own in before:
            setattr(kind, name, own)


class _CallWatch(TorchFunctionMode):
    """Sees what Python code asks tensors for, and which tensors it has from elsewhere.

    While a model is traced its modules hold fake tensors. A parameter that is reached in another
    way, through a list or a closure, is the real one: it is taken for the fake one of its name.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.places = {
            id(value): (tensors, name)
            for module in model.modules()
            for tensors in (module._parameters, module._buffers)
            for name, value in tensors.items()
        }

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if func in QUERIES:
            return func(*args, **(kwargs or {}))
        args = tuple(map(self._own, args))
        kwargs = {name: self._own(value) for name, value in (kwargs or {}).items()}
        name = getattr(func, "__name__", "")
        if name in _WATCHED:
            if func == _GET_DATA:
                return args[0].detach()
            if func == _SET_DATA:
                raise _refused(
                    "assigned .data", "gives the tensor other values, unseen by autograd"
                )
            if func in (_SET_NEED, Tensor.requires_grad_):
                _check_need(*args, **kwargs)
        if name != "__get__":
            _check_kept(*args, *kwargs.values())
        result = func(*args, **kwargs)
        if name != "__get__" and torch.is_grad_enabled() and _needs_gradient(result):
            self._check_registered(*args, *kwargs.values())
        return result

    def _own(self, value: Any) -> Any:
        kind = type(value)
        if kind in (list, tuple):
            return kind(map(self._own, value))
        if kind not in _PLAIN:
            return value
        tensors, name = self.places.get(id(value), ({}, ""))
        return tensors.get(name, value)

    def _check_registered(self, *operands: Any) -> None:
        """Fake tensors are of the model or computed from it; others that train are neither."""
        for value in operands:
            if type(value) in (list, tuple):
                self._check_registered(*value)
            elif type(value) in _PLAIN and value.requires_grad:
                raise _unregistered(value)


def _check_kept(*operands: Any) -> None:
    """A tensor with numbers that autograd knows the origin of was computed before the trace."""
    for value in operands:
        if type(value) in (list, tuple):
            _check_kept(*value)
        elif type(value) is Tensor and value.grad_fn is not None:
            raise UnsupportedError(
                running_line(),
                expected="tensors that the forward computes, parameters and buffers",
                got=f"a tensor of shape {tuple(value.shape)} that was computed from parameters"
                " before: the plan would train with the values that they had then",
                change="compute it in forward, from the parameters",
            )


def _needs_gradient(result: Any) -> bool:
    return any(isinstance(v, Tensor) and v.requires_grad for v in tree_leaves(result))


def _unregistered(value: Tensor) -> UnsupportedError:
    what = "a parameter" if isinstance(value, nn.Parameter) else "a tensor"
    return UnsupportedError(
        running_line(),
        expected="gradients for registered parameters only: those in model.named_parameters()",
        got=f"{what} of shape {tuple(value.shape)} that requires a gradient and is not among them",
        change="register it: self.w = nn.Parameter(...), nn.ParameterList, nn.ModuleList in the"
        " place of a list; or use it under torch.no_grad(), detached, if it is not trained",
    )


_WATCHED = frozenset({"__get__", "__set__", "requires_grad_"})


def _check_need(value: Tensor, requires_grad: bool = True) -> None:
    if isinstance(value, nn.Parameter) and value.requires_grad != requires_grad:
        raise _refused(
            f"requires_grad = {requires_grad} of a parameter",
            "from then on trains or freezes it",
            "set it before compiling",
        )


def _refused(
    got: str, eager: str, change: str = "compute a new tensor instead"
) -> UnsupportedError:
    return UnsupportedError(
        running_line(),
        expected="a forward that a graph of operators can show",
        got=f"{got}: eager torch {eager}; the plan would not",
        change=change,
    )


def _entering_saved(enter: Callable[..., Any]) -> Callable[..., Any]:
    def entering(hooks: saved_tensors_hooks) -> Any:
        kind = type(hooks)
        if not kind.__module__.startswith(("torch.utils.checkpoint", "torch.autograd.graph")):
            raise _saved_hooks(kind)
        if kind is saved_tensors_hooks:
            raise _saved_hooks(kind)
        return enter(hooks)

    return entering


def _saved_hooks(kind: type) -> UnsupportedError:
    return _refused(
        f"saved_tensors_hooks ({kind.__name__})",
        "gives the backward what they unpack",
        "leave them out: what a stage saves is its plan's business",
    )


def _entering_mode(enter: Callable[..., Any]) -> Callable[..., Any]:
    def entering(mode: TorchDispatchMode) -> Any:
        if not type(mode).__module__.startswith(("torch.", "weft.")):
            raise _refused(
                f"dispatch mode {type(mode).__name__}",
                "computes what the mode makes of each operator",
                "leave the mode out, or write what it does into the forward",
            )
        return enter(mode)

    return entering


def _entering_inference(mode: torch.inference_mode) -> None:
    # Its tensors cannot be part of a graph of autograd: as far as numbers go, no_grad.
    mode.without = torch.no_grad() if mode.mode else None  # type: ignore[attr-defined]
    if mode.without is not None:  # type: ignore[attr-defined]
        mode.without.__enter__()  # type: ignore[attr-defined]


def _leaving_inference(mode: torch.inference_mode, *failure: Any) -> None:
    if mode.without is not None:  # type: ignore[attr-defined]
        mode.without.__exit__(*failure)  # type: ignore[attr-defined]


def _accumulated(value: Tensor, hook: Callable[..., Any]) -> None:
    raise _refused(
        "register_post_accumulate_grad_hook",
        "runs the hook once the gradient is there",
        "leave the hook out, or use register_hook, which is traced",
    )
