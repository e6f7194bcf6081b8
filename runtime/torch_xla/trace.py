"""Functions of torch tensors as XLA computations that other computations call.

torch_xla records what a function does to tensors without values. What it recorded becomes a
computation; the scalars that torch_xla would hand over at run time become constants of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils import _pytree as pytree

from ...backend.errors import UnsupportedError
from ...backend.optim import Factors, sum_of_squares
from ...compiler.plan.program_graph import graph_module, has_declared_shape, operator_place
from ..tick.operands import column_and_row, operand
from ..tick.promotion import promoted
from .convolution import BACKWARD, CONVOLUTION, Shifts, convolution, convolution_backward
from .library import XLAC, metrics, runtime, torch_xla, xla_builder, xla_model

Op = xla_builder.Op
Tree = Any
"""Nested dataclasses, dicts, lists and tuples with tensors or operations as leaves."""


@dataclass(frozen=True)
class TracedComputation:
    """A computation of the leaves of its arguments that returns the leaves of its result.

    `order` has the number of the leaf that each parameter of the computation is, or a constant.
    `types` are those of the result's leaves, which torch_xla's own may not be: the indices of a
    maximum's places are int64 to torch and half as wide to it.
    """

    computation: object
    order: tuple[int | Tensor, ...]
    result: pytree.TreeSpec
    types: tuple[torch.dtype, ...]

    def __call__(self, *arguments: Tree) -> Tree:
        """Call it on operations."""
        if not self.types:
            return pytree.tree_unflatten([], self.result)
        leaves = pytree.tree_leaves(arguments)
        builder = next(leaf for leaf in leaves if isinstance(leaf, Op)).builder()
        operands = [
            Op.constant(builder, entry) if isinstance(entry, Tensor) else leaves[entry]
            for entry in self.order
        ]
        called = Op.call(self.computation, operands, builder=builder)
        made = [_typed(called.get_tuple_element(n), dtype) for n, dtype in enumerate(self.types)]
        return pytree.tree_unflatten(made, self.result)


def _typed(made: Op, dtype: torch.dtype) -> Op:
    if dtype.is_floating_point:  # as it is; torch_xla has no name for those of 8 bits
        return made
    wanted = Op.from_torch_type(dtype)
    return made if made.shape().dtype == wanted else made.cast(wanted)


def trace(function: Callable[..., Tree], *arguments: Tree) -> TracedComputation:
    """`function` for arguments of these shapes and types; values are not read but of booleans.

    Raises UnsupportedError for an operator that torch_xla does not lower.
    """
    leaves, form = pytree.tree_flatten(arguments)
    # Real zeros: an operator that torch_xla hands to the CPU aborts the process on placeholders.
    places = [leaf if isinstance(leaf, bool) else _place(leaf) for leaf in leaves]
    before = _done_by_cpu()
    made, result = pytree.tree_flatten(function(*pytree.tree_unflatten(places, form)))
    if _done_by_cpu() > before:  # its result would be a constant of the program
        raise UnsupportedError(
            "torch-xla's program",
            expected="operators that torch_xla lowers",
            got="one that it hands to the CPU, such as the QR of rotated_adamw",
            change="take --executor jax, or another optimizer.name",
        )
    if not made:  # of which torch_xla makes no computation: it ends the process
        return TracedComputation(None, (), result, ())
    lowering = XLAC.lowering.LoweringContext("traced")
    lowering.build(made)
    order: dict[int, int | Tensor] = {
        lowering.tensor_parameter_id(place): leaf
        for leaf, place in enumerate(places)
        if not isinstance(place, bool)
    }
    order.pop(-1, None)  # of those that are not read
    for parameter, value in lowering.device_parameter_id_tensor_mapping().items():
        if parameter not in order:
            order[parameter] = value.cpu()
    computation = xla_builder.computation_from_module_proto("traced", lowering.hlo())
    types = tuple(value.dtype for value in made)
    return TracedComputation(computation, tuple(order[n] for n in sorted(order)), result, types)


def _place(leaf: Tensor) -> Tensor:
    return to_device(torch.zeros(leaf.shape, dtype=leaf.dtype))


def lower(module: fx.GraphModule, squares: int = 0) -> Callable[..., tuple[Tensor, ...]]:
    """A functional graph of the CPU as a function of tensors on torch_xla's device.

    After the results come the sums of squares of the first `squares` of them.

    Raises UnsupportedError, naming operator, module and source line, for an operator that
    torch_xla does not lower.
    """
    device = _OnDevice(module)

    def run(*arguments: Tensor) -> tuple[Tensor, ...]:
        values = device.run(*arguments)
        summed = [device.square(number) for number in range(squares)]
        device.env.clear()
        return (*values, *summed)

    return run


_ATEN = torch.ops.aten
_REDUCTIONS = (_ATEN.sum.dim_IntList, _ATEN.mean.dim, _ATEN.amax.default, _ATEN.amin.default)
"""An empty list of dimensions, or none, means all of them, and nothing to torch_xla."""

_EXTREMES = (
    *(_ATEN.amax.default, _ATEN.amin.default, _ATEN.max.default, _ATEN.min.default),
    *(_ATEN.max.dim, _ATEN.min.dim, _ATEN.argmax.default, _ATEN.argmin.default),
)
"""What is not a number is the largest and the smallest, and left out by torch_xla."""

_QUOTIENTS = (_ATEN.div.Tensor_mode, _ATEN.div.Scalar_mode)
_MATRICES = (_ATEN.mm.default, _ATEN.addmm.default)

_PRODUCTS = (
    *_MATRICES,
    _ATEN.bmm.default,
    _ATEN.baddbmm.default,
    _ATEN.convolution.default,
)
"""Those of bfloat16 are summed in float32 and rounded once; torch_xla rounds them more often."""


class _OnDevice(fx.Interpreter):
    """Runs a graph; what it makes from nothing is made on the device, too."""

    def __init__(self, module: fx.GraphModule) -> None:
        own = graph_module(promoted(module.graph))
        super().__init__(own, garbage_collect_values=False)  # a product looks behind views
        self._results: Any = own.graph.output_node().args[0]

    def run_node(self, n: fx.Node) -> Any:
        before = _done_by_cpu()
        try:
            made = self._made(n)
        except (RuntimeError, IndexError, TypeError, ValueError) as error:  # on such operands
            raise _unsupported(n) from error
        if _done_by_cpu() != before or not has_declared_shape(made, n.meta.get("val")):
            raise _unsupported(n)
        return made

    def _made(self, n: fx.Node) -> Any:
        if n.target in _MATRICES and runtime.device_type() != "TPU":
            return self._product(n)
        if n.target in (CONVOLUTION, BACKWARD) and runtime.device_type() == "CPU":
            return self._by_columns(n)
        if n.target is _ATEN.avg_pool3d.default and n.args[6:] not in ((), (None,)):
            raise _unsupported(n)  # torch_xla takes a divisor of three dimensions otherwise
        return super().run_node(n)

    def _by_columns(self, node: fx.Node) -> Any:
        """A convolution or its gradients by matrix products."""
        given: Any = fx.map_arg(node.args, self.env.__getitem__)
        if node.target == CONVOLUTION:
            x, weight, bias, *arguments = given
            return convolution(x, weight, bias, Shifts.of(x, weight, arguments))
        grad, x, weight, _, *arguments, wanted = given
        return convolution_backward(grad, x, weight, Shifts.of(x, weight, arguments), wanted)

    def square(self, number: int) -> Tensor:
        """The sum of squares of a result of the latest run: of a product, that of its factors."""
        result = self._results[number]
        factors = column_and_row(result)
        if factors is None:
            return sum_of_squares(self.env[result], torch)
        return Factors(*(self.env[factor] for factor in factors)).square(torch)

    def _product(self, node: fx.Node) -> Tensor:
        """A product of matrices that reads a transposed one where it lies.

        As a transpose and a product, XLA's CPU backend copies the whole weight for every sample. On
        a TPU it would not be of the precision that was asked for: torch_xla leaves that out here.
        """
        given: Any = node.args
        *bias, a, b = given
        (first, is_first_transposed), (second, is_second_transposed) = operand(a), operand(b)
        left, right = self.env[first], self.env[second]
        contracted = [0 if is_first_transposed else 1], [1 if is_second_transposed else 0]
        if left.dtype == torch.bfloat16:
            left, right = left.float(), right.float()
        made = XLAC._xla_dot_general(left, right, (contracted, ([], [])))
        if bias:
            scale, share = (node.kwargs.get(name, 1) for name in ("alpha", "beta"))
            made = scale * made + share * self.env[bias[0]]
        return made.to(node.meta["val"].dtype)

    def call_function(self, target: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if "device" in kwargs:
            kwargs = {**kwargs, "device": torch_xla.device()}
        if target in _REDUCTIONS and list(args[1:2]) in ([], [[]]):
            args = (args[0], list(range(args[0].ndim)), *args[2:])
        if target in _EXTREMES and args[0].is_floating_point():
            return _extreme(target, *args, **kwargs)
        if target in _QUOTIENTS and not args[0].is_floating_point():
            return _quotient(target, *args, **kwargs)
        if target is _ATEN.cummax.default:
            return _running_largest(*args)
        if target in _PRODUCTS and args[1].dtype == torch.bfloat16:
            wide = pytree.tree_map_only(Tensor, Tensor.float, args)
            return super().call_function(target, wide, kwargs).to(torch.bfloat16)
        return super().call_function(target, args, kwargs)


def _extreme(find: Any, x: Tensor, *args: Any, **named: Any) -> Any:
    """An extreme of real numbers, its place, or both: the first that is not a number, if any."""
    missing = torch.isnan(x).int()
    if find in (_ATEN.argmax.default, _ATEN.argmin.default):
        where = _ATEN.argmax.default(missing, *args, **named)
        lines = missing.reshape(-1) if not args or args[0] is None else missing
        axis: Any = args[0] if lines is missing else 0
        has = lines.amax(axis).reshape(where.shape)
        return torch.where(has > 0, where, find(x, *args, **named))
    if find in (_ATEN.max.dim, _ATEN.min.dim):
        values, places = find(x, *args, **named)
        has, where = _ATEN.max.dim(missing, *args, **named)
        return torch.where(has > 0, torch.nan, values), torch.where(has > 0, where, places)
    is_whole = find in (_ATEN.max.default, _ATEN.min.default)
    largest = _ATEN.max.default if is_whole else _ATEN.amax.default
    return torch.where(largest(missing, *args, **named) > 0, torch.nan, find(x, *args, **named))


def _quotient(divide: Any, a: Tensor, b: Any, *, rounding_mode: str | None) -> Tensor:
    """Of whole numbers below 2 ** 53: torch_xla takes it in 32 bits, where it may be the next."""
    divisor = b.double() if isinstance(b, Tensor) else b
    return divide(a.double(), divisor, rounding_mode=rounding_mode).to(a.dtype)


def _running_largest(x: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """The largest value so far and the last place of it, where torch_xla has the first."""
    if not x.ndim:
        return x, torch.zeros_like(x, dtype=torch.int64)
    values, _ = _ATEN.cummax.default(x, dim)
    shape = [-1 if axis == dim % x.ndim else 1 for axis in range(x.ndim)]
    numbers = torch.arange(x.shape[dim], device=x.device).reshape(shape)
    places, _ = _ATEN.cummax.default(torch.where(x == values, numbers, -1), dim)
    return values, places


def _done_by_cpu() -> int:
    """Operators so far that torch_xla had no lowering for: it counts them under their names."""
    names = [name for name in metrics.counter_names() if name.startswith("aten::")]
    return sum(metrics.counter_value(name) or 0 for name in names)


def _unsupported(node: fx.Node) -> UnsupportedError:
    return UnsupportedError(
        operator_place(node),
        expected="an operator that torch_xla lowers",
        got=f"{node.op} {node.target}",
        change="take --executor jax or reference, or write the model without this operator",
    )


def to_device(tensor: Tensor) -> Tensor:
    """On torch_xla's device, in memory of its own.

    `Tensor.to` would make constants of scalars that are zero or one, and so another program.
    """
    sent: Any = xla_model.send_cpu_data_to_device([tensor], torch_xla.device())
    return sent[0]


def like(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A leaf for `trace`: a tensor of which only shape and type count."""
    return torch.empty(shape, dtype=dtype, device="meta")
