"""The products of a forward pass, and which parameter each of them multiplies."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from weft.backend.flops.products import Products


def test_products_are_listed_in_order_with_their_weights() -> None:
    first, second = torch.zeros(5, 4), torch.zeros(3, 1, 2, 2)
    x, image = torch.zeros(2, 4), torch.zeros(1, 3, 4, 4)
    with Products({"first": first, "second": second}) as products:
        F.linear(x, first)
        F.conv2d(image, second, groups=3)
        x @ x.t()
    found = [(product.weight, product.macs) for product in products.found]
    assert found == [("first", 2 * 4 * 5), ("second", 3 * 3 * 3 * 4), (None, 2 * 4 * 2)]
    assert [product.is_convolution for product in products.found] == [False, True, False]


def test_what_is_computed_from_parameters_alone_counts_as_the_largest() -> None:
    direction, size = torch.ones(5, 4), torch.ones(5, 1)
    with Products({"direction": direction, "size": size}) as products:
        F.linear(torch.zeros(2, 4), direction * size)
    assert [product.weight for product in products.found] == ["direction"]


def test_products_of_a_batch_are_told_apart() -> None:
    a = torch.zeros(2, 3, 4)
    with Products({}) as products:
        torch.bmm(a, a.transpose(1, 2))
        torch.mm(a[0], a[0].t())
    assert [product.is_batched for product in products.found] == [True, False]
