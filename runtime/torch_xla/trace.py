"""Functions of torch tensors as XLA computations that other computations call.

torch_xla records what a function does to tensors without values. What it recorded becomes a
computation; the scalars that torch_xla would hand over at run time become constants of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch_xla
from torch import Tensor, fx
from torch.utils import _pytree as pytree
from torch_xla import _XLAC  # pyright: ignore[reportPrivateImportUsage]
from torch_xla.core import xla_builder, xla_model
from torch_xla.debug import metrics

from ...backend.errors import UnsupportedError

Op = xla_builder.Op
Tree = Any
"""Nested dataclasses, dicts, lists and tuples with tensors or operations as leaves."""


@dataclass(frozen=True)
class Traced:
    """A computation of the leaves of its arguments that returns the leaves of its result.

    `order` has the number of the leaf that each parameter of the computation is, or a constant.
    """

    computation: object
    order: tuple[int | Tensor, ...]
    result: pytree.TreeSpec

    def __call__(self, *arguments: Tree) -> Tree:
        """Call it on operations."""
        leaves = pytree.tree_leaves(arguments)
        builder = next(leaf for leaf in leaves if isinstance(leaf, Op)).builder()
        operands = [
            Op.constant(builder, entry) if isinstance(entry, Tensor) else leaves[entry]
            for entry in self.order
        ]
        called = Op.call(self.computation, operands, builder=builder)
        count = range(self.result.num_leaves)
        return pytree.tree_unflatten([called.get_tuple_element(n) for n in count], self.result)


def trace(function: Callable[..., Tree], *arguments: Tree) -> Traced:
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
    lowering = _XLAC.lowering.LoweringContext("traced")
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
    return Traced(computation, tuple(order[n] for n in sorted(order)), result)


def _place(leaf: Tensor) -> Tensor:
    return to_device(torch.zeros(leaf.shape, dtype=leaf.dtype))


def lower(module: fx.GraphModule) -> Callable[..., tuple[Tensor, ...]]:
    """A functional graph of the CPU as a function of tensors on torch_xla's device.

    Raises UnsupportedError, naming operator, module and source line, for an operator that
    torch_xla does not lower.
    """
    return _OnDevice(module).run


_REDUCTIONS = (torch.ops.aten.sum.dim_IntList, torch.ops.aten.mean.dim)
"""An empty list of dimensions means all of them, and none to torch_xla."""


_PRODUCTS = (
    torch.ops.aten.mm.default,
    torch.ops.aten.bmm.default,
    torch.ops.aten.addmm.default,
    torch.ops.aten.baddbmm.default,
    torch.ops.aten.convolution.default,
)
"""Those of bfloat16 are summed in float32 and rounded once; torch_xla rounds them more often."""


class _OnDevice(fx.Interpreter):
    """Runs a graph; what it makes from nothing is made on the device, too."""

    def run_node(self, n: fx.Node) -> Any:
        before = _done_by_cpu()
        made = super().run_node(n)
        if _done_by_cpu() != before or not _fits(made, n.meta.get("val")):
            raise _unsupported(n)
        return made

    def call_function(self, target: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        if "device" in kwargs:
            kwargs = {**kwargs, "device": torch_xla.device()}
        if target in _REDUCTIONS and list(args[1:2]) == [[]]:
            args = (args[0], list(range(args[0].ndim)), *args[2:])
        if target in _PRODUCTS and args[1].dtype == torch.bfloat16:
            wide = pytree.tree_map_only(Tensor, Tensor.float, args)
            return super().call_function(target, wide, kwargs).to(torch.bfloat16)
        return super().call_function(target, args, kwargs)


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
