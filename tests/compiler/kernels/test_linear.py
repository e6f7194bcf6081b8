"""Matrix products: with a weight (linear layers and their backward), or of two activations."""

from __future__ import annotations

from helpers.operator_zoo import operators
from helpers.stages_of import mlp_stages


def test_macs_of_an_mlp_by_hand():
    """Forward, weight gradient and (but for the first layer) input gradient."""
    found = operators(mlp_stages())["linear"]
    assert sum(operator.macs_dense for operator in found) == 2 * 64 * 32 + 3 * 32 * 10
