"""Products with a weight, priced by the algorithm of each tiling (see compiler/machine/)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from ..machine import lines, local_product, multicast, ring, summa
from ..machine.arrays import Bools, Floats, Ints
from ..machine.collectives import transfer
from ..machine.cost import Cost, PricedProduct
from ..machine.product import Product, ProductKind, Tile, in_batch, tile_of
from ..machine.tilings import ALL_REDUCE, MULTICAST, RING, SUMMA, Tilings
from ..targets.target import Target
from .nonzeros import WeightTiles
from .site import Site

_COSTS: dict[int, Callable[[Target, Tile], Cost]] = {
    MULTICAST: multicast.cost,
    ALL_REDUCE: lines.cost,
    RING: ring.cost,
    SUMMA: summa.cost,
}


@dataclass(frozen=True)
class Contraction:
    """A product with a weight; sizes as in `Product`."""

    weights: WeightTiles
    in_positions: int
    out_positions: int
    halo: int
    dtype: str
    itemsize: int
    loaded: bool = False
    batch: int = 1
    follows: bool = False

    @property
    def vector_positions(self) -> int:
        """Length of the vector a weight multiplies: positions of the smaller side.

        A strided convolution visits one input per output, a transposed one the reverse.
        """
        return min(self.in_positions, self.out_positions)

    def macs(self, weights: int) -> int:
        return self.batch * weights * self.vector_positions

    def product(self, kind: ProductKind) -> Product:
        """Its sizes, without where the non-zeros are."""
        weights = self.weights
        return Product(
            kind=kind,
            in_features=weights.in_features,
            out_features=weights.out_features,
            taps=weights.taps,
            in_positions=self.in_positions,
            out_positions=self.out_positions,
            halo=self.halo,
            dtype=self.dtype,
            itemsize=self.itemsize,
            is_sparse=weights.is_sparse,
            loaded=self.loaded,
            batch=self.batch,
            follows=self.follows,
        )


@dataclass(frozen=True)
class ProductPart:
    """One of the products that an operator consists of."""

    kind: ProductKind
    product: Contraction


def price(site: Site, part: ProductPart) -> Cost:
    """Cost of a product, its weight loaded first if it does not lie there."""
    inside, turns = in_batch(site.tilings, part.product.batch, part.product.follows)
    nonzeros = tile_nonzeros(site, inside, part.product.weights)
    product = replace(part.product.product(part.kind), is_followed=len(site.weights) > 1)
    cost = _each_alike(site.target, inside, product, nonzeros)
    loading = _loading(site.target, inside, product, turns)
    network = turns * cost.network + loading
    return _cost_of(part, product, nonzeros, turns * cost.compute, network, cost.border)


def _cost_of(
    part: ProductPart,
    product: Product,
    nonzeros: Ints,
    compute: Floats,
    network: Floats,
    border: Floats | float = 0.0,
) -> Cost:
    dense, total = part.product.weights.dense, part.product.weights.total
    macs = part.product.macs(dense), part.product.macs(total)
    products = (PricedProduct(product, nonzeros, compute),)
    return Cost(compute, network, *macs, products, border=border)


def price_gradients(site: Site, weight: ProductPart, inputs: ProductPart) -> Cost:
    """A weight's gradient, then the input gradient; the first is summed over the slices meanwhile,
    and behind what follows, where the target overlaps them."""
    tilings, target = site.tilings, site.target
    own: Bools = (tilings.algorithm == MULTICAST) & (tilings.space_split > 1)
    if not own.any() or not target.software.triggered:
        return price(site, weight) + price(site, inputs)
    together = _together(replace(site, tilings=tilings.where(own)), weight, inputs)
    if own.all():
        return together
    rest = replace(site, tilings=tilings.where(~own))
    return _merged(own, together, price(rest, weight) + price(rest, inputs))


def _together(site: Site, weight: ProductPart, inputs: ProductPart) -> Cost:
    """Of tilings with slices, all by multicast."""
    tilings, target = site.tilings, site.target
    costs, tiles = [], []
    for part in (weight, inputs):
        nonzeros = tile_nonzeros(site, tilings, part.product.weights)
        product = part.product.product(part.kind)
        tile = tile_of(target, tilings, product, nonzeros)
        compute = local_product.cycles(target, tile.arithmetic)
        followed = replace(product, is_followed=len(site.weights) > 1)
        costs.append(_cost_of(part, followed, nonzeros, compute, site.zeros()))
        tiles.append(tile)
    found = multicast.gradients(target, *tiles)
    loading = _loading(target, tilings, tiles[1].product, np.ones(len(tilings), np.int64))
    network = found.network + loading
    return replace(sum(costs, site.free()), network=network, behind=found.sums, lead=found.second)


def _merged(own: Bools, one: Cost, other: Cost) -> Cost:
    """The cost of tilings, of those that are `own` and of the others."""

    def merged(first: Floats | float, second: Floats | float) -> Floats:
        values = np.zeros(len(own))
        values[own], values[~own] = first, second
        return values

    names = ("compute", "network", "behind", "lead", "border")
    arrays = {name: merged(getattr(one, name), getattr(other, name)) for name in names}
    products = []
    for first, second in zip(one.products, other.products, strict=True):
        nonzeros = np.zeros(len(own), np.int64)
        nonzeros[own], nonzeros[~own] = first.nonzeros, second.nonzeros
        compute = merged(first.compute, second.compute)
        products.append(replace(first, nonzeros=nonzeros, compute=compute))
    return replace(one, **arrays, products=tuple(products))


def _alike(target: Target, tilings: Tilings, product: Product, nonzeros: Ints) -> Cost:
    """Of tilings with one algorithm."""
    tile = tile_of(target, tilings, product, nonzeros)
    return _COSTS[int(tilings.algorithm[0])](target, tile)


def _each_alike(target: Target, tilings: Tilings, product: Product, nonzeros: Ints) -> Cost:
    """Of tilings with one algorithm or several, those of one after those of another."""
    if (tilings.algorithm == tilings.algorithm[:1]).all():
        return _alike(target, tilings, product, nonzeros)
    compute, network, border = (np.zeros(len(tilings)) for _ in range(3))
    for number in np.unique(tilings.algorithm):
        own: Bools = tilings.algorithm == number
        cost = _alike(target, tilings.where(own), product, nonzeros[own])
        compute[own], network[own], border[own] = cost.compute, cost.network, cost.border
    return Cost(compute, network, border=border)


def _loading(target: Target, tilings: Tilings, product: Product, turns: Ints) -> Floats:
    """The weights of a batch come along the rows, one after the other; in a square region they lie
    where the product has them."""
    if not product.loaded:
        return np.zeros(len(tilings))
    tile = tile_of(target, tilings, product, turns)
    words = turns * tile.loaded_words(target.noc)
    loading = transfer(target.noc, words, tilings.out_split, 1)
    return np.where(tilings.is_square, 0.0, loading)


def tile_nonzeros(site: Site, tilings: Tilings, weights: WeightTiles) -> Ints:
    """Weights of the slowest tile that cost time: all of them on a machine that skips none."""
    splits = tilings.in_split, tilings.out_split
    if site.target.sparsity.zero_skip:
        return weights.tile_max(*splits)
    return weights.tile_size(*splits)
