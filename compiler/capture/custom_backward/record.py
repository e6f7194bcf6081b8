"""Notes Functions and hooks while torch.export traces a model, as operators in its graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import Function
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten
from torch.utils.checkpoint import CheckpointFunction
from torch.utils.hooks import RemovableHandle

from ....backend.errors import UnsupportedError
from ....backend.torch_versions import calls_of_functions, original_apply
from ..source_lines import running_line
from .call import CustomCall
from .operators import FUNCTION, HOOK, described
from .reads import ForeignReads

_OF_TORCH = ("torch._library.autograd", "torch.utils.checkpoint")
"""Where torch makes a Function for each custom operator, which itself is in the trace; and one that
only saves what a checkpoint is given."""


class CallRecording:
    """The calls of one trace, by their numbers, which the operators of the trace have; whether
    tensors got hooks."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.calls: list[CustomCall] = []
        self.has_hooks = False
        self._is_dry = self._is_on = False
        self._real = dict(model.named_parameters()) | dict(model.named_buffers())

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Functions and hooks go through this recording."""
        register = Tensor.register_hook
        Tensor.register_hook = _registering(self, register)  # type: ignore[method-assign]
        self._is_on = True
        try:
            with calls_of_functions(_applying(self), self.refuse_kept):
                yield
        finally:
            self._is_on = False
            Tensor.register_hook = register  # type: ignore[method-assign]

    def refuse_kept(self, kind: type[Function]) -> None:
        """Raise UnsupportedError for a Function whose `apply` a program has kept, so that its call
        cannot be noted; not where Functions run off the trace."""
        if self._is_dry or kind.__module__.startswith("torch."):
            return
        raise UnsupportedError(
            f"autograd.Function {kind.__qualname__} in {running_line()}",
            expected=f"{kind.__name__}.apply(...) where the Function is called",
            got=f"its method kept under another name, which torch {torch.__version__} calls past"
            " weft: its backward would be lost",
            change=f"call {kind.__name__}.apply itself, or a function that does",
        )

    def apply(self, kind: type[Function], *args: Any) -> Any:
        """What `kind.apply(*args)` returns."""
        run = partial(original_apply(kind), *args)
        if kind is CheckpointFunction:
            return _checkpointed(*args)
        if self._is_dry or kind.__module__ in _OF_TORCH:
            return run()
        leaves, spec = tree_flatten(args)
        operands = [leaf for leaf in leaves if isinstance(leaf, Tensor)]
        if not torch.is_grad_enabled() or not any(o.requires_grad for o in operands):
            return run()
        return self._function(kind, operands, _Template(kind, leaves, spec))

    def hook(self, value: Tensor, function: Callable[[Tensor], Any]) -> None:
        """Note a hook on the gradient of a tensor; one that returns nothing only looks on."""
        name = f"hook {_name(function)}"
        with self._dry(name, [value]) as reads:
            gradient = torch.empty_like(value.detach())
            reads.know(gradient)
            replaced = function(gradient)
        if replaced is not None:
            self.has_hooks = True
            number = self._note(name, Hooked(function), reads)
            HOOK(value, list(reads.foreign), number)

    def _function(self, kind: type[Function], operands: list[Tensor], template: _Template) -> Any:
        name = f"autograd.Function {kind.__qualname__}"
        with self._dry(name, operands) as reads:
            leaves = [_leaf(operand) for operand in operands]
            reads.know(*leaves)
            result = template(*leaves)
            results, spec = tree_flatten(result)
            tensors = [value for value in results if isinstance(value, Tensor)]
            _refuse_changed(name, leaves, tensors)
            _differentiate(tensors, leaves)
        number = self._note(name, template.tensors, reads)
        made = iter(FUNCTION([*operands, *reads.foreign], described(tensors), number))
        given = [_like(next(made), v) if isinstance(v, Tensor) else v for v in results]
        return tree_unflatten(given, spec)

    def _note(self, name: str, run: Callable[..., Any], reads: ForeignReads) -> int:
        """The number of a new call."""
        fakes = dict(self.model.named_parameters()) | dict(self.model.named_buffers())
        real = {id(value): self._real[key] for key, value in fakes.items() if key in self._real}
        foreign = tuple((value, real.get(id(value), value)) for value in reads.foreign)
        self.calls.append(CustomCall(name, len(self.calls), run, foreign))
        return len(self.calls) - 1

    @contextmanager
    def _dry(self, name: str, operands: Sequence[Tensor]) -> Iterator[ForeignReads]:
        """Run the user's Python on fake tensors, off the trace, to see what it reads."""
        before, self._is_dry = self._is_dry, True
        reads = ForeignReads(operands)
        try:
            with (
                disable_proxy_modes_tracing(),
                torch._C.DisableTorchFunction(),
                torch.enable_grad(),
                reads,
            ):
                yield reads
        except UnsupportedError:
            raise
        except Exception as error:
            reason = str(error).strip().splitlines() or [""]
            raise UnsupportedError(
                f"{name} in {running_line()}",
                expected="Python that computes with tensors only: it becomes part of a stage",
                got=f"{type(error).__name__}: {reason[0]}",
                change="let it read no value of a tensor (.item(), numpy), or write it with"
                " operators of torch and detach()",
            ) from error
        finally:
            self._is_dry = before


class _Template:
    """A call of a Function whose tensors are given anew."""

    def __init__(self, kind: type[Function], leaves: Sequence[Any], spec: Any) -> None:
        self.kind, self.spec = kind, spec
        self.leaves = [None if isinstance(leaf, Tensor) else leaf for leaf in leaves]
        self.places = [n for n, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]

    def tensors(self, *operands: Tensor) -> list[Tensor]:
        """All tensors that the call returns."""
        return [leaf for leaf in tree_leaves(self(*operands)) if isinstance(leaf, Tensor)]

    def __call__(self, *operands: Tensor) -> Any:
        leaves = list(self.leaves)
        for place, operand in zip(self.places, operands, strict=True):
            leaves[place] = operand
        return original_apply(self.kind)(*tree_unflatten(leaves, self.spec))


class Hooked:
    """The identity, with a hook on its gradient."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        self.function = function

    def __call__(self, value: Tensor) -> Tensor:
        same = torch.ops.aten.alias.default(value)
        if same.requires_grad:
            same.register_hook(self.function)
        return same


def _applying(recording: CallRecording) -> Callable[..., Any]:
    """What is called for `Function.apply`."""

    def apply(kind: type[Function], *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            return original_apply(kind)(*args, **kwargs)
        return recording.apply(kind, *args)

    return apply


def _registering(recording: CallRecording, register: Callable[..., Any]) -> Callable[..., Any]:
    def register_hook(value: Tensor, hook: Callable[[Tensor], Any]) -> RemovableHandle:
        with torch._C.DisableTorchFunction():  # whose modes would register it once more each
            handle = register(value, hook)  # refuses a tensor that requires no gradient
        if not recording._is_dry:
            recording.hook(value, hook)
            handle.remove = partial(_removed, recording, handle.remove)
        return handle

    return register_hook


def _removed(recording: CallRecording, remove: Callable[[], None]) -> None:
    if recording._is_on:
        raise UnsupportedError(
            running_line(),
            expected="hooks of a tensor that stay until its gradient is there",
            got="one that forward removes again: in eager torch it does not run; in the plan it"
            " would",
            change="register it only where it is to run",
        )
    remove()


def _checkpointed(function: Callable[..., Any], _: bool, *args: Any) -> Any:
    """What a re-entrant checkpoint returns: no gradient if no argument needs one."""
    needed = any(isinstance(arg, Tensor) and arg.requires_grad for arg in args)
    with torch.set_grad_enabled(needed and torch.is_grad_enabled()):
        return function(*args)


def _leaf(operand: Tensor) -> Tensor:
    return operand.detach().requires_grad_(operand.requires_grad)


def _refuse_changed(name: str, leaves: Sequence[Tensor], results: Sequence[Tensor]) -> None:
    if any(leaf._version for leaf in leaves):
        raise UnsupportedError(
            f"{name} in {running_line()}",
            expected="a forward that leaves its arguments as they are",
            got="one that changes an argument in place",
            change="return a new tensor",
        )


def _differentiate(results: Sequence[Tensor], leaves: Sequence[Tensor]) -> None:
    reached = [value for value in results if value.requires_grad]
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    if reached:
        tangents = [torch.empty_like(value) for value in reached]
        torch.autograd.grad(reached, wanted, tangents, allow_unused=True)


def _like(made: Tensor, value: Tensor) -> Tensor:
    return made if value.requires_grad else made.detach()


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)
