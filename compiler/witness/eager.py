"""The module itself, run once by torch: what the stages are held against."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_map_only

from ..capture.capture import own_name, training
from ..capture.custom_backward.parameters import is_of_sparsity
from ..capture.kept.preserved import preserved, swapped
from ..capture.sample import OneSample, Sample, arguments
from .draws import Replay
from .precision import Claimed, Wide, is_real
from .step import WitnessStep


def parameters(sample: OneSample) -> dict[str, nn.Parameter]:
    """Those of model and loss by their first names."""
    return {own_name(name): value for name, value in sample.named_parameters()}


def buffers(sample: OneSample) -> dict[str, Tensor]:
    """Those of model and loss by their first names."""
    return {own_name(name): value for name, value in sample.named_buffers()}


def run_eager(
    sample: OneSample,
    inputs: Sample,
    values: Mapping[str, Tensor],
    dtype: torch.dtype,
    watch: Callable[[], AbstractContextManager] = nullcontext,
    after: Callable[[Tensor], None] = lambda loss: None,
    at_end: Callable[[], None] = lambda: None,
) -> WitnessStep:
    """One step of the model with `values` as parameters and buffers, computed in `dtype`.

    It draws the numbers that the plan draws for its first sample; attention is written out, so that
    its dropout is an operator of its own. The model is afterwards as it was. It runs inside
    `watch()`; `after` is told the loss before its backward runs, `at_end` is called behind it.
    """
    draws, claimed = Replay(0, dtype), claimed_type(sample)
    with (
        values_in(sample, values),
        draws.drawing(),
        watch(),
        sdpa_kernel(SDPBackend.MATH),
        Claimed(dtype, claimed),
        Wide(dtype, draws),
    ):
        trained = parameters(sample)
        args, named = arguments(tree_map_only(Tensor, lambda t: fresh(t, dtype), inputs))
        loss, *outputs = sample(*args, **named)
        results = loss.detach().clone(), tuple(value.detach().clone() for value in outputs)
        after(loss)
        drawn, written = len(draws.made), _versions(sample)
        if loss.requires_grad:
            loss.backward()
        late = [f"{draw.kind} {list(draw.shape)}" for draw in draws.made[drawn:]]
        late += [f"buffer {name}" for name, n in _versions(sample).items() if n != written[name]]
        at_end()
        gradients = {n: dense(p.grad) for n, p in trained.items() if p.grad is not None}
        state = {name: value.data for name, value in {**trained, **buffers(sample)}.items()}
    return WitnessStep(*results, gradients, state, tuple(draws.made), tuple(late))


def _versions(sample: OneSample) -> dict[str, int]:
    """How often each buffer was written to."""
    return {name: value._version for name, value in buffers(sample).items()}


def dense(gradient: Tensor) -> Tensor:
    """A gradient of rows, as sparse embeddings have it, as a whole one."""
    return gradient.to_dense() if gradient.is_sparse else gradient


@contextmanager
def values_in(sample: OneSample, values: Mapping[str, Tensor]) -> Iterator[None]:
    """The model in training mode and with `values`; afterwards it is as it was.

    Buffers are copies of theirs. Masks of weft.sparsity are out of force: executors apply them to
    gradients, and what the plan computes is the same function for all weights.
    """
    with training(sample.model), preserved(sample), without_masks(sample):
        named = {own_name(n): v for n, v in (*sample.named_parameters(), *sample.named_buffers())}
        state = buffers(sample)
        own = {n: values[n].clone() if n in state else values[n] for n in named}
        with (
            swapped(sample, {id(named[n]): value for n, value in own.items()}),
            torch.inference_mode(False),
            torch.enable_grad(),
        ):
            yield


@contextmanager
def without_masks(model: nn.Module) -> Iterator[None]:
    """Without the hooks of weft.sparsity, which are back afterwards."""
    hooked = [p._backward_hooks for p in model.parameters() if p._backward_hooks]
    hooked += [module._forward_pre_hooks for module in model.modules()]
    before = [dict(hooks) for hooks in hooked]
    for hooks in hooked:
        for key in [key for key, hook in hooks.items() if is_of_sparsity(hook)]:
            del hooks[key]
    try:
        yield
    finally:
        for hooks, own in zip(hooked, before, strict=True):
            hooks.clear()
            hooks.update(own)


def fresh(value: Tensor, dtype: torch.dtype) -> Tensor:
    """A copy, of type `dtype` if it is a floating-point tensor."""
    return value.detach().to(dtype, copy=True) if is_real(value) else value.detach().clone()


def claimed_type(model: nn.Module) -> torch.dtype:
    """The floating-point type of most of the model's weights; torch's default if it has none."""
    counts: dict[torch.dtype, int] = {}
    for parameter in model.parameters():
        if parameter.is_floating_point():
            counts[parameter.dtype] = counts.get(parameter.dtype, 0) + parameter.numel()
    return max(counts, key=counts.__getitem__, default=torch.get_default_dtype())
