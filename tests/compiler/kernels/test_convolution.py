"""Convolutions of one to three spatial axes, strided, dilated, grouped or transposed."""

from __future__ import annotations

import pytest
from helpers.operator_zoo import operators, zoo
from helpers.products import PRODUCTS, WSE2, site
from weft.compiler.kernels.contraction import Contraction
from weft.compiler.kernels.nonzeros import WeightTiles


def test_macs_of_grouped_and_transposed_convolutions_by_hand():
    found = operators(zoo())["convolution"]
    forward = [operator.macs_dense for operator in found if operator.phase == "forward"]
    # 3x3 on 20x20; one 3x3 per channel on 3x3; each of 3x3 inputs times 2x2 taps
    assert forward == [8 * 3 * 9 * 400, 8 * 9 * 9, 8 * 4 * 4 * 9]


@pytest.mark.parametrize("product", PRODUCTS)
def test_macs_of_a_convolution_equal_the_textbook_formula(product):
    out_channels, in_channels, kernel, height, width = 24, 16, 3, 8, 8
    weights = WeightTiles(out_channels, in_channels, kernel * kernel)
    described = Contraction(weights, height * width, height * width, 18, "float32", 4)
    cost = product(site(WSE2, (4, 2, 6), (1, 1, 1)), described)
    assert cost.macs_dense == out_channels * in_channels * kernel**2 * height * width
    assert cost.macs_effective == cost.macs_dense
