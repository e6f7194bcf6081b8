"""Spherical interpolation of two networks' weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ...errors import UserError

_PARALLEL = 1e-6


def slerp(a: Mapping[str, Tensor], b: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """Weights on the arc from `a` (share 0) to `b` (share 1), tensor by tensor.

    omega is the angle between the flattened tensors; the weights are sin((1 - t) omega) and
    sin(t omega) over sin(omega), and 1 - t and t where the tensors are parallel. Tensors that are
    no floating point numbers are those of `a`. Raises UserError for other names or shapes.
    """
    if a.keys() != b.keys() or any(a[name].shape != b[name].shape for name in a):
        differing = sorted(a.keys() ^ b.keys()) or [n for n in a if a[n].shape != b[n].shape]
        raise UserError(
            "spherical merge",
            expected="two sets of weights with the same names and shapes",
            got=f"a difference in {differing[0]}",
            change="merge two networks tuned from the same start",
        )
    return {n: _on_arc(a[n], b[n], share) if a[n].is_floating_point() else a[n] for n in a}


def _on_arc(a: Tensor, b: Tensor, share: float) -> Tensor:
    x, y = a.double().flatten(), b.double().flatten()
    length = x.norm() * y.norm()
    cosine = (x @ y / length).clamp(-1, 1) if length > 0 else torch.ones((), dtype=torch.float64)
    omega = torch.arccos(cosine)
    if torch.sin(omega) < _PARALLEL:
        first, second = torch.tensor(1 - share), torch.tensor(share)
    else:
        first, second = (torch.sin(t * omega) / torch.sin(omega) for t in (1 - share, share))
    return (first * x + second * y).reshape(a.shape).to(a.dtype)
