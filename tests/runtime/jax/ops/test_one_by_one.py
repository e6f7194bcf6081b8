"""No kernel for a batch of matrices is called on a CPU: two on two threads wait for ever."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

jax = pytest.importorskip("jax")
if jax.default_backend() != "cpu":
    pytest.skip("only on a CPU", allow_module_level=True)

import jax.numpy as jnp  # noqa: E402
from weft.runtime.jax.namespace import XP  # noqa: E402
from weft.runtime.jax.ops.factorization import TABLE  # noqa: E402

ROWS = np.random.default_rng(0).standard_normal((3, 4, 4)).astype(np.float32)
POSITIVE = ROWS @ ROWS.swapaxes(1, 2) + np.eye(4, dtype=np.float32)
OPERATORS = {
    "_linalg_det": (ROWS,),
    "_linalg_eigh": (POSITIVE,),
    "_linalg_slogdet": (ROWS,),
    "_linalg_solve_ex": (ROWS, ROWS),
    "_linalg_svd": (ROWS,),
    "cholesky": (POSITIVE,),
    "cholesky_inverse": (POSITIVE,),
    "cholesky_solve": (ROWS, POSITIVE),
    "linalg_cholesky_ex": (POSITIVE,),
    "linalg_householder_product": (ROWS, ROWS[..., 0]),
    "linalg_inv_ex": (ROWS,),
    "linalg_lu": (ROWS,),
    "linalg_lu_factor_ex": (ROWS,),
    "linalg_matrix_exp": (ROWS,),
    "linalg_qr": (ROWS,),
    "triangular_solve": (ROWS, POSITIVE),
}


def batches(function: Callable[..., Any], *given: np.ndarray) -> list[str]:
    """LAPACK's calls in a program that are of more than one matrix."""
    text = jax.jit(function).lower(*given).compile().as_text()
    calls = re.findall(r"f32\[([\d,]*)\][^\n]*custom-call[^\n]*lapack", text)
    assert calls, "the pattern finds LAPACK"
    return [shape for shape in calls if shape.startswith("3,")]


@pytest.mark.parametrize("name", OPERATORS)
def test_operators_do_a_batch_matrix_by_matrix(name: str) -> None:
    lowering, given = TABLE[f"aten.{name}.default"], OPERATORS[name]
    assert batches(lowering, *given) == []
    assert batches(jax.vmap(lowering), *given) == []
    together, apart = lowering(*given), [lowering(*row) for row in zip(*given, strict=True)]
    for found, *expected in zip(*map(jax.tree.leaves, (together, *apart)), strict=True):
        np.testing.assert_allclose(found, np.stack(expected), rtol=1e-6, atol=1e-6)


def test_rules_factorize_equal_stages_one_by_one() -> None:
    def turned(x: Any) -> Any:
        return XP.linalg.qr(x)[0]

    assert batches(jax.vmap(turned), ROWS) == []
    assert batches(lambda x: jnp.linalg.qr(x)[0], ROWS), "jax by itself takes the batch"
    np.testing.assert_allclose(jax.vmap(turned)(ROWS), np.linalg.qr(ROWS)[0], atol=1e-5)
