"""Operators that treat every element alone: vector passes over evenly dealt tensors.

The table says how many vector instructions touch each element, and how many functions without a
vector unit (division, root, exponential, ...) it needs; the latter cost `vector.special_cycles`
per element and function.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import fx

from ..machine.cost import Cost
from .roles import dtype_of
from .site import Site


@dataclass(frozen=True)
class Work:
    """Per element: vector passes, and calls of special functions."""

    passes: float
    special: float = 0


_ONE = Work(1)
_SPECIAL = Work(1, 1)
_DIVISION_BY_A_NUMBER = Work(1)

_POWER = Work(1, 2)  # exponential of a product with a logarithm
_QUOTIENT = Work(2)  # scaling by the reciprocal of a number, rounding
_SERIES = Work(16, 2)  # a polynomial of some fifteen terms, beside a logarithm or an exponential
_REMAINDER = Work(4)  # quotient, rounding, product, difference

ELEMENTWISE: dict[str, Work] = {
    "aten.abs.default": _ONE,
    "aten.acos.default": _SPECIAL,
    "aten.acosh.default": _SPECIAL,
    "aten.add.Scalar": _ONE,
    "aten.add.Tensor": _ONE,
    "aten.add_.Tensor": _ONE,
    "aten.addcmul.default": Work(2),
    "aten.asin.default": _SPECIAL,
    "aten.asinh.default": _SPECIAL,
    "aten.atan.default": _SPECIAL,
    "aten.atan2.default": Work(1, 2),
    "aten.atanh.default": _SPECIAL,
    "aten.bitwise_and.Scalar": _ONE,
    "aten.bitwise_and.Tensor": _ONE,
    "aten.bitwise_not.default": _ONE,
    "aten.bitwise_or.Scalar": _ONE,
    "aten.bitwise_or.Tensor": _ONE,
    "aten.bitwise_xor.Scalar": _ONE,
    "aten.bitwise_xor.Tensor": _ONE,
    "aten.ceil.default": _ONE,
    "aten.clamp.Tensor": Work(2),
    "aten.clamp.default": Work(2),
    "aten.clamp_max.default": _ONE,
    "aten.clamp_min.default": _ONE,
    "aten.cos.default": _SPECIAL,
    "aten.cosh.default": _SPECIAL,
    "aten.digamma.default": _SERIES,
    "aten.div.Scalar": _DIVISION_BY_A_NUMBER,
    "aten.div.Scalar_mode": _QUOTIENT,
    "aten.div.Tensor": _SPECIAL,
    "aten.div.Tensor_mode": Work(2, 1),
    "aten.elu.default": Work(3, 1),
    "aten.eq.Scalar": _ONE,
    "aten.eq.Tensor": _ONE,
    "aten.erf.default": _SPECIAL,
    "aten.erfc.default": _SPECIAL,
    "aten.erfinv.default": _SERIES,
    "aten.exp.default": _SPECIAL,
    "aten.exp2.default": _SPECIAL,
    "aten.expm1.default": _SPECIAL,
    "aten.floor.default": _ONE,
    "aten.fmax.default": Work(3),
    "aten.fmin.default": Work(3),
    "aten.fmod.Scalar": _REMAINDER,
    "aten.fmod.Tensor": Work(4, 1),
    "aten.ge.Scalar": _ONE,
    "aten.ge.Tensor": _ONE,
    "aten.gelu.default": Work(3, 1),
    "aten.gelu_backward.default": Work(6, 2),
    "aten.gt.Scalar": _ONE,
    "aten.gt.Tensor": _ONE,
    "aten.hardtanh.default": Work(2),
    "aten.hypot.default": Work(3, 1),
    "aten.i0.default": _SERIES,
    "aten.isinf.default": _ONE,
    "aten.isnan.default": _ONE,
    "aten.le.Scalar": _ONE,
    "aten.le.Tensor": _ONE,
    "aten.leaky_relu.default": Work(2),
    "aten.lgamma.default": _SERIES,
    "aten.log.default": _SPECIAL,
    "aten.log10.default": _SPECIAL,
    "aten.log1p.default": _SPECIAL,
    "aten.log2.default": _SPECIAL,
    "aten.logical_and.default": _ONE,
    "aten.logical_not.default": _ONE,
    "aten.logical_or.default": _ONE,
    "aten.logical_xor.default": _ONE,
    "aten.lt.Scalar": _ONE,
    "aten.lt.Tensor": _ONE,
    "aten.maximum.default": _ONE,
    "aten.minimum.default": _ONE,
    "aten.mul.Scalar": _ONE,
    "aten.mul.Tensor": _ONE,
    "aten.mul_.Tensor": _ONE,
    "aten.ne.Scalar": _ONE,
    "aten.ne.Tensor": _ONE,
    "aten.neg.default": _ONE,
    "aten.polygamma.default": _SERIES,
    "aten.pow.Scalar": _POWER,
    "aten.pow.Tensor_Scalar": _SPECIAL,
    "aten.pow.Tensor_Tensor": _POWER,
    "aten.reciprocal.default": _SPECIAL,
    "aten.relu.default": _ONE,
    "aten.remainder.Scalar": _REMAINDER,
    "aten.remainder.Tensor": Work(4, 1),
    "aten.round.default": _ONE,
    "aten.rsqrt.default": Work(1, 2),
    "aten.rsub.Scalar": _ONE,
    "aten.sigmoid.default": Work(2, 2),
    "aten.sigmoid_backward.default": Work(3),
    "aten.sign.default": _ONE,
    "aten.signbit.default": _ONE,
    "aten.silu.default": Work(3, 2),
    "aten.sin.default": _SPECIAL,
    "aten.sinh.default": _SPECIAL,
    "aten.special_i0e.default": _SERIES,
    "aten.special_i1.default": _SERIES,
    "aten.special_i1e.default": _SERIES,
    "aten.special_ndtri.default": _SERIES,
    "aten.sqrt.default": _SPECIAL,
    "aten.sub.Scalar": _ONE,
    "aten.sub.Tensor": _ONE,
    "aten.sub_.Tensor": _ONE,
    "aten.tan.default": _SPECIAL,
    "aten.tanh.default": _SPECIAL,
    "aten.tanh_backward.default": Work(3),
    "aten.threshold_backward.default": _ONE,
    "aten.trunc.default": _ONE,
    "aten.where.self": _ONE,
    # a hash of the element's number: a sum, 3 shifts, 3 exclusive ors, 2 products; then a shift, a
    # conversion and a scaling
    "weft.uniform.default": Work(12),
}


def elementwise(node: fx.Node, site: Site, work: Work) -> Cost:
    """Cost of an element-wise operator on its result."""
    elements = site.elements(node)
    if _divides_by_a_number(node):
        work = _DIVISION_BY_A_NUMBER
    cycles = site.vector_cycles(elements, dtype_of(node), work.passes)
    special = work.special * site.target.vector.special_cycles * elements
    return Cost(cycles + special, site.zeros())


def _divides_by_a_number(node: fx.Node) -> bool:
    """A division by a constant is a multiplication by its reciprocal; a square is a product."""
    name = str(node.target)
    if name == "aten.pow.Tensor_Scalar":
        return isinstance(node.args[1], int | float) and node.args[1] == 2
    return name == "aten.div.Tensor" and not isinstance(node.args[1], fx.Node)
