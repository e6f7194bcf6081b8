"""What a finished trace says that no plan can hold: values that decide, and constants that move."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import SymBool, SymFloat, SymInt, Tensor, fx
from torch._subclasses.fake_tensor import FakeTensor
from torch.export import ExportedProgram
from torch.export.graph_signature import InputKind
from torch.utils._pytree import tree_leaves

from ....backend.errors import UnsupportedError
from ...plan.program_graph import packet_name
from ..draws import arguments
from ..origin import origin_of
from ..sample import OneSample
from .module_tree import is_weightless, unlike
from .mutations import written

_READS = frozenset({"aten.item", "aten._local_scalar_dense"})


def check_traced(exported: ExportedProgram, sample: OneSample) -> None:
    """Raises UnsupportedError, with the line or the tensor, for what a plan cannot hold."""
    for refusal in (*_deciding(exported.graph), *_constants(exported, sample)):
        raise refusal


def _deciding(graph: fx.Graph) -> Iterator[UnsupportedError]:
    for node in graph.nodes:
        if packet_name(node) in _READS:
            yield UnsupportedError(
                f"{node.target} in {origin_of(node, strip='model')}",
                expected="numbers that stay tensors: a plan has no Python between its operators",
                got="the value of a tensor read as a number (.item(), float(), tolist())",
                change="leave out .item(): a tensor of shape () multiplies, adds and compares too",
            )
        if packet_name(node) == "aten.linalg_vector_norm" and _has_another_shape(node):
            yield UnsupportedError(
                f"{node.target} in {origin_of(node, strip='model')}",
                expected="results whose shapes torch knows",
                got="a norm over an axis of size 1, counted from the end, of which torch's trace"
                " has another shape than torch itself",
                change="count the axis from the front, or take abs() and squeeze()",
            )
        if any(map(_depends_on_data, tree_leaves(node.meta.get("val")))):
            yield UnsupportedError(
                f"{node.target} in {origin_of(node, strip='model')}",
                expected="results whose shapes are the same for every sample",
                got="one whose shape depends on the data",
                change="keep all rows and mask them: torch.where(mask, x, 0) in the place of"
                " x[mask], a sum of a mask in the place of nonzero()",
            )


def _has_another_shape(norm: fx.Node) -> bool:
    """Whether the trace has the wrong shape of a norm (torch 2.9, torch/_refs/linalg)."""
    given = arguments(norm.target, norm.args, norm.kwargs)  # type: ignore[arg-type]
    shape, dims = list(norm.all_input_nodes[0].meta["val"].shape), given["dim"]
    axes = {d % len(shape) for d in (range(len(shape)) if dims is None else dims)} if shape else ()
    kept = [1] if given["keepdim"] else []
    expected = [s for d, size in enumerate(shape) for s in (kept if d in axes else [size])]
    return list(norm.meta["val"].shape) != expected


def _depends_on_data(value: object) -> bool:
    if isinstance(value, Tensor) and value.layout is torch.strided:
        return any(isinstance(size, SymInt) for size in value.shape)
    return isinstance(value, SymInt | SymFloat | SymBool)


def _constants(exported: ExportedProgram, sample: OneSample) -> Iterator[UnsupportedError]:
    owners = _memory(exported, sample)
    specs = exported.graph_signature.input_specs
    names = {str(s.target) for s in specs if s.kind is InputKind.CONSTANT_TENSOR}
    for name in sorted(names):
        value = exported.constants.get(name)
        if not isinstance(value, Tensor):
            continue
        if isinstance(value, FakeTensor):
            yield _derivative(exported, name)
        where = f"constant {name.removeprefix('model.')} of shape {tuple(value.shape)}"
        if (found := unlike(value)) is not None:
            expected, got, change = found
            yield UnsupportedError(where, expected=expected, got=got, change=change)
        elif (owner := owners.get(_storage(value))) is not None:
            yield UnsupportedError(
                where,
                expected="constants with memory of their own",
                got=f"one that shares the memory of {owner}: in eager torch it changes with it, in"
                " the plan it would not",
                change=f"read {owner} itself in forward, and detach() it there",
            )


def _derivative(exported: ExportedProgram, name: str) -> UnsupportedError:
    """What autograd saved while the model was traced is no value of the trace."""
    specs = exported.graph_signature.input_specs
    place = next(spec.arg.name for spec in specs if str(spec.target) == name)
    node = next(node for node in exported.graph.nodes if node.name == place)
    user = next(iter(node.users), node)
    return UnsupportedError(
        f"{user.target} in {_place(user)}",
        expected="gradients that are taken after the forward, of the loss",
        got="torch.autograd.grad or backward() in forward, of operators whose results it saves",
        change="write the derivative out with operators of torch",
    )


def _place(node: fx.Node) -> str:
    """Where a node comes from, or the last before it that says so."""
    while node.op != "root":
        origin = origin_of(node, strip="model")
        if origin.file:
            return str(origin)
        node = node.prev
    return "the model"


def _memory(exported: ExportedProgram, sample: OneSample) -> dict[int, str]:
    """Where parameters, and buffers that change, are in memory -> their names."""
    specs = exported.graph_signature.input_specs
    changed = {root.name for root in written(exported.graph)}
    buffers = {str(spec.target) for spec in specs if spec.arg.name in changed}
    named = dict(sample.named_parameters())
    named |= {name: value for name, value in sample.named_buffers() if name in buffers}
    found = {_storage(value): name.removeprefix("model.") for name, value in named.items()}
    return {place: name for place, name in found.items() if place}


def _storage(value: Tensor) -> int:
    """Address of a tensor's memory; 0 of one without."""
    if value.layout is not torch.strided or is_weightless(value):
        return 0
    return value.untyped_storage().data_ptr()
