"""What the wafer would do with what torch.compile compiled."""

from __future__ import annotations

from typing import Any

from torch import nn

from ...backend.errors import UserError
from ...compiler.plan.plan import Plan
from .backend import CompiledShape
from .owners import Owner


def plan_of(compiled: nn.Module) -> Plan:
    """The plan of a module that `torch.compile(module, backend="weft")` runs as one graph.

    Made when it is asked for, with the module's own weights of that moment. Raises UserError if no
    graph or several were trained (see `plans_of`), UnsupportedError for an operator without a cost,
    and InfeasibleError if it does not fit.
    """
    found = _trained(compiled)
    if not found and _is_torchs_own(compiled):
        raise UserError(
            f"plan of {_module(compiled)}",
            expected="a class of one's own: torch does not trace those of torch.nn that are"
            " compiled in place",
            got=f"torch.nn.{_module(compiled)}.compile(...), which ran as plain torch",
            change='compiled = torch.compile(model, backend="weft"), or put it into a module',
        )
    if len(found) != 1:
        shapes = "; ".join(shape.describe() for shape, _ in found)
        raise UserError(
            f"plan of {_module(compiled)}",
            expected="one graph that was run with gradients",
            got=f"{len(found)}: {shapes}" if found else "none",
            change="weft.compile gives one plan of the whole network, weft.plans_of those of all"
            " graphs; TORCH_LOGS=graph_breaks says where it breaks (OnlineNorm does)"
            if found
            else 'run torch.compile(model, backend="weft") once with gradients enabled, and again'
            " where its parameters were replaced since",
        )
    ((shape, owner),) = found
    return shape.plan(_module(compiled), owner)


def plans_of(compiled: nn.Module) -> tuple[Plan, ...]:
    """A plan for each graph and shape that was run with gradients, in the order of first calls.

    Empty if there was none. Raises like `plan_of`.
    """
    found = _trained(compiled)
    names = [f"{_module(compiled)}.{number}" for number in range(len(found))]
    pairs = zip(found, names, strict=True)
    return tuple(shape.plan(name, owner) for (shape, owner), name in pairs)


def _is_torchs_own(compiled: Any) -> bool:
    """Whether it is a module of torch.nn that was compiled in place."""
    is_in_place = getattr(compiled, "_compiled_call_impl", None) is not None
    return is_in_place and type(compiled).__module__.startswith("torch.nn.")


def _module(compiled: Any) -> str:
    return type(getattr(compiled, "_orig_mod", compiled)).__name__


def _trained(compiled: Any) -> list[tuple[CompiledShape, Owner]]:
    """What was trained of a module: graphs, each with the tensors of it that it was run with."""
    module = getattr(compiled, "_orig_mod", compiled)
    if not isinstance(module, nn.Module):
        raise UserError(
            "plan of a compiled function",
            expected="a torch.nn.Module whose parameters were used, compiled or not",
            got=type(compiled).__name__,
            change="pass the module that the function calls",
        )
    own = {id(tensor) for tensor in (*module.parameters(), *module.buffers())}
    owners = ((shape, shape.owners.of(own)) for shape in CompiledShape.known)
    found = [(shape, owner) for shape, owner in owners if owner is not None]
    return sorted(found, key=lambda pair: pair[1].number)
