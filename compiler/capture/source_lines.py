"""Which line of the user's runs: torch.export names lines of functions called 'forward'."""

from __future__ import annotations

import contextlib
import copy
import functools
import linecache
import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.fx import traceback
from torch.overrides import TorchFunctionMode

from ...backend.queries import QUERIES

PACKAGE = Path(__file__).resolve().parents[2]
_NOT_RUNNING = (
    str(PACKAGE / "compiler"),
    contextlib.__file__,
    copy.__file__,
    functools.__file__,
    random.__file__,
    "<",
)
_NO_USERS = (
    str(Path(torch.__file__).parent),
    str(PACKAGE / "compiler" / "capture" / "sample.py"),
    "<string>",
)


def is_users(file: str) -> bool:
    """Whether a file is neither torch's nor the one that calls the model."""
    return not file.startswith(_NO_USERS)


@lru_cache(maxsize=1024)
def portable(file: str) -> str:
    """The path as an import would find it, so that plans do not depend on the machine."""
    path = Path(file)
    roots = [PACKAGE, *(Path(entry or ".").resolve() for entry in sys.path)]
    inside = [root for root in roots if path.is_relative_to(root)]
    if not inside:
        return path.name
    root = max(inside, key=lambda root: len(root.parts))
    inner = path.relative_to(root).as_posix()
    return f"weft/{inner}" if root == PACKAGE else inner


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


def is_running(file: str) -> bool:
    """Whether a file is part of the model, not of torch, of the compiler, or of how they call."""
    return is_users(file) and not file.startswith(_NOT_RUNNING)


def running_line() -> str:
    """'file.py:12' of the innermost line outside of torch and of the compiler that is running."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        if is_running(file):
            return f"{portable(file)}:{frame.f_lineno}"
        frame = frame.f_back
    return "the model"


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
        if func in QUERIES:
            return func(*args, **(kwargs or {}))
        if "from_node" in traceback.get_current_meta():  # of a graph that is run: it has its line
            return func(*args, **(kwargs or {}))
        file, line = calling_line()
        code = linecache.getline(file, line).strip()
        traceback.set_stack_trace([f'File "{file}", line {line}, in forward\n    {code}'])
        return func(*args, **(kwargs or {}))
