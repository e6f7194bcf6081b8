"""One evaluation of a module again, as it was: same draws, same statistics, same autocast.

Recomputation must neither draw anew nor advance running statistics a second time. So the state of
the random generators, of autocast and the buffers that the evaluation changes are noted; to replay
it they are put in place, and what is there now comes back afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import is_fake

from ...errors import UserError
from ..state import replayed

_Place = tuple[nn.Module, str]


@dataclass(frozen=True)
class FirstEvaluation:
    """What an evaluation found: random states by device, autocast, buffers before it."""

    cpu_generator: Tensor | None
    cuda_generators: dict[int, Tensor]
    autocast: tuple[tuple[str, bool, torch.dtype], ...]
    before: dict[_Place, Tensor]

    @contextmanager
    def replaying(self) -> Iterator[None]:
        """Within it the module evaluates as it did; afterwards nothing has changed."""
        now = {place: _buffer(place) for place in self.before}
        with ExitStack() as stack:
            if self.cpu_generator is not None:
                stack.enter_context(torch.random.fork_rng(devices=list(self.cuda_generators)))
                torch.set_rng_state(self.cpu_generator)
            for device, state in self.cuda_generators.items():
                torch.cuda.set_rng_state(state, device)
            for device, enabled, dtype in self.autocast:
                stack.enter_context(torch.autocast(device, dtype=dtype, enabled=enabled))
            stack.enter_context(replayed())
            try:
                for place, value in self.before.items():
                    _put(place, value.clone())
                yield
            finally:
                for place, value in now.items():
                    _put(place, value)


@contextmanager
def noted(module: nn.Module, inputs: tuple[Tensor, ...]) -> Iterator[list[FirstEvaluation]]:
    """Notes the one evaluation of `module` inside; the list holds it afterwards.

    Raises UserError if the module changed one of its inputs in place: the coupling needs them.
    """
    found: list[FirstEvaluation] = []
    places = [(owner, name) for owner in module.modules() for name in owner._buffers]
    held = {place: b for place in places if (b := place[0]._buffers[place[1]]) is not None}
    copies = {place: value.clone() for place, value in held.items()} if _trains(module) else {}
    given = [value._version for value in inputs]
    states = _generators(inputs)
    yield found
    for value, version in zip(inputs, given, strict=True):
        if value._version != version:
            raise _in_place(module)
    draws = not all(torch.equal(a, b) for a, b in zip(states, _generators(inputs), strict=True))
    devices = sorted({value.get_device() for value in inputs if value.is_cuda})
    found.append(
        FirstEvaluation(
            cpu_generator=states[0] if draws else None,
            cuda_generators=dict(zip(devices, states[1:], strict=True)) if draws else {},
            autocast=_autocast({value.device.type for value in inputs}),
            before={
                place: copy for place, copy in copies.items() if _differs(_buffer(place), copy)
            },
        )
    )


def gradients_of_replay(
    outputs: Sequence[Tensor],
    arriving: Sequence[Tensor],
    inputs: Sequence[Tensor],
    parameters: Sequence[Tensor],
) -> tuple[Tensor | None, ...]:
    """Those of the inputs and the parameters of an evaluation that was replayed.

    Hooks of parameters are kept from them: they see these gradients in the backward that this one
    is a part of, summed over all uses, and would see them twice.
    """
    hooks = [own for p in parameters if (own := getattr(p, "_backward_hooks", None))]
    held = [dict(own) for own in hooks]
    for own in hooks:
        own.clear()
    try:
        return torch.autograd.grad(outputs, [*inputs, *parameters], arriving, allow_unused=True)
    finally:
        for own, before in zip(hooks, held, strict=True):
            own.update(before)


def _differs(now: Tensor, before: Tensor) -> bool:
    """Whether a buffer has other values; of tensors without values it is assumed."""
    return now.is_meta or is_fake(now) or not torch.equal(now, before)


def _trains(module: nn.Module) -> bool:
    return any(part.training for part in module.modules())


def _generators(inputs: tuple[Tensor, ...]) -> list[Tensor]:
    devices = sorted({value.get_device() for value in inputs if value.is_cuda})
    return [torch.get_rng_state(), *(torch.cuda.get_rng_state(device) for device in devices)]


def _autocast(devices: set[str]) -> tuple[tuple[str, bool, torch.dtype], ...]:
    return tuple(
        (device, torch.is_autocast_enabled(device), torch.get_autocast_dtype(device))
        for device in sorted(devices & {"cpu", "cuda"})
    )


def _buffer(place: _Place) -> Tensor:
    value = place[0]._buffers[place[1]]
    assert value is not None
    return value


def _put(place: _Place, value: Tensor) -> None:
    place[0]._buffers[place[1]] = value


def _in_place(module: nn.Module) -> UserError:
    return UserError(
        f"reversible function {type(module).__name__}",
        expected="inputs left as they are: the inverse subtracts a function of them",
        got="an input changed in place",
        change="take operators that are not in place (inplace=False) on the input of the function",
    )
