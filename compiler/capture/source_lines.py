"""Which line of the user's runs: torch.export names lines of functions called 'forward'."""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.fx import traceback
from torch.overrides import TorchFunctionMode

PACKAGE = Path(__file__).resolve().parents[2]
_NO_USERS = (
    str(Path(torch.__file__).parent),
    str(PACKAGE / "compiler" / "capture" / "sample.py"),
    "<string>",
)


def is_users(file: str) -> bool:
    """Whether a file is neither torch's nor the one that calls the model."""
    return not file.startswith(_NO_USERS)


def calling_line() -> tuple[str, int]:
    """File and line of the innermost 'forward' outside of torch that is running; ("", 0) of
    none."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        code = frame.f_code
        if code.co_name == "forward" and is_users(code.co_filename):
            return code.co_filename, frame.f_lineno
        frame = frame.f_back
    return "", 0


@contextmanager
def lines_noted() -> Iterator[None]:
    """Give each node that torch.export makes its line: a sixth of an export is torch's putting
    into words all eighty frames of the stack, of which this is one."""
    with traceback.preserve_node_meta(), _Lines():
        yield


class _Lines(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if "from_node" in traceback.get_current_meta():  # of a graph that is run: it has its line
            return func(*args, **(kwargs or {}))
        file, line = calling_line()
        code = linecache.getline(file, line).strip()
        traceback.set_stack_trace([f'File "{file}", line {line}, in forward\n    {code}'])
        return func(*args, **(kwargs or {}))
