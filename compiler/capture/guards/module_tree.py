"""What can be seen of a model before its forward runs: hooks, kinds of tensors and of modules."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.modules import module as module_hooks
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from ....backend.errors import UnsupportedError
from ..kept.places import places

_PLAIN = (Tensor, nn.Parameter, nn.Buffer)
_IN_BACKWARD = "what a backward hook does is not part of a captured graph, and may change gradients"


def check_modules(model: nn.Module) -> None:
    """Raises UnsupportedError, naming module or tensor, for what cannot be captured."""
    checks = (_global_hooks, _module_hooks, _kinds_of_modules, _kinds_of_tensors, _overlaps)
    for check in (*checks, _accumulators):
        for refusal in check(model):
            raise refusal


def _global_hooks(_: nn.Module) -> Iterator[UnsupportedError]:
    if module_hooks._global_backward_hooks or module_hooks._global_backward_pre_hooks:
        yield UnsupportedError(
            "torch.nn.modules.module",
            expected="no backward hook for all modules",
            got=f"one that was registered for all of them; {_IN_BACKWARD}",
            change="remove its handle before compiling",
        )


def _module_hooks(model: nn.Module) -> Iterator[UnsupportedError]:
    for name, module in model.named_modules():
        hooks = {**module._backward_hooks, **module._backward_pre_hooks}
        for hook in hooks.values():
            yield UnsupportedError(
                f"module {name or type(model).__name__}",
                expected="a module without backward hooks",
                got=f"hook {_name(hook)}; {_IN_BACKWARD}",
                change="remove its handle, or let an autograd.Function or a hook on the tensor"
                " change the gradient",
            )


def _kinds_of_modules(model: nn.Module) -> Iterator[UnsupportedError]:
    for name, module in model.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            yield UnsupportedError(
                f"module {name or type(model).__name__}",
                expected="modules of Python code, which can be traced",
                got="a module of TorchScript",
                change="use the module that was scripted",
            )


def _kinds_of_tensors(model: nn.Module) -> Iterator[UnsupportedError]:
    for role, name, value in _tensors(model):
        found = unlike(value)
        if found is not None:
            expected, got, change = found
            yield UnsupportedError(f"{role} {name}", expected=expected, got=got, change=change)
        elif role == "parameter" and value.is_complex():
            yield UnsupportedError(
                f"parameter {name}",
                expected="real numbers: plans train no others",
                got=f"type {value.dtype}",
                change="keep real and imaginary part, in a last dimension of 2, and write the"
                " product out",
            )
        if value._post_accumulate_grad_hooks:  # type: ignore[attr-defined]
            hook = next(iter(value._post_accumulate_grad_hooks.values()))  # type: ignore[attr-defined]
            yield UnsupportedError(
                f"{role} {name}",
                expected="gradients that only the optimizer reads",
                got=f"hook {_name(hook)}, which runs when a gradient has been accumulated",
                change="remove its handle; a stage is updated as soon as its gradient is there",
            )


def unlike(value: Tensor) -> tuple[str, str, str] | None:
    """Expected, got and change for a tensor that is more than shape, type and numbers."""
    if isinstance(value, UninitializedTensorMixin):
        return "a tensor with a shape", "one of a lazy module", "run the model once on the sample"
    if _overrides(type(value)):
        kind = type(value).__name__
        change = "use plain tensors: convert the model back, or call .as_subclass(torch.Tensor)"
        return "a plain tensor", f"a {kind}, whose operators mean something else", change
    if value.layout is not torch.strided:
        return "a dense tensor", f"layout {value.layout}", "call .to_dense()"
    if value.is_quantized:
        return "a tensor of real numbers", f"type {value.dtype}", "call .dequantize()"
    return None


def _overrides(kind: type) -> bool:
    """Whether operators on tensors of a class are not those of torch."""
    if kind in _PLAIN or kind.__module__.startswith("torch._subclasses"):
        return False
    dispatch = getattr(kind, "__torch_dispatch__", None)
    function = getattr(kind, "__torch_function__", None)
    inherited = (Tensor.__torch_function__, torch._C._disabled_torch_function_impl)
    is_plain = getattr(function, "__func__", function) in _functions(inherited)
    return not is_plain or dispatch not in (None, torch._C._disabled_torch_dispatch_impl)


def _functions(methods: tuple[Callable, ...]) -> list[object]:
    return [getattr(method, "__func__", method) for method in methods]


def is_weightless(value: Tensor) -> bool:
    """Whether a tensor has a shape and no numbers: on the meta device, or a fake one."""
    return value.device.type == "meta" or isinstance(value, FakeTensor)


def _overlaps(model: nn.Module) -> Iterator[UnsupportedError]:
    """A parameter that shares memory with another tensor: a change of one is a change of both."""
    spans: dict[str, list[tuple[int, int, str, Tensor]]] = {}
    for role, name, value in _tensors(model):
        if not is_weightless(value) and type(value) in _PLAIN and value.numel():
            first = value.data_ptr()
            extent = sum((n - 1) * s for n, s in zip(value.shape, value.stride(), strict=True))
            last = first + extent * value.element_size()
            spans.setdefault(str(value.device), []).append((first, last, f"{role} {name}", value))
    for found in spans.values():
        yield from _overlaps_of(sorted(found, key=lambda span: span[:2]))


def _overlaps_of(spans: list[tuple[int, int, str, Tensor]]) -> Iterator[UnsupportedError]:
    reaching: list[tuple[int, int, str, Tensor]] = []
    for span in spans:
        first, _, name, value = span
        reaching = [one for one in reaching if one[1] >= first]
        for _, _, other, owner in reaching:
            parameters = [one for one in (value, owner) if isinstance(one, nn.Parameter)]
            are_apart = value is not owner and len(parameters) == 2
            if are_apart or any(parameter.requires_grad for parameter in parameters):
                yield _shared(other, name)
        reaching.append(span)


def _accumulators(model: nn.Module) -> Iterator[UnsupportedError]:
    """Nodes of autograd that accumulate a gradient live as long as somebody keeps them, and are
    kept for the sake of hooks, which cannot be read."""
    for place in places(model):
        if type(place.get()).__name__ == "AccumulateGrad":
            yield UnsupportedError(
                f"attribute {place.name} of {type(model).__name__}",
                expected="gradients that only the optimizer reads",
                got="the node of autograd that accumulates a parameter's gradient: eager torch runs"
                " its hooks; the plan would not",
                change="leave it out; weight.register_hook(f) changes a gradient, and is traced",
            )


def _shared(one: str, other: str) -> UnsupportedError:
    return UnsupportedError(
        f"{one} and {other}",
        expected="parameters with memory of their own, or one parameter of two names",
        got="two that share memory: an update of one changes the other",
        change=f"give {other} memory of its own: .detach().clone(); or read the other in forward",
    )


def _tensors(model: nn.Module) -> Iterator[tuple[str, str, Tensor]]:
    for name, parameter in model.named_parameters():
        yield "parameter", name, parameter
    for name, buffer in model.named_buffers():
        yield "buffer", name, buffer


def _name(hook: object) -> str:
    return getattr(hook, "__qualname__", type(hook).__qualname__)
