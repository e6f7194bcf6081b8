"""Every lowering against torch on random inputs; the cases and the table have equal keys."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import weft.backend.ops
from torch import Tensor, fx

jax = pytest.importorskip("jax")
jnp = jax.numpy

from weft.backend.errors import UnsupportedError  # noqa: E402
from weft.compiler.kernels.registry import KERNELS  # noqa: E402
from weft.compiler.plan.program import Origin  # noqa: E402
from weft.runtime.jax.ops.lower import lower  # noqa: E402
from weft.runtime.jax.ops.table import TABLE  # noqa: E402

assert weft.backend.ops.online_norm  # registers torch.ops.weft


def r(*shape: int) -> Tensor:
    return torch.randn(shape)


def positive(*shape: int) -> Tensor:
    return torch.rand(shape) + 0.1


def flags(*shape: int) -> Tensor:
    return torch.rand(shape) < 0.5


def labels(classes: int, *shape: int) -> Tensor:
    return torch.randint(classes, shape)


def ties() -> Tensor:
    """Small whole numbers, so that comparisons meet equal values."""
    return torch.randint(-2, 3, (4, 5)).float()


def definite() -> Tensor:
    x = r(3, 3)
    return x @ x.T + 3 * torch.eye(3)


Case = Callable[[], tuple[Any, ...]]
NORM_OPTIONS = (0.999, 0.99, 1e-5)

UNARY = [
    "neg",
    "abs",
    "sign",
    "exp",
    "tanh",
    "erf",
    "sigmoid",
    "relu",
    "gelu",
    "logical_not",
    "clone",
    "amax",
    "amin",
]
SIGNS_ARE_OPEN = {"aten._linalg_eigh.default", "aten._linalg_svd.default"}
CUMULATIVE = ["cummax", "cummin"]
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]

CASES: dict[str, list[Case]] = {
    **{f"aten.{name}.default": [lambda: (r(3, 4),)] for name in UNARY},
    **{
        f"aten.{name}.default": [lambda: (positive(3, 4),)]
        for name in ("log", "sqrt", "rsqrt", "reciprocal")
    },
    **{
        f"aten.{name}.default": [lambda: (positive(3, 4),)]
        for name in ("digamma", "lgamma", "special_ndtri", "erfinv")
    },
    **{
        f"aten.{name}.default": [lambda: (r(3, 4),)]
        for name in ("erfc", "exp2", "i0", "signbit", "special_i0e", "special_i1", "special_i1e")
    },
    **{f"aten.{name}.default": [lambda: (ties(), ties())] for name in ("fmax", "fmin", "hypot")},
    "aten.polygamma.default": [partial(lambda n: (n, positive(4)), n) for n in (0, 1, 2)],
    **{f"aten.{name}.Scalar": [lambda: (ties(), 1)] for name in COMPARISONS},
    **{f"aten.{name}.Tensor": [lambda: (ties(), ties())] for name in COMPARISONS},
    "aten.gelu.default": [lambda: (r(3, 4),), lambda: (r(3, 4), {"approximate": "tanh"})],
    "aten.add.Tensor": [
        lambda: (r(3, 1), r(4)),
        lambda: (r(3), r(3), {"alpha": 2}),
        lambda: (labels(9, 3), r(3)),
    ],
    "aten.add.Scalar": [lambda: (r(3), 2.5), lambda: (labels(9, 3), 2)],
    "aten.sub.Tensor": [lambda: (r(3), r(3), {"alpha": 0.5})],
    "aten.sub.Scalar": [lambda: (r(3), 2)],
    "aten.rsub.Scalar": [lambda: (r(3), 2)],
    "aten.mul.Tensor": [lambda: (r(3, 1), r(4))],
    "aten.mul.Scalar": [lambda: (r(3), 2)],
    "aten.div.Tensor": [lambda: (r(3), positive(3))],
    "aten.div.Tensor_mode": [
        lambda: (r(3), positive(3), {"rounding_mode": None}),
        lambda: (r(3), positive(3), {"rounding_mode": "floor"}),
        lambda: (r(3), positive(3), {"rounding_mode": "trunc"}),
    ],
    "aten.div.Scalar": [lambda: (r(3), 4), lambda: (labels(9, 3), 4)],
    "aten.pow.Tensor_Scalar": [lambda: (r(3), 2), lambda: (positive(3), -0.5)],
    "aten.pow.Tensor_Tensor": [lambda: (positive(3), r(3))],
    "aten.maximum.default": [lambda: (r(3), r(3))],
    "aten.minimum.default": [lambda: (r(3), r(3))],
    "aten.clamp.default": [
        lambda: (r(9), -0.5, 0.5),
        lambda: (r(9), None, 0.5),
        lambda: (r(9), -0.5),
    ],
    "aten.hardtanh.default": [lambda: (3 * r(9),), lambda: (9 * r(9), -5.0, 5.0)],
    "aten.threshold_backward.default": [lambda: (r(4, 5), ties(), 0)],
    "aten.bitwise_and.Tensor": [lambda: (flags(9), flags(9))],
    "aten.bitwise_or.Tensor": [lambda: (flags(9), flags(9))],
    "aten.bitwise_not.default": [lambda: (flags(9),)],
    "aten.logical_and.default": [lambda: (ties(), ties())],
    "aten.logical_or.default": [lambda: (ties(), ties())],
    "aten.where.self": [lambda: (flags(3, 4), r(3, 4), torch.tensor(0.0))],
    "aten.sum.default": [lambda: (r(3, 4),)],
    "aten.sum.dim_IntList": [
        lambda: (r(2, 3, 4), [0, 2], True),
        lambda: (r(2, 3), []),
        lambda: (flags(2, 3), [1]),
    ],
    "aten.mean.default": [lambda: (r(3, 4),)],
    "aten.mean.dim": [lambda: (r(2, 3, 4), [-1, -2], True), lambda: (r(2, 3), [0])],
    "aten.amax.default": [lambda: (r(2, 3), [1], True)],
    "aten.amin.default": [lambda: (r(2, 3), [1])],
    "aten.var.correction": [
        lambda: (r(2, 9), [1], {"correction": 0, "keepdim": True}),
        lambda: (r(2, 9),),
    ],
    "aten.view.default": [lambda: (r(2, 6), [3, -1])],
    "aten.reshape.default": [lambda: (r(2, 6), [3, 4])],
    "aten._unsafe_view.default": [lambda: (r(2, 6), [12])],
    "aten.view.dtype": [
        lambda: (r(2, 6), torch.int32),
        lambda: (r(2, 6), torch.int16),
        lambda: (r(2, 6).half(), torch.float32),
    ],
    "aten.permute.default": [lambda: (r(2, 3, 4), [2, 0, 1])],
    "aten.transpose.int": [lambda: (r(2, 3, 4), -1, 0)],
    "aten.t.default": [lambda: (r(2, 3),)],
    "aten.expand.default": [lambda: (r(3, 1), [2, -1, 4])],
    "aten.unsqueeze.default": [lambda: (r(2, 3), 1), lambda: (r(2, 3), -1)],
    "aten.squeeze.dim": [lambda: (r(1, 3), 0), lambda: (r(2, 3), 0)],
    "aten.squeeze.dims": [lambda: (r(1, 3, 1), [0, 1, 2])],
    "aten.slice.Tensor": [lambda: (r(5, 6), 1, 1, 5, 2), lambda: (r(5, 6), 0, -3, 2**63 - 1)],
    "aten.diagonal_scatter.default": [
        lambda: (r(3, 4), r(3)),
        lambda: (r(3, 2, 4), r(2, 2), -1, 0, 2),
    ],
    "aten.as_strided_scatter.default": [lambda: (r(6), r(2, 2), [2, 2], [1, 3], 1)],
    **{f"aten.{name}.default": [lambda: (ties(), 1), lambda: (r(5), 0)] for name in CUMULATIVE},
    "aten.logcumsumexp.default": [lambda: (r(3, 4), 1)],
    "aten._linalg_det.default": [lambda: (r(2, 3, 3),)],
    "aten._linalg_slogdet.default": [lambda: (r(2, 3, 3),)],
    "aten._linalg_eigh.default": [lambda: (r(2, 4, 4),), lambda: (r(3, 3), "U", False)],
    "aten._linalg_solve_ex.default": [
        lambda: (r(2, 3, 3), r(2, 3, 4)),
        lambda: (r(3, 3), r(3)),
        lambda: (r(3, 3), r(2, 3), {"left": False}),
    ],
    "aten._linalg_svd.default": [lambda: (r(2, 4, 3),), lambda: (r(3, 4), True, True)],
    "aten.cholesky.default": [lambda: (definite(),), lambda: (definite(), True)],
    "aten.cholesky_inverse.default": [lambda: (torch.linalg.cholesky(definite()),)],
    "aten.cholesky_solve.default": [
        lambda: (r(3, 2), torch.linalg.cholesky(definite())),
        lambda: (r(3, 2), torch.linalg.cholesky(definite(), upper=True), True),
    ],
    "aten.linalg_cholesky_ex.default": [lambda: (definite(),)],
    "aten.linalg_householder_product.default": [lambda: torch.geqrf(r(4, 3))],
    "aten.linalg_inv_ex.default": [lambda: (definite(),)],
    "aten.linalg_lu.default": [lambda: (r(2, 4, 3),)],
    "aten.linalg_lu_factor_ex.default": [lambda: (r(2, 3, 3),)],
    "aten.linalg_lu_solve.default": [
        lambda: (*torch.linalg.lu_factor(r(3, 3)), r(3, 2)),
        lambda: (*torch.linalg.lu_factor(r(3, 3)), r(3, 2), {"adjoint": True}),
        lambda: (*torch.linalg.lu_factor(r(3, 3)), r(2, 3), {"left": False}),
    ],
    "aten.linalg_matrix_exp.default": [lambda: (r(2, 3, 3),)],
    "aten.linalg_qr.default": [
        lambda: (r(2, 4, 3),),
        lambda: (r(4, 3), "complete"),
        lambda: (r(3, 4), "r"),
    ],
    "aten.linalg_solve_triangular.default": [
        lambda: (definite(), r(3, 2), {"upper": True}),
        lambda: (definite(), r(2, 2, 3), {"upper": False, "left": False, "unitriangular": True}),
    ],
    "aten.lu_unpack.default": [lambda: torch.linalg.lu_factor(r(4, 3))],
    "aten.triangular_solve.default": [
        lambda: (r(3, 2), definite()),
        lambda: (r(3, 2), definite(), False, True, True),
    ],
    "aten.select.int": [lambda: (r(3, 4), 1, 2), lambda: (r(3, 4), 0, -1)],
    "aten.cat.default": [lambda: ([r(2, 3), r(1, 3)],), lambda: ([r(2, 3), r(2, 1)], 1)],
    "aten.flip.default": [lambda: (r(2, 3), [0, 1])],
    "aten.constant_pad_nd.default": [
        lambda: (r(2, 3), [1, 2], 0.5),
        lambda: (r(2, 3), [1, 0, 0, 2]),
        lambda: (r(2, 3), [-1, 2, 0, -1]),
    ],
    "aten.gather.default": [lambda: (r(3, 5), 1, labels(5, 3, 2))],
    "aten.scatter.value": [lambda: (r(3, 5), 1, labels(5, 3, 1), -1.0)],
    "aten.scatter.src": [
        lambda: (r(3, 5), 1, torch.tensor([[0, 4]] * 3), r(3, 2)),
        lambda: (r(3, 5), 1, torch.tensor([[0, 4], [3, 1]]), r(3, 4)),
    ],
    "aten.index_put.default": [
        lambda: (r(7, 3), [labels(7, 2, 4)], r(2, 4, 3), True),
        lambda: (r(4, 5), [None, torch.tensor([1, 3])], r(4, 2)),
    ],
    "aten.embedding.default": [lambda: (r(7, 3), labels(7, 2, 4))],
    "aten.embedding_dense_backward.default": [
        lambda: (r(2, 4, 3), labels(7, 2, 4), 7, -1, False),
        lambda: (r(9, 3), labels(3, 9), 3, 1, False),
    ],
    "aten._to_copy.default": [lambda: (labels(9, 3), {"dtype": torch.float32})],
    "aten.full.default": [lambda: ([2, 3], 1.5), lambda: ([2], 7, {"dtype": torch.int32})],
    "aten.full_like.default": [lambda: (r(2, 3), 0)],
    "aten.scalar_tensor.default": [lambda: (0, {"dtype": torch.float32}), lambda: (2.5,)],
    "aten.arange.start_step": [lambda: (1, 9, 2), lambda: (0, 3)],
    "aten.mm.default": [lambda: (r(3, 4), r(4, 5))],
    "aten.bmm.default": [lambda: (r(2, 3, 4), r(2, 4, 5))],
    "aten.addmm.default": [
        lambda: (r(5), r(3, 4), r(4, 5)),
        lambda: (r(5), r(3, 4), r(4, 5), {"beta": 0.5, "alpha": 2}),
    ],
    "weft.routed_mm.default": [lambda: (r(6, 4), r(3, 4, 5), labels(4, 6) - 1, 2, 4)],
    "weft.routed_mm_weight.default": [lambda: (r(6, 4), r(6, 5), labels(4, 6) - 1, 3, 2, 4)],
    "aten.baddbmm.default": [lambda: (r(2, 3, 5), r(2, 3, 4), r(2, 4, 5))],
    "aten.convolution.default": [
        lambda: (r(1, 3, 6, 5), r(4, 3, 3, 3), r(4), [1, 1], [1, 1], [1, 1], False, [0, 0], 1),
        lambda: (r(2, 3, 9, 7), r(4, 3, 3, 2), None, [2, 1], [0, 2], [1, 2], False, [0, 0], 1),
        lambda: (r(1, 4, 6, 6), r(6, 2, 3, 3), None, [1, 1], [1, 1], [1, 1], False, [0, 0], 2),
        lambda: (r(1, 4, 5, 5), r(4, 3, 3, 3), r(6), [2, 2], [1, 1], [1, 1], True, [1, 1], 2),
        lambda: (r(2, 3, 9), r(4, 3, 3), None, [2], [1], [1], False, [0], 1),
        lambda: (r(1, 2, 4, 4, 3), r(3, 2, 2, 2, 2), None, *([[1] * 3] * 3), False, [0] * 3, 1),
    ],
    "aten.convolution_backward.default": [
        lambda: convolution_backward((1, 3, 6, 5), (4, 3, 3, 3), [1, 1], [1, 1], [1, 1]),
        lambda: convolution_backward((2, 3, 9, 7), (4, 3, 3, 2), [2, 1], [0, 2], [1, 2]),
        lambda: convolution_backward((1, 3, 8, 8), (4, 3, 1, 1), [2, 2], [0, 0], [1, 1]),
        lambda: convolution_backward((2, 3, 9, 7), (4, 3, 3, 2), [1, 1], [1, 0], [2, 3]),
        lambda: convolution_backward((2, 3, 5, 5), (4, 3, 3, 1), [1, 1], [3, 0], [1, 1]),
        lambda: convolution_backward((1, 2, 5, 5), (7, 2, 3, 3), [1, 1], [1, 1], [1, 1]),
        lambda: convolution_backward((2, 3, 9), (4, 3, 3), [1], [2], [2]),
        lambda: convolution_backward((1, 5, 1, 1), (4, 5, 3, 3), [1, 1], [1, 1], [1, 1]),
        lambda: convolution_backward((2, 5, 1, 1), (4, 5, 3, 3), [1, 1], [1, 1], [1, 1]),
        lambda: convolution_backward((1, 5, 2, 2), (6, 5, 3, 3), [2, 2], [1, 1], [1, 1]),
        lambda: convolution_backward((1, 6, 2, 2), (7, 6, 3, 3), [1, 1], [1, 1], [1, 1]),
        lambda: convolution_backward((2, 6, 3, 2), (9, 6, 3, 2), [1, 2], [1, 0], [1, 1]),
        lambda: convolution_backward((2, 4, 6, 6), (6, 2, 3, 3), [1, 1], [1, 1], [1, 1], groups=2),
        lambda: convolution_backward(
            (1, 4, 5, 5), (4, 3, 3, 3), [2, 2], [1, 1], [1, 1], transposed=True
        ),
    ],
    "aten.avg_pool2d.default": [
        lambda: (r(2, 3, 6, 6), [2, 2]),
        lambda: (r(1, 3, 7, 6), [3, 2], [2, 1], [1, 0]),
    ],
    "aten.avg_pool2d_backward.default": [
        lambda: (r(1, 3, 3, 3), r(1, 3, 6, 6), [2, 2], [2, 2], [0, 0], False, True, None)
    ],
    "weft.online_norm.default": [
        lambda: (r(1, 3, 4, 4), *statistics(3), 0.9, 0.8, 1e-5),
        lambda: (r(5, 3, 4, 4), *statistics(3), 0.9, 0.8, 1e-5),
        lambda: (r(1, 3), *statistics(3), 0.999, 0.99, 1e-5),
        lambda: (r(4, 3), *statistics(3), 0.9, 0.8, 1e-5),
    ],
    "weft.online_norm_backward.default": [
        lambda: (r(1, 3, 4, 4), r(1, 3, 4, 4), positive(1, 3), r(3), r(3), 0.8),
        lambda: (r(5, 3, 4, 4), r(5, 3, 4, 4), positive(5, 3), r(3), r(3), 0.8),
        lambda: (r(4, 3), r(4, 3), positive(4, 3), r(3), r(3), 0.8),
    ],
    "aten.native_group_norm.default": [
        lambda: (r(2, 6, 3, 3), r(6), r(6), 2, 6, 9, 3, 1e-5),
        lambda: (r(2, 6, 3, 3), None, None, 2, 6, 9, 2, 1e-5),
    ],
    "aten.native_group_norm_backward.default": [
        lambda: group_norm_backward(r(6), [True, True, True]),
        lambda: group_norm_backward(None, [True, False, False]),
    ],
    "aten.native_layer_norm.default": [lambda: (r(2, 3, 4), [3, 4], r(3, 4), r(3, 4), 1e-5)],
    "aten.native_layer_norm_backward.default": [
        lambda: layer_norm_backward(r(4)),
        lambda: layer_norm_backward(None),
    ],
    "aten._softmax.default": [lambda: (r(3, 4), 1, False)],
    "aten._softmax_backward_data.default": [
        lambda: (r(3, 4), torch.softmax(r(3, 4), 1), 1, torch.float32)
    ],
    "aten._log_softmax.default": [lambda: (r(3, 4), -1, False)],
    "aten._log_softmax_backward_data.default": [
        lambda: (r(3, 4), torch.log_softmax(r(3, 4), 0), 0, torch.float32)
    ],
}


POOLED = [
    ([3, 2], [2, 1], [1, 0], [1, 1], False),
    ([3, 3], [2, 2], [1, 1], [1, 1], True),
    ([2, 2], [2, 2], [0, 0], [2, 1], True),
]
"""Windows that overlap, leave a rest at the end, and have holes."""


def max_pool_backward(window: tuple[Any, ...]) -> tuple[Any, ...]:
    x = r(2, 3, 8, 7)
    y, indices = torch.ops.aten.max_pool2d_with_indices(x, *window)
    return (torch.randn_like(y), x, *window, indices)


def average_pool_backward(options: tuple[Any, ...]) -> tuple[Any, ...]:
    x = r(1, 2, 8, 7)
    y = torch.ops.aten.avg_pool2d(x, *options)
    return (torch.randn_like(y), x, *options)


AVERAGED = [
    ([3, 2], [2, 1], [1, 0], True, True, None),
    ([3, 3], [2, 2], [1, 1], True, False, None),
    ([3, 3], [2, 2], [1, 1], False, True, 5),
]

UNDEFINED = {
    "aten.empty.memory_format": [lambda: ([2, 3],)],
    "aten.empty_like.default": [lambda: (r(2, 3),)],
    "aten.empty_permuted.default": [lambda: ([2, 3], [1, 0])],
    "aten.empty_strided.default": [lambda: ([2, 3], [1, 2])],
    "aten.new_empty.default": [lambda: (r(2), [2, 3])],
}
"""Operators whose values torch leaves unset."""

CASES |= {
    f"aten.{name}.default": [lambda: (3 * r(4, 5),)]
    for name in [
        "sin",
        "cos",
        "tan",
        "sinh",
        "cosh",
        "floor",
        "ceil",
        "round",
        "trunc",
        "expm1",
        "asinh",
        "atan",
        "silu",
        "elu",
        "leaky_relu",
        "alias",
        "detach",
        "squeeze",
        "tril",
        "triu",
        "zeros_like",
        "ones_like",
        "max",
        "min",
        "any",
        "argmax",
        "argmin",
        "prod",
    ]
}
CASES |= {
    f"aten.{name}.default": [lambda: (positive(4, 5),)] for name in ("log2", "log10", "log1p")
}
CASES |= {
    f"aten.{name}.default": [lambda: (1.8 * torch.rand(9) - 0.9,)]
    for name in ("asin", "acos", "atanh")
}
CASES |= {
    f"aten.upsample_{kind}2d.default": [
        lambda align=align: (r(1, 2, 4, 5), [9, 7], *align),
        lambda align=align: (r(1, 2, 4, 5), [8, 10], *align, 2.0, 2.0),
    ]
    for kind, align in (("nearest", ()), ("bilinear", (False,)), ("bicubic", (True,)))
}
CASES |= {
    f"aten.upsample_{kind}2d_backward.default": [
        lambda align=align: (r(1, 2, 9, 7), [9, 7], [1, 2, 4, 5], *align),
    ]
    for kind, align in (("nearest", ()), ("bilinear", (True,)), ("bicubic", (False,)))
}
CASES |= UNDEFINED
CASES |= {
    "weft.local_loss.default": [lambda: (r(3, 4), torch.tensor(2.0))],
    "aten.acosh.default": [lambda: (1 + positive(9),)],
    "aten.atan2.default": [lambda: (r(9), r(9))],
    "aten.isnan.default": [lambda: (torch.tensor([1.0, float("nan"), float("inf")]),)],
    "aten.isinf.default": [lambda: (torch.tensor([1.0, float("nan"), -float("inf")]),)],
    "aten.logical_xor.default": [lambda: (ties(), ties())],
    "aten.addcmul.default": [lambda: (r(9), r(9), r(9), {"value": 0.5})],
    "aten.gelu_backward.default": [
        lambda: (r(9), r(9)),
        lambda: (r(9), r(9), {"approximate": "tanh"}),
    ],
    "aten.sigmoid_backward.default": [lambda: (r(9), torch.rand(9))],
    "aten.tanh_backward.default": [lambda: (r(9), torch.rand(9))],
    "aten.clamp.Tensor": [lambda: (3 * r(9), -positive(9), positive(9))],
    "aten.clamp_max.default": [lambda: (r(9), 0.5)],
    "aten.clamp_min.default": [lambda: (r(9), 0.5)],
    "aten.div.Scalar_mode": [
        lambda: (9 * r(9), 2, {"rounding_mode": "floor"}),
        lambda: (9 * r(9), 2, {"rounding_mode": "trunc"}),
    ],
    "aten.bitwise_and.Scalar": [lambda: (labels(9, 9), 3)],
    "aten.bitwise_or.Scalar": [lambda: (labels(9, 9), 3)],
    "aten.bitwise_xor.Scalar": [lambda: (labels(9, 9), 3)],
    "aten.bitwise_xor.Tensor": [lambda: (labels(9, 9), labels(9, 9))],
    "aten.fmod.Scalar": [lambda: (9 * r(9), 2)],
    "aten.fmod.Tensor": [lambda: (9 * r(9), positive(9))],
    "aten.remainder.Scalar": [lambda: (9 * r(9), -2)],
    "aten.remainder.Tensor": [lambda: (labels(90, 9), labels(5, 9) + 1)],
    "aten.pow.Scalar": [lambda: (2, r(9))],
    "aten.any.dim": [lambda: (ties(), 1, True)],
    "aten.any.dims": [lambda: (ties(), [0, 1]), lambda: (flags(2, 3), [1], True)],
    "aten.max.dim": [lambda: (r(3, 4), 1), lambda: (r(3, 4), 0, True)],
    "aten.min.dim": [lambda: (r(3, 4), 1)],
    "aten.cumsum.default": [lambda: (r(3, 4), 1)],
    "aten.prod.dim_int": [lambda: (r(3, 4), 1, True)],
    "aten.var_mean.correction": [
        lambda: (r(2, 9), [1], {"correction": 0, "keepdim": True}),
        lambda: (r(2, 9),),
    ],
    "aten.linalg_vector_norm.default": [
        lambda: (r(3, 4),),
        lambda: (r(3, 4), 1, [1]),
        lambda: (r(3, 4), 3, [0], True),
        lambda: (r(3, 4), float("inf")),
        lambda: (ties(), 0),
    ],
    "weft.uniform.default": [lambda: (torch.tensor([3, 70000]), [4, 5])],
    "aten.copy.default": [lambda: (r(2, 3), r(1, 3))],
    "aten.as_strided.default": [lambda: (r(4, 5), [3, 2], [5, 2], 1)],
    "aten.diagonal.default": [lambda: (r(2, 3, 4), 1, 1, 2)],
    "aten.index.Tensor": [
        lambda: (r(7, 3), [labels(7, 2, 4)]),
        lambda: (r(4, 5), [None, torch.tensor([1, 3])]),
    ],
    "aten.index_select.default": [lambda: (r(4, 5), 1, labels(5, 3))],
    "aten.slice_scatter.default": [lambda: (r(5, 6), r(5, 2), 1, 1, 5, 2)],
    "aten.select_scatter.default": [lambda: (r(3, 4), r(3), 1, 2)],
    "aten.scatter_add.default": [lambda: (r(3, 5), 1, labels(5, 3, 4), r(3, 6))],
    "aten.split.Tensor": [lambda: (r(5, 3), 2), lambda: (r(2, 4), 2, 1)],
    "aten.split_with_sizes.default": [lambda: (r(6, 3), [1, 3, 2])],
    "aten.unbind.int": [lambda: (r(2, 3, 4), 1)],
    "aten.stack.default": [lambda: ([r(2, 3), r(2, 3)], 1)],
    "aten.repeat.default": [lambda: (r(2, 3), [2, 1, 3])],
    "aten.roll.default": [lambda: (r(3, 4), [1, -2], [0, 1]), lambda: (r(3, 4), [5])],
    "aten.reflection_pad1d.default": [lambda: (r(2, 3, 5), [2, 1])],
    "aten.reflection_pad2d.default": [lambda: (r(1, 2, 4, 5), [2, 1, 3, 0])],
    "aten.replication_pad2d.default": [lambda: (r(1, 2, 4, 5), [2, 1, 3, 0])],
    "aten.arange.default": [lambda: (5,)],
    "aten.fill.Scalar": [lambda: (r(2, 3), 1.5)],
    "aten.zeros.default": [lambda: ([2, 3],)],
    "aten.ones.default": [lambda: ([2, 3],)],
    "aten.new_full.default": [lambda: (r(2), [2, 3], 1.5)],
    "aten.new_zeros.default": [lambda: (r(2), [2, 3])],
    "aten.new_ones.default": [lambda: (r(2), [2, 3])],
    "aten.im2col.default": [lambda: (r(2, 3, 6, 5), [3, 2], [1, 2], [1, 0], [2, 1])],
    "aten.max_pool2d_with_indices.default": [
        lambda window=window: (r(2, 3, 8, 7), *window) for window in POOLED
    ],
    "aten.max_pool2d_with_indices_backward.default": [
        lambda window=window: max_pool_backward(window) for window in POOLED
    ],
    "aten.max_pool3d_with_indices_backward.default": [lambda: max_pool_volume_backward()],
    "aten.avg_pool3d_backward.default": [
        lambda: (r(1, 2, 3, 3, 4), r(1, 2, 4, 4, 5), [2], [1], [0], False, True, None)
    ],
    "aten.sort.default": [lambda: (r(4, 5),), lambda: (r(4, 5), 0, True)],
    "aten.sort.stable": [
        lambda: (ties(), {"stable": True, "dim": 1}),
        lambda: (ties(), {"stable": True, "dim": 0, "descending": True}),
    ],
    "aten.topk.default": [lambda: (r(4, 5), 3), lambda: (r(4, 5), 2, 0, False)],
    "aten.cumprod.default": [lambda: (r(4, 5), 1)],
    "aten.index_add.default": [
        lambda: (r(4, 5), 0, labels(4, 6), r(6, 5)),
        lambda: (r(4, 5), 1, labels(5, 3), r(4, 3), {"alpha": 0.5}),
    ],
    "aten.index_copy.default": [lambda: (r(4, 5), 1, torch.tensor([3, 0]), r(4, 2))],
    "aten.scatter_reduce.two": [
        lambda how=how, own=own: (
            *(r(4, 5), 0, labels(4, 6, 5), r(6, 5), how),
            {"include_self": own},
        )
        for how in ("sum", "mean", "prod", "amax", "amin")
        for own in (True, False)
    ],
    "aten.unfold.default": [lambda: (r(3, 9, 2), 1, 4, 2)],
    "aten.unfold_backward.default": [lambda: (r(3, 3, 2, 4), [3, 9, 2], 1, 4, 2)],
    "aten.col2im.default": [
        lambda: (r(2, 18, 9), [6, 5], [3, 2], [1, 2], [1, 0], [2, 1]),
    ],
    "aten._weight_norm_interface.default": [
        lambda: (r(4, 3, 2), r(4, 1, 1)),
        lambda: (r(4, 3, 2), r(1, 1, 2), 2),
    ],
    "aten._weight_norm_interface_backward.default": [lambda: weight_norm_backward()],
    "aten.max_pool3d_with_indices.default": [lambda: (r(1, 2, 4, 5, 6), [2], [2], [1])],
    "aten.avg_pool3d.default": [lambda: (r(1, 2, 4, 5, 6), [2, 3, 2])],
    "aten.avg_pool2d.default": [
        lambda: (r(2, 3, 6, 6), [2, 2]),
        lambda: (r(1, 3, 7, 6), [3, 2], [2, 1], [1, 0]),
        *(lambda options=options: (r(1, 2, 8, 7), *options) for options in AVERAGED),
    ],
    "aten.avg_pool2d_backward.default": [
        lambda options=options: average_pool_backward(options) for options in AVERAGED
    ],
}
ADAPTED = [
    ((2, 3, 6, 8), [3, 2]),
    ((1, 2, 7, 5), [3, 4]),
    ((1, 2, 1, 5), [6, 5]),
    ((3, 7, 5), [2, 7]),
    ((1, 2, 4, 5, 6), [2, 3, 7]),
    ((2, 4, 5, 6), [4, 1, 5]),
]
"""Images and sizes asked for: those that divide the image's, do not, or are larger."""

for shape, sizes in ADAPTED:
    name, result = f"aten._adaptive_avg_pool{len(sizes)}d", (*shape[: -len(sizes)], *sizes)
    CASES.setdefault(f"{name}.default", []).append(lambda x=shape, y=sizes: (r(*x), y))
    CASES.setdefault(f"{name}_backward.default", []).append(
        lambda x=shape, y=result: (r(*y), r(*x))
    )
CASES["aten.elu.default"] = [lambda: (r(9), 1.5, 1.1, 0.7)]


def statistics(channels: int) -> tuple[Tensor, ...]:
    return r(channels), positive(channels), r(channels), r(channels)


def convolution_backward(
    x: tuple[int, ...],
    weight: tuple[int, ...],
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool = False,
    groups: int = 1,
) -> tuple[Any, ...]:
    arguments = (stride, padding, dilation, transposed, [0] * len(stride), groups)
    x_value, w_value = r(*x), r(*weight)
    y = torch.ops.aten.convolution.default(x_value, w_value, None, *arguments)
    grad = r(*y.shape)
    return (grad, x_value, w_value, [y.shape[1]], *arguments, [True, True, True])


def max_pool_volume_backward() -> tuple[Any, ...]:
    x, window = r(1, 2, 4, 5, 6), ([2], [2], [1], [1], False)
    y, indices = torch.ops.aten.max_pool3d_with_indices.default(x, *window)
    return (r(*y.shape), x, *window, indices)


def weight_norm_backward() -> tuple[Any, ...]:
    v, g = r(4, 3, 2), r(4, 1, 1)
    _, norms = torch.ops.aten._weight_norm_interface.default(v, g, 0)
    return (r(4, 3, 2), v, g, norms, 0)


def group_norm_backward(weight: Tensor | None, mask: list[bool]) -> tuple[Any, ...]:
    x = r(2, 6, 3, 3)
    _, mean, scale = torch.ops.aten.native_group_norm(x, weight, None, 2, 6, 9, 3, 1e-5)
    return (r(2, 6, 3, 3), x, mean, scale, weight, 2, 6, 9, 3, mask)


def layer_norm_backward(weight: Tensor | None) -> tuple[Any, ...]:
    x, affine = r(2, 3, 4), weight is not None
    _, mean, scale = torch.ops.aten.native_layer_norm(x, [4], weight, weight, 1e-5)
    return (r(2, 3, 4), x, [4], mean, scale, weight, weight, [True, affine, affine])


def test_cases_and_table_have_equal_keys() -> None:
    assert CASES.keys() == TABLE.keys()


def test_every_kernel_of_the_mesh_has_a_lowering() -> None:
    """But the graphs' own `getitem`, and what writes in place, which no functional graph does."""
    in_place = {"aten.add_.Tensor", "aten.mul_.Tensor", "aten.sub_.Tensor", "aten.copy_.default"}
    assert KERNELS.keys() - TABLE.keys() == in_place | {"getitem"}


def operator_of(name: str) -> Any:
    namespace, packet, overload = name.split(".")
    return getattr(getattr(getattr(torch.ops, namespace), packet), overload)


def graph_of(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A graph that calls the operator once, and the tensors that are its placeholders."""
    graph, tensors = fx.Graph(), []

    def place(value: Any) -> Any:
        if isinstance(value, list):
            return [place(item) for item in value]
        if not isinstance(value, Tensor):
            return value
        node = graph.placeholder(f"t{len(tensors)}")
        node.meta["val"] = value
        tensors.append(value)
        return node

    operator = operator_of(name)
    node = graph.call_function(operator, tuple(place(a) for a in args), kwargs)
    node.meta["val"] = operator(*args, **kwargs)
    graph.output((node,))
    return fx.GraphModule({}, graph), tensors, node.meta["val"]


@pytest.mark.parametrize("name", sorted(TABLE))
def test_lowering_equals_torch(name: str) -> None:
    torch.manual_seed(0)
    for case in CASES[name]:
        arguments = case()
        keywords = arguments[-1] if arguments and isinstance(arguments[-1], dict) else {}
        args = arguments[: len(arguments) - bool(keywords)]
        module, tensors, expected = graph_of(name, args, keywords)
        (got,) = jax.jit(lower(module))(*[jnp.asarray(t.numpy()) for t in tensors])
        if name in SIGNS_ARE_OPEN:
            got, expected = tuple(map(jnp.abs, got)), tuple(map(torch.abs, expected))
        compare(got, torch.zeros_like(expected) if name in UNDEFINED else expected)


def compare(got: Any, expected: Any) -> None:
    if isinstance(expected, (tuple, list)):
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            compare(one, other)
    elif expected is not None and expected.numel():
        assert got.shape == tuple(expected.shape)
        assert got.dtype == jax.dtypes.canonicalize_dtype(str(expected.dtype)[6:])
        np.testing.assert_allclose(np.asarray(got), expected.numpy(), rtol=2e-5, atol=2e-6)


def test_gather_tables_are_not_used_off_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """XLA's own convolution gives the same where the columns would be taken."""
    torch.manual_seed(0)
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    for name in ("aten.convolution.default", "aten.convolution_backward.default"):
        for case in CASES[name]:
            module, tensors, expected = graph_of(name, case(), {})
            (got,) = lower(module)(*[jnp.asarray(t.numpy()) for t in tensors])
            compare(got, expected)


def test_unknown_operator_is_named_with_its_place() -> None:
    graph = fx.Graph()
    x = graph.placeholder("x")
    node = graph.call_function(torch.ops.aten.bucketize.Tensor, (x,))
    node.meta["origin"] = Origin("blocks.3.whiten", "model.py", 17)
    graph.output((node,))
    with pytest.raises(UnsupportedError, match=r"bucketize.*blocks\.3\.whiten \(model\.py:17\)"):
        lower(fx.GraphModule({}, graph))


def test_statistics_of_online_norm_follow_a_long_stream() -> None:
    """In float32 alpha and 1 - alpha do not sum to 1: as factors they would give 1.3e-5."""
    torch.manual_seed(0)
    stream, zero, norm = 2 * r(5_000, 1, 3, 2, 2) + 5, torch.zeros(3), torch.ops.weft.online_norm
    mean, var = zero.double(), torch.ones(3).double()
    for x in stream.double():
        _, _, mean, var = norm(x, mean, var, zero, zero, *NORM_OPTIONS)

    def step(state: tuple[Any, Any], x: Any) -> tuple[tuple[Any, Any], None]:
        return TABLE["weft.online_norm.default"](x, *state, 0.0, 0.0, *NORM_OPTIONS)[2:], None

    start = jnp.zeros(3), jnp.ones(3)
    after, _ = jax.jit(lambda xs: jax.lax.scan(step, start, xs))(jnp.array(stream.numpy()))
    for now, expected in zip(after, (mean, var), strict=True):
        np.testing.assert_allclose(now, expected, rtol=2e-6)
