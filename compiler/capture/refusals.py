"""What torch raised while it traced a model, in one voice: where, what, and what to change."""

from __future__ import annotations

import os
import traceback

from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from ...backend.errors import UnsupportedError, UserError
from .sample import OneSample
from .source_lines import is_running, portable

_DATA_DEPENDENT = (
    GuardOnDataDependentSymNode,
    DataDependentOutputException,
    DynamicOutputShapeException,
)
_ON_TWO_DEVICES = "found two different devices"
_OF_GENERATOR = "torch._C.Generator"
_ARE_WRITTEN = "inputs that are mutated in the graph"
_CURES = {
    "nn/modules/transformer.py": "call it with is_causal=True, if the mask is the causal one;"
    " otherwise is_causal=False, which leaves the mask as it is",
    "distributions/": "give the distribution validate_args=False",
}
"""File of torch -> what to change where it looks at the values of tensors."""
_ENTERED = {
    "_higher_order_ops/": "let tensors decide: torch.where(condition, a, b) of both branches in the"
    " place of torch.cond; a loop of Python over a fixed number of steps for while_loop, scan, map",
    f"{os.sep}copy.py": "call the module itself, clone() a tensor; a copy that is to train is made"
    " in __init__",
}
"""File of torch or Python -> what to change where the trace cannot go through it."""


def refusal(sample: OneSample, error: Exception) -> UserError:
    """The error to raise in the place of one that came out of torch.export."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame for frame in frames if is_running(frame.filename)]
    place = f"{portable(lines[-1].filename)}:{lines[-1].lineno}" if lines else ""
    where = f"capturing {type(sample.model).__name__}" + (f" ({place})" if place else "")
    if isinstance(error, _DATA_DEPENDENT):
        return _data_dependent(where, lines[-1].line if lines else None, frames)
    reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
    got = f"{type(error).__name__}: {reason}"
    if _ON_TWO_DEVICES in reason:
        return UnsupportedError(
            where,
            expected="a model torch.export can trace on these example inputs",
            got=got,
            change="its code makes a tensor on a device of its own choice: build the model and the"
            " inputs on the CPU instead, or let that line take the device of an input",
        )
    if _OF_GENERATOR in reason:
        return UnsupportedError(
            where,
            expected="draws from torch's default generator, which each sample has for itself",
            got="a draw with generator=, whose numbers depend on the calls before",
            change="leave generator= out; a plan's draws are seeded when it trains",
        )
    if _ARE_WRITTEN in reason:
        return UnsupportedError(
            f"buffers of {type(sample.model).__name__}",
            expected="buffers with memory of their own, or none that a call writes to",
            got="two that share memory, or are one, of which a call writes to one: the other"
            " changes with it",
            change="register it once and read that one, or give the other memory: .clone()",
        )
    if _is_of_loss(sample, frames):
        return UserError(
            f"the loss ({place})" if place else "the loss",
            expected="a loss that takes the model's result and the last of the example inputs",
            got=got,
            change="give a target of the shape and type that the loss takes, as the last example"
            " input (or 'target' by name); in a recipe: input.label_shape, input.label_dtype",
        )
    cures = [cure for part, cure in _ENTERED.items() if any(part in f.filename for f in frames)]
    return UnsupportedError(
        where,
        expected="a model torch.export can trace on these example inputs",
        got=got,
        change=cures[0]
        if cures
        else "run model(*inputs) eagerly with them: inputs of another shape or type are the"
        " usual cause; otherwise write this line with operators of torch on tensors",
    )


def _data_dependent(
    where: str, line: str | None, frames: traceback.StackSummary
) -> UnsupportedError:
    cures = [cure for part, cure in _CURES.items() if any(part in f.filename for f in frames)]
    return UnsupportedError(
        where,
        expected="a forward that does the same for every sample: a plan is one fixed graph",
        got=f"`{line}`, where Python reads the value of a tensor" if line else "a value read",
        change=cures[0]
        if cures
        else "let tensors decide: torch.where(condition, a, b), a product with a mask, a fixed"
        " number of rows; see the torch.export documentation on data-dependent control flow",
    )


def _is_of_loss(sample: OneSample, frames: traceback.StackSummary) -> bool:
    """Whether the loss was running: it is called from another line than the model is."""
    if sample.loss is None:
        return False
    inner = [f for f in frames if f.filename.endswith("capture/sample.py") and f.name == "_results"]
    return bool(inner) and "self.loss(" in (inner[-1].line or "")
