"""What torch does beside the operators of a forward that calls it: transforms, the generator,
packed sequences."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch._functorch import eager_transforms
from torch.autograd.forward_ad import dual_level
from torch.nn.utils.rnn import PackedSequence

from ....backend.errors import UnsupportedError
from ..source_lines import is_running, running_line

_OF_GRAPH = "a forward that a graph of operators can show"


def _backward_transform() -> UnsupportedError:
    return UnsupportedError(
        running_line(),
        expected=_OF_GRAPH,
        got="a transform of torch.func (grad, vjp, jacrev, hessian): eager torch differentiates"
        " inside of the forward and goes on to train through it; the plan would lose the derivative"
        " of the weights",
        change="take it with autograd: (y,) = torch.autograd.grad(f(h).sum(), h,"
        " create_graph=True), or torch.autograd.functional.vjp, .jacobian, .hessian with"
        " create_graph=True",
    )


def _forward_transform() -> UnsupportedError:
    return UnsupportedError(
        running_line(),
        expected=_OF_GRAPH,
        got="a derivative in forward mode (torch.func.jvp, jacfwd, hessian; forward_ad): eager"
        " torch carries tangents beside the values; the plan would lose them",
        change="take it with autograd, create_graph=True: torch.autograd.functional.jvp(f, h, v),"
        " .jacobian(f, h), .hessian(f, h); or write the derivative out with operators of torch",
    )


def _packed() -> UnsupportedError:
    return UnsupportedError(
        running_line(),
        expected="layers over time that are given one sample, a tensor",
        got="a packed sequence (pack_padded_sequence, pack_sequence): eager torch leaves out what"
        " pads the shorter samples of a batch; a plan trains one sample at a time, of one length",
        change="leave out packing and give the layer the sequence itself; where samples are padded"
        " at the end, take each step's output (batch_first: output[:, length - 1] by gather), which"
        " padding behind it does not change",
    )


def _generator_set() -> UnsupportedError:
    return UnsupportedError(
        running_line(),
        expected="draws that go on from the generator's state, which each sample has for itself",
        got="the generator set or seeded in forward: eager torch draws the same numbers again; the"
        " plan would draw others",
        change="draw once and use the result twice; numbers that are the same in every call are"
        " made in __init__ and kept in a buffer (register_buffer)",
    )


def _refusing(refusal: Callable[[], UnsupportedError]) -> Callable[..., Any]:
    def refuse(*_: Any, **__: Any) -> Any:
        raise refusal()

    return refuse


def _refusing_the_users(own: Callable[..., Any]) -> Callable[..., Any]:
    """Like a function of torch, but for calls from the model's own lines."""

    def called(*args: Any, **named: Any) -> Any:
        if is_running(sys._getframe(1).f_code.co_filename):
            raise _generator_set()
        return own(*args, **named)

    return called


_REFUSED = (
    (eager_transforms, "grad_increment_nesting", _backward_transform),
    (eager_transforms, "jvp_increment_nesting", _forward_transform),
    (dual_level, "__enter__", _forward_transform),
    (PackedSequence, "__new__", _packed),
)
_SETTING = tuple(
    (module, name) for module in (torch, torch.random) for name in ("manual_seed", "set_rng_state")
)


@contextmanager
def refusing_entries() -> Iterator[None]:
    """Raises UnsupportedError, with its line, when what runs inside calls one of these."""
    patches = [(holder, name, _refusing(refusal)) for holder, name, refusal in _REFUSED]
    patches += [(h, name, _refusing_the_users(vars(h)[name])) for h, name in _SETTING]
    before = [(holder, name, vars(holder)[name]) for holder, name, _ in patches]
    for holder, name, made in patches:
        setattr(holder, name, made)
    try:
        yield
    finally:
        for holder, name, own in before:
            setattr(holder, name, own)
