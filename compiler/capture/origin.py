"""Where a node comes from in the user's source: the module path and the line that called it."""

from __future__ import annotations

import re

from torch import fx

from ..plan.program import Origin
from .source_lines import is_users, portable

_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def origin_of(node: fx.Node, strip: str = "") -> Origin:
    """Module path (without the prefix `strip`) and the innermost source line outside torch."""
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values()]
    module = paths[-1] if paths else ""
    file, line = user_frame(node.stack_trace or "")
    return Origin(module.removeprefix(strip).lstrip("."), file, line)


def user_frame(stack_trace: str) -> tuple[str, int]:
    """File and line of the innermost frame of a trace that is outside of torch; ("", 0) of none."""
    frames = [(file, int(line)) for file, line in _FRAME.findall(stack_trace)]
    outside = [frame for frame in frames if is_users(frame[0])]
    if not outside:
        return "", 0
    file, line = outside[-1]
    return portable(file), line
