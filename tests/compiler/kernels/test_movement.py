"""Data movement: what costs nothing, and what does."""

from __future__ import annotations

from weft.compiler.kernels.registry import KERNELS


def test_views_are_free_and_writes_are_not():
    assert KERNELS["aten.view.default"].cost is KERNELS["aten.permute.default"].cost
    assert KERNELS["aten.view.dtype"].cost is KERNELS["aten.view.default"].cost
    for name in ("aten.clone.default", "aten.cat.default", "aten.full.default"):
        assert KERNELS[name].cost is not KERNELS["aten.view.default"].cost
