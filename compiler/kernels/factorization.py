"""Factorizations of matrices, and solutions with them: each matrix on one PE, many on many.

A PE gets the matrices it works on whole, over the mesh, and sends the results the same way. What
takes them apart is a sequence of vector instructions of one row each. Multiply-adds of the
algorithms are those of Golub and Van Loan, Matrix Computations, fourth edition: Cholesky 4.2, LU
3.2, Householder QR 5.2, symmetric eigenvalues 8.3, singular values 8.6.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
from torch import Tensor, fx

from ..machine.collectives import transfer, words
from ..machine.cost import Cost
from .roles import dtype_of, operator_of, tensors_of
from .site import Site

WorkFunction = Callable[[int, int, int], float]
"""Multiply-adds for a matrix of m rows and n columns, with k columns on the right-hand side."""


def _lu(m: int, n: int, k: int) -> float:
    return n * n * (m - n / 3) if m >= n else m * m * (n - m / 3)


def _qr(m: int, n: int, k: int) -> float:
    return 2 * _lu(m, n, k) + 2 * m * n * min(m, n)  # R, then Q


FACTORIZATIONS: dict[str, WorkFunction] = {
    "aten._linalg_det.default": _lu,
    "aten._linalg_eigh.default": lambda m, n, k: 4.5 * n**3,
    "aten._linalg_slogdet.default": _lu,
    "aten._linalg_solve_ex.default": lambda m, n, k: n**3 / 3 + n * n * k,
    "aten._linalg_svd.default": lambda m, n, k: 2 * m * n * min(m, n) + 11 * min(m, n) ** 3,
    "aten.cholesky.default": lambda m, n, k: n**3 / 6,
    "aten.cholesky_inverse.default": lambda m, n, k: n**3,
    "aten.cholesky_solve.default": lambda m, n, k: n * n * k,
    "aten.linalg_cholesky_ex.default": lambda m, n, k: n**3 / 6,
    "aten.linalg_householder_product.default": lambda m, n, k: 2 * m * n * n,
    "aten.linalg_inv_ex.default": lambda m, n, k: n**3,
    "aten.linalg_lu.default": _lu,
    "aten.linalg_lu_factor_ex.default": _lu,
    "aten.linalg_lu_solve.default": lambda m, n, k: n * n * k,
    "aten.linalg_matrix_exp.default": lambda m, n, k: 16 * n**3,  # products and squarings
    "aten.linalg_qr.default": _qr,
    "aten.linalg_solve_triangular.default": lambda m, n, k: n * n * k / 2,
    "aten.lu_unpack.default": lambda m, n, k: m * n,
    "aten.triangular_solve.default": lambda m, n, k: n * n * k / 2,
}
"""Operator -> multiply-adds per matrix."""


def factorization(node: fx.Node, site: Site) -> Cost:
    """Cost of the PE that has most matrices: it fetches them, works row by row, and sends them.

    A row takes a division or a root as well.
    """
    matrix, right = _operands(node)
    m, n = matrix.shape[-2:]
    k = right.shape[-1] if right is not None and right.ndim > 1 else 1
    share = site.share(max(1, prod(matrix.shape[:-2])))
    rows = FACTORIZATIONS[operator_of(node)](m, n, k) / max(1, max(n, k))
    row = site.vector_cycles(np.full_like(share, max(n, k)), dtype_of(node))
    compute = share * (rows * row + m * site.target.vector.special_cycles)
    moved = sum(tensor.shape[-1] * tensor.shape[-2] for tensor in _matrices(node))
    sent = share * words(site.target.noc, np.full_like(share, moved), matrix.element_size())
    distance = site.tilings.height + site.tilings.width - 2
    return Cost(compute, transfer(site.target.noc, sent, distance, 1))


def _operands(node: fx.Node) -> tuple[Tensor, Tensor | None]:
    """The matrices, and the right-hand sides of those that solve."""
    given = [tensors_of(operand)[0] for operand in node.all_input_nodes]
    name = operator_of(node)
    if name in ("aten.cholesky_solve.default", "aten.triangular_solve.default"):
        return given[-1], given[0]
    return given[0], given[-1] if "solve" in name else None


def _matrices(node: fx.Node) -> list[Tensor]:
    """What is fetched and sent of each matrix."""
    given = [tensors_of(operand)[0] for operand in node.all_input_nodes]
    return [value for value in (*given, *tensors_of(node)) if value.ndim >= 2]
