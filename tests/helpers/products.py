"""Products of a layer at a site."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from weft.compiler.kernels.contraction import Contraction, ProductPart, price
from weft.compiler.kernels.roles import Roles
from weft.compiler.kernels.site import Site
from weft.compiler.machine.product import ProductKind
from weft.compiler.machine.tilings import Tilings
from weft.compiler.targets import load_target

WSE2 = load_target("wse2")


def forward(place: Site, product: Contraction):
    return price(place, ProductPart(ProductKind.FORWARD, product))


def input_gradient(place: Site, product: Contraction):
    return price(place, ProductPart(ProductKind.INPUT_GRADIENT, product))


def weight_gradient(place: Site, product: Contraction):
    return price(place, ProductPart(ProductKind.WEIGHT_GRADIENT, product))


PRODUCTS = (forward, input_gradient, weight_gradient)


def site(target, *tilings: tuple[int, int, int], interleaved: bool = False) -> Site:
    columns = (np.array(axis, np.int64) for axis in zip(*tilings, strict=True))
    order = np.full(len(tilings), interleaved)
    found = replace(Tilings.in_blocks(*columns), interleaved=order)
    return Site(target, found, Roles({}, {}), {}, {})


def cycles(cost) -> np.ndarray:
    return cost.compute + cost.network
