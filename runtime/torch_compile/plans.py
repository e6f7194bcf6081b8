"""What the wafer would do with what torch.compile compiled."""

from __future__ import annotations

from typing import Any

from torch import nn

from ...backend.errors import UserError
from ...compiler.plan.plan import Plan
from .backend import CompiledShape


def plan_of(compiled: nn.Module) -> Plan:
    """The plan of a module that `torch.compile(module, backend="weft")` runs as one graph.

    Made when it is asked for, with the weights of that moment. Raises UserError if no graph or
    several were trained (see `plans_of`), UnsupportedError for an operator without a cost, and
    InfeasibleError if it does not fit.
    """
    found = _trained(compiled)
    if len(found) != 1:
        shapes = "; ".join(shape.describe() for shape in found)
        raise UserError(
            f"plan of {_module(compiled)}",
            expected="one graph that was run with gradients",
            got=f"{len(found)}: {shapes}" if found else "none",
            change="weft.plans_of gives the plans of all; TORCH_LOGS=graph_breaks says where the"
            " graph breaks"
            if found
            else 'run torch.compile(model, backend="weft") once with gradients enabled',
        )
    return found[0].plan(_module(compiled))


def plans_of(compiled: nn.Module) -> tuple[Plan, ...]:
    """A plan for each graph and shape that was run with gradients, in the order of first calls.

    Empty if there was none. Raises like `plan_of`.
    """
    found = _trained(compiled)
    names = [f"{_module(compiled)}.{number}" for number in range(len(found))]
    return tuple(shape.plan(name) for shape, name in zip(found, names, strict=True))


def _module(compiled: Any) -> str:
    return type(getattr(compiled, "_orig_mod", compiled)).__name__


def _trained(compiled: Any) -> list[CompiledShape]:
    """What was trained of a module: the graphs that read a parameter or buffer of it."""
    module = getattr(compiled, "_orig_mod", compiled)
    if not isinstance(module, nn.Module):
        raise UserError(
            "plan of a compiled function",
            expected="a torch.nn.Module whose parameters were used, compiled or not",
            got=type(compiled).__name__,
            change="pass the module that the function calls",
        )
    own = {id(tensor) for tensor in (*module.parameters(), *module.buffers())}
    found = [shape for shape in CompiledShape.known if shape.is_trained and shape.reads(own)]
    return sorted(found, key=lambda shape: shape.number)
