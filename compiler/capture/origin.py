"""Where a node comes from in the user's source: the module path and the line that called it."""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from pathlib import Path

from torch import fx

from ..plan.program import Origin
from .source_lines import PACKAGE, is_users

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
    return _portable(file), line


@lru_cache(maxsize=1024)
def _portable(file: str) -> str:
    """The path as an import would find it, so that plans do not depend on the machine."""
    path = Path(file)
    roots = [PACKAGE, *(Path(entry or ".").resolve() for entry in sys.path)]
    inside = [root for root in roots if path.is_relative_to(root)]
    if not inside:
        return path.name
    root = max(inside, key=lambda root: len(root.parts))
    inner = path.relative_to(root).as_posix()
    return f"weft/{inner}" if root == PACKAGE else inner
