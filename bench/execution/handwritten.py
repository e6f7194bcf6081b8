"""What a user of JAX would write by hand to train at batch size 1: no pipeline, no weft.

Each model is a loss of (parameters, state, sample), with the names and the numbers of its torch
counterpart in `cases.py`; weights of linear layers are transposed. The loop is one jitted
`lax.scan` over a chunk of samples with donated parameters, velocities and state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Array = Any
Arrays = Mapping[str, Array]
JaxLoss = Callable[[Arrays, Arrays, Array, Array], tuple[Array, dict[str, Array]]]
"""(parameters, state, x, y) -> (loss, what the state becomes by name)."""


def mlp_loss(p: Arrays, state: Arrays, x: Array, y: Array) -> tuple[Array, dict[str, Array]]:
    """Linear and ReLU alternating, cross-entropy of the last layer."""
    layers = sorted({int(name.split(".")[0]) for name in p})
    for layer in layers:
        x = _linear(p, f"{layer}", x if layer == 0 else jax.nn.relu(x))
    return _cross_entropy(x, y), {}


def gpt_loss(
    p: Arrays, state: Arrays, x: Array, y: Array, *, heads: int
) -> tuple[Array, dict[str, Array]]:
    """A pre-norm decoder with causal attention; mean cross-entropy over the positions."""
    x = p["bytes.weight"][x] + p["places"]
    blocks = {name.split(".")[1] for name in p if name.startswith("blocks.")}
    for block in map(str, range(len(blocks))):
        x = x + _attention(p, f"blocks.{block}", _layer_norm(p, f"blocks.{block}.norm1", x), heads)
        up = _linear(p, f"blocks.{block}.mlp.up", _layer_norm(p, f"blocks.{block}.norm2", x))
        x = x + _linear(p, f"blocks.{block}.mlp.down", jax.nn.relu(up))
    scores = _linear(p, "head", _layer_norm(p, "norm", x))
    return _cross_entropy(scores.reshape(-1, scores.shape[-1]), y.reshape(-1)), {}


def resnet_loss(
    p: Arrays, state: Arrays, x: Array, y: Array, *, strides: Mapping[str, int]
) -> tuple[Array, dict[str, Array]]:
    """A pre-activation ResNet with Online Normalization.

    The gradient with respect to u and v in `state` is what they become, see `_online_norm`.
    """
    new: dict[str, Array] = {}
    x = _conv(p["stem.weight"], x, 1)
    for block, stride in strides.items():
        active = _normed(p, state, new, f"{block}.norm1", x)
        shortcut = p.get(f"{block}.projection.weight")
        identity = x if shortcut is None else _conv(shortcut, active, stride)
        x = _conv(p[f"{block}.conv1.weight"], active, stride)
        active = _normed(p, state, new, f"{block}.norm2", x)
        x = _conv(p[f"{block}.conv2.weight"], active, 1) + identity
    x = _normed(p, state, new, "norm", x).mean((2, 3))
    return _cross_entropy(_linear(p, "classifier", x), y), new


@partial(jax.jit, static_argnums=(0, 4, 5, 6, 7), donate_argnums=(1, 2))
def train_chunk(
    loss: JaxLoss,
    parameters: dict[str, Array],
    carried: tuple[dict[str, Array], dict[str, Array]],
    samples: tuple[Array, Array],
    rate: float,
    momentum: float,
    weight_decay: float = 0.0,
    clip_norm: float | None = None,
) -> tuple[dict[str, Array], tuple[dict[str, Array], dict[str, Array]], Array]:
    """SGDM over (N, 1, ...) samples; `carried` holds velocities and state. Also the losses (N,).

    `clip_norm` cuts the 2-norm of all gradients together, before weight decay.
    """

    def step(carry: Any, sample: tuple[Array, Array]) -> tuple[Any, Array]:
        parameters, velocity, state = carry
        gradient = jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)
        (value, advanced), (grads, controls) = gradient(parameters, state, *sample)
        grads = grads if clip_norm is None else _clipped(grads, clip_norm)
        if weight_decay:
            grads = jax.tree.map(lambda g, w: g + weight_decay * w, grads, parameters)
        velocity = jax.tree.map(lambda v, g: momentum * v + g, velocity, grads)
        parameters = jax.tree.map(lambda w, v: w - rate * v, parameters, velocity)
        state = {**controls, **advanced} if state else state
        return (parameters, velocity, state), value

    (parameters, velocity, state), losses = lax.scan(
        step, (parameters, *carried), samples, unroll=_unrolled(parameters)
    )
    return parameters, (velocity, state), losses


def _clipped(grads: Arrays, most: float) -> Arrays:
    square = sum(jnp.vdot(g, g) for g in grads.values())
    scale = jnp.minimum(1.0, most * lax.rsqrt(square))
    return {name: g * scale for name, g in grads.items()}


def _unrolled(parameters: Arrays) -> int:
    """Steps at a time: small ones gain (a perceptron takes 0.83 of its time), large ones do not."""
    return 4 if len(parameters) <= 40 else 1


def _linear(p: Arrays, name: str, x: Array) -> Array:
    """The weight is (in, out), as JAX users keep it, and three times as fast here as (out, in)."""
    return x @ p[f"{name}.weight"] + p[f"{name}.bias"]


def _cross_entropy(scores: Array, y: Array) -> Array:
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(scores), y[:, None], 1))


def _layer_norm(p: Arrays, name: str, x: Array) -> Array:
    centred = x - jnp.mean(x, -1, keepdims=True)
    scale = lax.rsqrt(jnp.mean(centred * centred, -1, keepdims=True) + 1e-5)
    return centred * scale * p[f"{name}.weight"] + p[f"{name}.bias"]


def _attention(p: Arrays, name: str, x: Array, heads: int) -> Array:
    n, t, width = x.shape
    query, key, value = (
        _linear(p, f"{name}.{part}", x).reshape(n, t, heads, -1).swapaxes(1, 2)
        for part in ("query", "key", "value")
    )
    scores = query @ key.swapaxes(-2, -1) * (width // heads) ** -0.5
    mask = jnp.where(jnp.triu(jnp.ones((t, t)), 1) > 0, -1e9, 0.0)
    mixed = jax.nn.softmax(scores + mask, -1) @ value
    return _linear(p, f"{name}.out", mixed.swapaxes(1, 2).reshape(n, t, width))


def _conv(weight: Array, x: Array, stride: int) -> Array:
    """A convolution of one sample (1, C, H, W), on a CPU as slices and one matrix product.

    In a training step of ResNet-20 that is twelve times as fast there as
    `lax.conv_general_dilated`, which XLA runs as plain loops.
    """
    out, channels, kernel, _ = weight.shape
    pad, (height, width) = kernel // 2, x.shape[2:]
    if jax.default_backend() != "cpu":
        return lax.conv_general_dilated(x, weight, (stride, stride), [(pad, pad)] * 2)
    padded = jnp.pad(x[0], ((0, 0), (pad, pad), (pad, pad)))
    rows, columns = -(-height // stride), -(-width // stride)
    last = (rows - 1) * stride + 1, (columns - 1) * stride + 1
    windows = [
        lax.slice(padded, (0, i, j), (channels, i + last[0], j + last[1]), (1, stride, stride))
        for i in range(kernel)
        for j in range(kernel)
    ]
    patches = jnp.stack(windows, 1).reshape(channels * kernel * kernel, rows * columns)
    return (weight.reshape(out, -1) @ patches).reshape(1, out, rows, columns)


def _normed(p: Arrays, state: Arrays, new: dict[str, Array], name: str, x: Array) -> Array:
    """Online Normalization with its clamp, then ReLU."""
    own = [state[f"{name}.{part}"] for part in ("mean", "var", "u", "v")]
    y, new[f"{name}.mean"], new[f"{name}.var"] = _online_norm(x, *own)
    y = y * p[f"{name}.weight"][:, None, None] + p[f"{name}.bias"][:, None, None]
    return jax.nn.relu(jnp.clip(y, -5.0, 5.0))


_ALPHA_FORWARD, _ALPHA_BACKWARD, _EPS = 0.999, 0.99, 1e-5


@jax.custom_vjp
def _online_norm(
    x: Array, mean: Array, var: Array, u: Array, v: Array
) -> tuple[Array, Array, Array]:
    """Chiley et al. 2019 for one sample (1, C, H, W): y, new mean, new var.

    The "gradients" of u and v are their new values, so that `jax.grad` hands them out.
    """
    return _online_norm_forward(x, mean, var, u, v)[0]


def _online_norm_forward(x: Array, mean: Array, var: Array, u: Array, v: Array) -> tuple[Any, Any]:
    own_mean = x.mean((0, 2, 3))
    own_var = jnp.square(x - own_mean[:, None, None]).mean((0, 2, 3))
    scale = jnp.sqrt(var + _EPS)
    y = (x - mean[:, None, None]) / scale[:, None, None]
    a, step = _ALPHA_FORWARD, own_mean - mean
    new_var = a * var + (1 - a) * own_var + a * (1 - a) * step * step
    return (y, mean + (1 - a) * step, new_var), (y, scale, u, v)


def _online_norm_backward(kept: Any, grads: Any) -> tuple[Array, ...]:
    y, scale, u, v = kept
    grad, leak = grads[0], 1 - _ALPHA_BACKWARD
    along = leak * v
    new_v = v + (grad * y).mean((0, 2, 3)) - along * (y * y).mean((0, 2, 3))
    grad = (grad - along[:, None, None] * y) / scale[:, None, None]
    new_u = u + grad.mean((0, 2, 3)) - leak * u
    return grad - leak * u[:, None, None], jnp.zeros_like(u), jnp.zeros_like(u), new_u, new_v


_online_norm.defvjp(_online_norm_forward, _online_norm_backward)
