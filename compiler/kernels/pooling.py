"""Pooling and resampling: one vector pass per position of a window, borders from the neighbours."""

from __future__ import annotations

from math import prod

from torch import Tensor, fx

from ..machine.collectives import transfer, words
from ..machine.cost import Cost
from .roles import dtype_of, operand, operator_of, tensors_of
from .site import Site

# operator -> (position of the kernel argument, of the image)
POOLING: dict[str, tuple[int, int]] = {
    "aten.avg_pool2d.default": (1, 0),
    "aten.avg_pool3d.default": (1, 0),
    "aten.avg_pool2d_backward.default": (2, 1),
    "aten.avg_pool3d_backward.default": (2, 1),
    "aten.max_pool2d_with_indices.default": (1, 0),
    "aten.max_pool3d_with_indices.default": (1, 0),
    "aten.max_pool2d_with_indices_backward.default": (2, 1),
    "aten.max_pool3d_with_indices_backward.default": (2, 1),
}

# operator -> spatial dimensions, of averages whose windows are whatever gives the size asked for
ADAPTIVE: dict[str, int] = {
    "aten._adaptive_avg_pool2d.default": 2,
    "aten._adaptive_avg_pool2d_backward.default": 2,
    "aten._adaptive_avg_pool3d.default": 3,
    "aten._adaptive_avg_pool3d_backward.default": 3,
}

# operator -> pixels of the source that a pixel of the result is made of
RESAMPLING: dict[str, int] = {
    "aten.upsample_bicubic2d.default": 16,
    "aten.upsample_bicubic2d_backward.default": 16,
    "aten.upsample_bilinear2d.default": 4,
    "aten.upsample_bilinear2d_backward.default": 4,
    "aten.upsample_nearest2d.default": 1,
    "aten.upsample_nearest2d_backward.default": 1,
}


def resampling(node: fx.Node, site: Site, taps: int) -> Cost:
    """Cost of a change of resolution: a pass per tap, on the larger image, and its borders."""
    source, result = tensors_of(operand(node, 0))[0], tensors_of(node)[0]
    elements = site.share(max(source.numel(), result.numel()))
    compute = site.vector_cycles(elements, dtype_of(node), taps)
    border = words(site.target.noc, site.share(source.numel()), source.element_size())
    neighbours = (site.tilings.height * site.tilings.width > 1).astype(int)
    return Cost(compute, transfer(site.target.noc, border, neighbours, 1))


def pooling(node: fx.Node, site: Site) -> Cost:
    """Cost of a pooling operator: each input element is visited once per window it lies in."""
    kernel_argument, image_argument = POOLING[operator_of(node)]
    image = tensors_of(operand(node, image_argument))[0]
    pooled = operand(node, 0) if "backward" in operator_of(node) else node
    kernel = [int(size) for size in node.args[kernel_argument]]  # type: ignore[union-attr]
    return _windows(image, tensors_of(pooled)[0].numel(), prod(kernel), node, site)


def adaptive_pooling(node: fx.Node, site: Site) -> Cost:
    """Cost of an average over the windows that give the asked size, each as large as the largest.

    Output o of n inputs averages [floor(o n / m), ceil((o + 1) n / m)) along an axis of size m.
    """
    image, result = tensors_of(operand(node, 0))[0], tensors_of(node)[0]
    if "backward" in operator_of(node):
        image, result = tensors_of(operand(node, 1))[0], image
    rank = ADAPTIVE[operator_of(node)]
    sizes = zip(image.shape[-rank:], result.shape[-rank:], strict=True)
    return _windows(image, result.numel(), prod(_largest(n, m) for n, m in sizes), node, site)


def _largest(inputs: int, outputs: int) -> int:
    return max(-(-(o + 1) * inputs // outputs) - o * inputs // outputs for o in range(outputs))


def _windows(image: Tensor, windows: int, taps: int, node: fx.Node, site: Site) -> Cost:
    """Cost of `windows` windows of `taps` elements over an image."""
    compute = site.vector_cycles(site.share(windows), dtype_of(node), taps)
    overlap = max(0, windows * taps - image.numel())
    border = words(site.target.noc, site.share(overlap), image.element_size())
    neighbours = (site.tilings.height * site.tilings.width > 1).astype(int)
    return Cost(compute, transfer(site.target.noc, border, neighbours, 1))
