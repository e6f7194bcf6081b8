"""In a captured graph the operators of a trace become the calls that they stand for.

%r = weft_backward.function([%x, %w], results, 0)      %r = Sign#0(%x, %w)
weft_backward.hook(%h, [], 1)                    ->    %k = hook f#1(%h)
%y = relu(%h)                                          %y = relu(%k)
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import fx

from ....backend.errors import UnsupportedError
from .call import CustomCall
from .operators import FUNCTION, HOOK


def insert_calls(graph: fx.Graph, calls: Sequence[CustomCall]) -> None:
    """Replace every operator that stands for one of `calls`, in place."""
    for node in list(graph.nodes):
        if node.target is FUNCTION:
            operands, _, number = node.args  # type: ignore[misc]
            node.target, node.args = calls[number], tuple(operands)  # type: ignore
        elif node.target is HOOK:
            value, operands, number = node.args
            insert_hook(value, calls[number], operands, before=node)  # type: ignore[arg-type,index]
            graph.erase_node(node)


def insert_hook(
    value: fx.Node, call: CustomCall, operands: Sequence[fx.Node], before: fx.Node
) -> fx.Node:
    """Let all who read `value` read what the hook makes of it.

    Of several hooks on one tensor the first is nearest to the readers: it gets the gradient first.
    """
    readers = [user for user in value.users if user.target is not HOOK and user not in operands]
    where = min((before, *readers))
    if any(operand > where for operand in operands):
        raise UnsupportedError(
            f"{call.name} in {before.meta.get('origin') or before.name}",
            expected="a hook that reads what was computed before the hooked tensor was read",
            got="one that reads a tensor computed later",
            change="register the hook before the tensor is used",
        )
    with value.graph.inserting_before(where):
        hooked = value.graph.call_function(call, (value, *operands))
    hooked.meta = {**before.meta, "val": value.meta["val"]}
    for reader in readers:
        reader.replace_input_with(value, hooked)
    return hooked
