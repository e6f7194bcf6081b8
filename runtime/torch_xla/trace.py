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
from ...backend.optim import sum_of_squares
from ..tick.operands import column_and_row, is_by_element, operand, square_of_product
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


_REDUCTIONS = (torch.ops.aten.sum.dim_IntList, torch.ops.aten.mean.dim)
"""An empty list of dimensions means all of them, and none to torch_xla."""


_RUNNING = (torch.ops.aten.cumsum.default, torch.ops.aten.cumprod.default)
"""Of whole numbers they are of 64 bits, and of their own type to torch_xla."""

_MATRICES = (torch.ops.aten.mm.default, torch.ops.aten.addmm.default)

_WHOLE = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)

_PRODUCTS = (
    *_MATRICES,
    torch.ops.aten.bmm.default,
    torch.ops.aten.baddbmm.default,
    torch.ops.aten.convolution.default,
)
"""Those of bfloat16 are summed in float32 and rounded once; torch_xla rounds them more often."""


class _OnDevice(fx.Interpreter):
    """Runs a graph; what it makes from nothing is made on the device, too."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=False)  # a product looks behind views
        self._results: Any = next(n.args[0] for n in module.graph.nodes if n.op == "output")

    def run_node(self, n: fx.Node) -> Any:
        before = _done_by_cpu()
        made = self._made(n)
        if _done_by_cpu() != before or not _fits(made, n.meta.get("val")):
            raise _unsupported(n)
        return made

    def _made(self, n: fx.Node) -> Any:
        if n.target in _MATRICES and runtime.device_type() != "TPU":
            return self._product(n)
        if n.target in (CONVOLUTION, BACKWARD) and runtime.device_type() == "CPU":
            return self._by_columns(n)
        if _compares_whole(n):
            value, number = self.env[n.args[0]], torch.tensor(n.args[1])  # type: ignore[index]
            return n.target(value, number.to(value.dtype).item())  # type: ignore[operator]
        wide = _wide(n)
        return super().run_node(n) if wide is None else self._in(wide, n)

    def _in(self, dtype: torch.dtype, node: fx.Node) -> Any:
        """An operator by element of whole numbers, or of a number before a tensor, in this type:
        torch_xla takes 256 beside 8 bits as 0, and makes 64 bits of what a number comes before."""

        def given(one: fx.Node) -> Any:
            value = self.env[one]
            return value.to(dtype) if _is_whole(value) else value

        arguments: Any = fx.map_arg(node.args, given)
        if _is_number_first(node):
            first = torch.full((), arguments[0], dtype=dtype, device=torch_xla.device())
            arguments = (first, *arguments[1:])
        kwargs: Any = fx.map_arg(node.kwargs, given)
        return self.call_function(node.target, arguments, kwargs)

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
        column, row = factors
        return square_of_product(self.env[column], self.env[row], torch)

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
        if target in _REDUCTIONS and list(args[1:2]) == [[]]:
            args = (args[0], list(range(args[0].ndim)), *args[2:])
        if target in _RUNNING and _is_whole(args[0]):
            args = (args[0].long(), *args[1:])
        if target in _PRODUCTS and args[1].dtype == torch.bfloat16:
            wide = pytree.tree_map_only(Tensor, Tensor.float, args)
            return super().call_function(target, wide, kwargs).to(torch.bfloat16)
        return super().call_function(target, args, kwargs)


def _wide(node: fx.Node) -> torch.dtype | None:
    """The type that an operator by element computes in where torch_xla would choose another: that
    of a real result; where whole numbers are compared with a real one, that of 32 bits."""
    made = node.meta.get("val")
    if not is_by_element(node) or not isinstance(made, Tensor):
        return None
    has_whole = any(_is_whole(one.meta.get("val")) for one in node.all_input_nodes)
    if made.dtype == torch.bool and has_whole and any(type(one) is float for one in node.args):
        return torch.float32
    is_other = made.dtype.is_floating_point and (has_whole or _is_number_first(node))
    return made.dtype if is_other else None


def _compares_whole(node: fx.Node) -> bool:
    """Whether a node compares whole numbers with one, which torch takes in their type: as 8 bits
    without a sign, -1 is 255."""
    made, arguments = node.meta.get("val"), node.args
    is_test = is_by_element(node) and isinstance(made, Tensor) and made.dtype == torch.bool
    if not is_test or not isinstance(arguments[0], fx.Node) or type(arguments[-1]) is not int:
        return False
    return _is_whole(arguments[0].meta.get("val"))


def _is_number_first(node: fx.Node) -> bool:
    """Whether a number stands where the operator has a tensor, as in 1 - x."""
    expected: Any = node.target
    is_tensor = isinstance(expected._schema.arguments[0].type, torch.TensorType)
    return is_tensor and type(node.args[0]) in (float, int)


def _is_whole(value: object) -> bool:
    return isinstance(value, Tensor) and value.dtype in _WHOLE


def _done_by_cpu() -> int:
    """Operators so far that torch_xla had no lowering for: it counts them under their names."""
    names = [name for name in metrics.counter_names() if name.startswith("aten::")]
    return sum(metrics.counter_value(name) or 0 for name in names)


def _fits(value: Any, declared: Any) -> bool:
    """Whether tensors have the shapes that the graph declares; an output declares none."""
    if isinstance(declared, (list, tuple)):
        return all(map(_fits, value, declared))
    return not isinstance(declared, Tensor) or value is None or value.shape == declared.shape


def _unsupported(node: fx.Node) -> UnsupportedError:
    return UnsupportedError(
        f"operator {node.target} in {node.meta.get('origin') or node.name}",
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
