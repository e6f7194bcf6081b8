"""One table: operator -> kernel family and its cost. No operator is free by omission."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from torch import fx

from ...backend.errors import UnsupportedError
from ..machine.cost import Cost
from ..plan.program import Origin
from . import (
    convolution,
    elementwise,
    embedding,
    factorization,
    linear,
    movement,
    normalization,
    pooling,
)
from . import reduction as reductions
from .roles import operator_of
from .site import Site

CostFunction = Callable[[fx.Node, Site], Cost]


@dataclass(frozen=True)
class Kernel:
    """A kernel family and how it prices one operator."""

    family: str
    cost: CostFunction


def _table() -> dict[str, Kernel]:
    table = {
        convolution.FORWARD: Kernel("convolution", convolution.convolution),
        convolution.BACKWARD: Kernel("convolution", convolution.convolution_backward),
        embedding.FORWARD: Kernel("embedding", embedding.embedding),
        embedding.BACKWARD: Kernel("embedding", embedding.embedding),
    }
    for name in linear.OPERATORS:
        table[name] = Kernel("linear", linear.product)
    for name in linear.ROUTED_OPERATORS:
        table[name] = Kernel("linear", linear.routed_product)
    for name, work in elementwise.ELEMENTWISE.items():
        table[name] = Kernel("elementwise", partial(elementwise.elementwise, work=work))
    for name, rounds in reductions.REDUCTIONS.items():
        table[name] = Kernel("reduction", partial(reductions.reduction, rounds=rounds))
    for name, rounds in (*reductions.SOFTMAX.items(), *reductions.SCANS.items()):
        table[name] = Kernel("reduction", partial(reductions.along_dimension, rounds=rounds))
    for name, position in reductions.ORDERINGS.items():
        cost = partial(reductions.ordering, position=position)
        table[name] = Kernel("reduction", cost)
    for name, passes in normalization.NORMALIZATIONS.items():
        cost = partial(normalization.normalization, passes=passes)
        table[name] = Kernel("normalization", cost)
    for name, taps in pooling.RESAMPLING.items():
        table[name] = Kernel("pooling", partial(pooling.resampling, taps=taps))
    for name in pooling.POOLING:
        table[name] = Kernel("pooling", pooling.pooling)
    for name in pooling.ADAPTIVE:
        table[name] = Kernel("pooling", pooling.adaptive_pooling)
    for name in factorization.FACTORIZATIONS:
        table[name] = Kernel("factorization", factorization.factorization)
    for names, cost in (
        (movement.FREE, movement.free),
        (movement.WRITES, movement.write),
        (movement.REORDERS, movement.reorder),
        (movement.INDEXED, movement.indexed),
    ):
        table.update({name: Kernel("movement", cost) for name in names})
    return table


KERNELS: dict[str, Kernel] = _table()
"""Every operator a stage program may hold, by its full name ('aten.mm.default')."""


def kernel_for(node: fx.Node, where: str) -> Kernel:
    """The kernel of a node; raises UnsupportedError naming operator, module and source line."""
    name = operator_of(node)
    if name in KERNELS:
        return KERNELS[name]
    raise UnsupportedError(
        _mapping(node, where),
        expected="an operator with a kernel on the mesh",
        got=f"operator {name} (node '{node.name}')",
        change="express this line of the model with supported operators,"
        " or add the operator to a family in compiler/kernels/registry.py",
    )


def cost_of(node: fx.Node, kernel: Kernel, site: Site, where: str) -> Cost:
    """What a node costs; raises UnsupportedError with its place for a dtype the target lacks."""
    try:
        return kernel.cost(node, site)
    except UnsupportedError as error:
        raise UnsupportedError(
            _mapping(node, where),
            expected=f"{error.expected}, which {error.where} computes with",
            got=f"{error.got} in operator {operator_of(node)} (node '{node.name}')",
            change=error.change,
        ) from error


def _mapping(node: fx.Node, where: str) -> str:
    origin = node.meta.get("origin")
    return f"mapping {origin if isinstance(origin, Origin) else where}"
