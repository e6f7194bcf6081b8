"""ATen's factorizations of matrices as those of jax.

The sign of a singular vector or an eigenvector is open, and another one than torch's. torch numbers
pivots from 1.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.lax import linalg

from .one_by_one import one_by_one

Array = Any
Lowering = Callable[..., Any]


def _cholesky(x: Array, upper: bool = False, **_: Any) -> Array:
    """Of the triangle that torch reads."""
    lower = jnp.swapaxes(x, -1, -2) if upper else x
    found = one_by_one(partial(linalg.cholesky, symmetrize_input=False), lower)
    return jnp.swapaxes(found, -1, -2) if upper else found


def _none(x: Array) -> Array:
    """What tells of failures: there is none."""
    return jnp.zeros(x.shape[:-2], jnp.int32)


def _solve_triangular(
    a: Array, b: Array, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Array:
    batch = jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    a, b = (jnp.broadcast_to(x, (*batch, *x.shape[-2:])) for x in (a, b))
    solve = partial(
        linalg.triangular_solve, left_side=left, lower=not upper, unit_diagonal=unitriangular
    )
    return one_by_one(solve, a, b)


def _triangular_solve(
    b: Array, a: Array, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> tuple[Array, Array]:
    turned = jnp.swapaxes(a, -1, -2) if transpose else a
    is_upper = upper != transpose
    return _solve_triangular(turned, b, upper=is_upper, unitriangular=unitriangular), a


def _lu(x: Array) -> tuple[Array, Array]:
    factors, pivots, _ = one_by_one(linalg.lu, x)
    return factors, pivots + 1


def _lu_solve(
    factors: Array, pivots: Array, b: Array, *, left: bool = True, adjoint: bool = False
) -> Array:
    """P L U x = b, or its transpose; from the right by transposing both sides."""
    if not left:
        turned = _lu_solve(factors, pivots, jnp.swapaxes(b, -1, -2), adjoint=not adjoint)
        return jnp.swapaxes(turned, -1, -2)
    batch = jnp.broadcast_shapes(factors.shape[:-2], b.shape[:-2])
    b = jnp.broadcast_to(b, (*batch, *b.shape[-2:]))
    order = jnp.broadcast_to(_permutation(pivots, factors.shape[-1]), (*batch, b.shape[-2]))
    if not adjoint:
        b = jnp.take_along_axis(b, order[..., None], axis=-2)
        half = _solve_triangular(factors, b, upper=False, unitriangular=True)
        return _solve_triangular(factors, half, upper=True)
    turned = jnp.swapaxes(factors, -1, -2)
    half = _solve_triangular(turned, b, upper=False)
    found = _solve_triangular(turned, half, upper=True, unitriangular=True)
    return jnp.take_along_axis(found, jnp.argsort(order, axis=-1)[..., None], axis=-2)


def _permutation(pivots: Array, size: int) -> Array:
    return linalg.lu_pivots_to_permutation((pivots - 1).astype(jnp.int32), size)


def _of_transposed(x: Array) -> tuple[Array, Array]:
    """The factors that torch gives beside a determinant or a solution: of a row-major matrix those
    of its transpose, which lies there already in LAPACK's order."""
    return _lu(jnp.swapaxes(x, -1, -2))


def _solve(a: Array, b: Array, *, left: bool = True, **_: Any) -> tuple[Array, ...]:
    factors, pivots = _of_transposed(a)
    is_vector = b.ndim == 1 or (b.ndim == a.ndim - 1 and b.shape == a.shape[:-1])
    columns = b[..., None] if is_vector else b
    found = _lu_solve(factors, pivots, columns, left=left or is_vector, adjoint=True)
    return (found[..., 0] if is_vector else found), factors, pivots, _none(a)


def _slogdet(x: Array) -> tuple[Array, ...]:
    factors, pivots = _of_transposed(x)
    diagonal = jnp.diagonal(factors, axis1=-2, axis2=-1)
    sign = _swaps(pivots, x.dtype) * jnp.prod(jnp.sign(diagonal), -1)
    return sign, jnp.sum(jnp.log(jnp.abs(diagonal)), -1), factors, pivots


def _det(x: Array) -> tuple[Array, ...]:
    factors, pivots = _of_transposed(x)
    diagonal = jnp.diagonal(factors, axis1=-2, axis2=-1)
    return _swaps(pivots, x.dtype) * jnp.prod(diagonal, -1), factors, pivots


def _swaps(pivots: Array, dtype: Any) -> Array:
    """-1 for an odd number of exchanged rows."""
    count = jnp.sum(pivots != jnp.arange(1, pivots.shape[-1] + 1), -1)
    return (1 - 2 * (count % 2)).astype(dtype)


def _qr(x: Array, mode: str = "reduced") -> tuple[Array, Array]:
    if mode == "r":
        return jnp.zeros((0,), x.dtype), one_by_one(partial(jnp.linalg.qr, mode="r"), x)
    return tuple(one_by_one(partial(jnp.linalg.qr, mode=mode), x))  # type: ignore[return-value]


def _svd(
    x: Array, full_matrices: bool = False, compute_uv: bool = True, **_: Any
) -> tuple[Array, ...]:
    if compute_uv:
        return tuple(one_by_one(partial(jnp.linalg.svd, full_matrices=full_matrices), x))
    empty = jnp.zeros((0,), x.dtype)
    return empty, one_by_one(partial(jnp.linalg.svd, compute_uv=False), x), empty


def _eigh(x: Array, UPLO: str = "L", compute_v: bool = True) -> tuple[Array, ...]:  # noqa: N803 - torch's name
    solve = partial(jnp.linalg.eigh, UPLO=UPLO, symmetrize_input=False)
    values, vectors = one_by_one(solve, x)
    return values, vectors if compute_v else jnp.zeros((0,), x.dtype)


def _lu_unpack(
    factors: Array, pivots: Array, unpack_data: bool = True, unpack_pivots: bool = True
) -> tuple[Array, ...]:
    """P, L and U; empty what is not asked for."""
    rows, columns = factors.shape[-2:]
    inner = min(rows, columns)
    empty = jnp.zeros((0,), factors.dtype)
    left = jnp.tril(factors[..., :inner], -1) + jnp.eye(rows, inner, dtype=factors.dtype)
    order = _permutation(pivots, rows)
    moved = jnp.swapaxes(jnp.eye(rows, dtype=factors.dtype)[order], -1, -2)
    parts = (left, jnp.triu(factors[..., :inner, :])) if unpack_data else (empty, empty)
    return (moved if unpack_pivots else empty, *parts)


def _cholesky_solve(b: Array, factor: Array, upper: bool = False) -> Array:
    lower = jnp.swapaxes(factor, -1, -2) if upper else factor
    half = _solve_triangular(lower, b, upper=False)
    return _solve_triangular(jnp.swapaxes(lower, -1, -2), half, upper=True)


def _cholesky_inverse(factor: Array, upper: bool = False) -> Array:
    return _cholesky_solve(jnp.eye(factor.shape[-1], dtype=factor.dtype), factor, upper)


TABLE: dict[str, Lowering] = {
    "aten._linalg_det.default": _det,
    "aten._linalg_eigh.default": _eigh,
    "aten._linalg_slogdet.default": _slogdet,
    "aten._linalg_solve_ex.default": _solve,
    "aten._linalg_svd.default": _svd,
    "aten.cholesky.default": _cholesky,
    "aten.cholesky_inverse.default": _cholesky_inverse,
    "aten.cholesky_solve.default": _cholesky_solve,
    "aten.linalg_cholesky_ex.default": lambda x, **how: (_cholesky(x, **how), _none(x)),
    "aten.linalg_householder_product.default": partial(
        one_by_one, linalg.householder_product, ranks=(2, 1)
    ),
    "aten.linalg_inv_ex.default": lambda x, **_: (one_by_one(jnp.linalg.inv, x), _none(x)),
    "aten.linalg_lu.default": lambda x, **_: _lu_unpack(*_lu(x)),
    "aten.linalg_lu_factor_ex.default": lambda x, **_: (*_lu(x), _none(x)),
    "aten.linalg_lu_solve.default": _lu_solve,
    "aten.linalg_matrix_exp.default": partial(one_by_one, jax.scipy.linalg.expm),
    "aten.linalg_qr.default": _qr,
    "aten.linalg_solve_triangular.default": _solve_triangular,
    "aten.lu_unpack.default": _lu_unpack,
    "aten.triangular_solve.default": _triangular_solve,
}
