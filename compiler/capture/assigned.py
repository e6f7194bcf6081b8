"""Buffers that a forward assigns: `self.mean = new` means the same as `self.mean.copy_(new)`.

torch.export loses such a write in a module below the root. While it traces, what a buffer is at the
end of the forward is copied into what it was at the beginning. One that becomes a tensor of another
shape holds numbers that the first call makes for the shapes it meets: where these depend on nothing
else, the graph makes them for each sample, and the buffer stays as it is.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import get_proxy_mode, get_proxy_slot

from ...backend.errors import UnsupportedError
from .draws import is_random
from .fx_tools import writes_of


@contextmanager
def assignments_copied(sample: nn.Module) -> Iterator[None]:
    """Inside, a forward of a model and its loss, `model` and `loss` of `sample`, is traced.

    Raises UnsupportedError for a buffer that becomes a tensor of another shape or type and depends
    on inputs, parameters, buffers or draws, and for a parameter that is replaced.
    """
    modules = dict(sample.named_modules())
    buffers = {path: dict(module._buffers) for path, module in modules.items() if module._buffers}
    parameters = {path: dict(m._parameters) for path, m in modules.items() if m._parameters}
    yield
    for path, before in buffers.items():
        for name, value in before.items():
            now = modules[path]._buffers.get(name)
            if value is not None and now is not value:
                _copy(value, now, f"{path}.{name}".removeprefix("model."))
                modules[path]._buffers[name] = value
    for path, before in parameters.items():
        for name, value in before.items():
            if modules[path]._parameters.get(name) is not value:
                raise _replaced(f"{path}.{name}".removeprefix("model."))


def _copy(before: Tensor, now: Tensor | None, name: str) -> None:
    if now is None or now.shape != before.shape or now.dtype != before.dtype:
        if now is not None and _is_made_of_numbers(now):
            return
        raise UnsupportedError(
            f"buffer {name}",
            expected=f"state that stays a tensor of shape {tuple(before.shape)}, {before.dtype}",
            got="nothing"
            if now is None
            else f"shape {tuple(now.shape)}, {now.dtype}, assigned in forward",
            change="give it one shape and type from the start",
        )
    with torch.no_grad():
        before.copy_(now.detach())


def _is_made_of_numbers(value: Tensor) -> bool:
    """Whether the trace so far computes a value from nothing that a sample or a step changes."""
    mode = get_proxy_mode()
    slot = get_proxy_slot(value, mode.tracer, None) if mode else None
    if mode is None or slot is None:
        return False
    writes = defaultdict(list)
    for node in mode.tracer.graph.nodes:
        for one in writes_of(node):
            writes[one.root].append(node)
    waiting, seen = [slot.proxy.node], set()
    while waiting:
        node = waiting.pop()
        if node.op == "placeholder" or (node.op == "call_function" and is_random(node.target)):
            return False
        if node not in seen:
            seen.add(node)
            waiting += [*node.all_input_nodes, *writes[node]]
    return True


def _replaced(name: str) -> UnsupportedError:
    return UnsupportedError(
        f"parameter {name}",
        expected="parameters that only the optimizer changes",
        got="one that forward replaces with another: eager torch would train that one",
        change="compute with a new tensor under another name, or use a parametrization",
    )
