"""Functions of the user's that a recipe names: 'package.module:name' or 'FILE.py:name'."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from ...backend.errors import UnknownNameError, UserError, WeftError


def is_user_code(name: str) -> bool:
    """True for a name that says where to find it, instead of one of weft's own."""
    return ":" in name or name.endswith(".py")


def find(name: str, role: str) -> Any:
    """What `name` names: modules of the current folder are found as well as installed ones.

    Raises UserError for a module that cannot be imported and for an exception of its own code,
    UnknownNameError for a name that it lacks. `role` is what the message calls it, 'model' or
    'loss'.
    """
    path, _, attribute = name.rpartition(":")
    where = f"{role} {name}"
    if not path or not attribute:
        raise UserError(
            where,
            expected="FILE.py:NAME or package.module:NAME",
            got=f"'{name}'",
            change=f"say which function of it makes the {role}: {(path or attribute)}:NAME",
        )
    module = _module_of(path, where)
    if not hasattr(module, attribute):
        known = [key for key, value in vars(module).items() if _is_own(module, key, value)]
        raise UnknownNameError(f"{role} in {path}", attribute, known, f"python -m pydoc {path}")
    found = getattr(module, attribute)
    if not callable(found):
        raise UserError(
            where,
            expected=f"a function or class that makes the {role}, or the {role} itself",
            got=f"a {type(found).__name__}",
            change=f"name the function that makes it: {path}:NAME",
        )
    return found


@contextmanager
def running(where: str, change: str) -> Iterator[None]:
    """Turns an exception of the user's own code into a UserError with its last line there."""
    try:
        yield
    except WeftError:
        raise
    except Exception as error:
        raise UserError(
            f"{where}{_line_of(error)}",
            expected="code that runs",
            got=f"{type(error).__name__}: {_first_line(error)}".removesuffix(": "),
            change=change,
        ) from error


def _first_line(error: Exception) -> str:
    """torch's errors go on with all signatures that there are."""
    return (str(error).strip().splitlines() or [""])[0]


def _module_of(path: str, where: str) -> ModuleType:
    if path.endswith(".py"):
        return _module_of_file(Path(path), where)
    _look_in(Path.cwd())
    try:
        with running(where, "correct that line"):
            return importlib.import_module(path)
    except UserError as error:
        cause = error.__cause__
        if isinstance(cause, ModuleNotFoundError) and _is_part(cause.name, path):
            raise UserError(
                where,
                expected="package.module:NAME with a module that can be imported, or FILE.py:NAME",
                got=str(cause),
                change=f"run where {path.replace('.', '/')}.py lies, or name the file itself",
            ) from error
        raise


def _module_of_file(file: Path, where: str) -> ModuleType:
    """The module in a file, run once; its folder is searched for what it imports."""
    if not file.is_file():
        raise UserError(
            where, expected="a Python file", got=f"no file {file}", change="check the path"
        )
    name = file.stem
    loaded = sys.modules.get(name)
    if loaded is not None and _lies_in(loaded, file):
        return loaded
    name = name if loaded is None else str(file.resolve())
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    _look_in(file.resolve().parent)
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    try:
        with running(where, "correct that line"):
            spec.loader.exec_module(module)
    except UserError:
        del sys.modules[name]
        raise
    return module


def _look_in(folder: Path) -> None:
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))


def _lies_in(module: ModuleType, file: Path) -> bool:
    own = getattr(module, "__file__", None)
    return own is not None and Path(own).resolve() == file.resolve()


def _is_part(missing: str | None, path: str) -> bool:
    """True if the missing module is the one asked for, or a package on the way to it."""
    return missing is not None and (path == missing or path.startswith(f"{missing}."))


def _is_own(module: ModuleType, name: str, value: Any) -> bool:
    """True for what a module defines itself and does not hide."""
    return not name.startswith("_") and getattr(value, "__module__", None) == module.__name__


def _line_of(error: Exception) -> str:
    """', FILE, line N' where the exception left code that is neither weft's nor installed."""
    if isinstance(error, SyntaxError) and error.filename:
        return f", {error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_users(frame.filename)]
    return f", {own[-1].filename}, line {own[-1].lineno}" if own else ""


_WEFT = Path(__file__).resolve().parents[2]
_STANDARD = Path(importlib.__file__).resolve().parents[1]


def _is_users(filename: str) -> bool:
    path = Path(filename).resolve()
    if not path.is_file() or path.is_relative_to(_STANDARD):
        return False
    is_wefts = path.is_relative_to(_WEFT) and path.parent != _WEFT
    return not is_wefts and not {"site-packages", "dist-packages"} & set(path.parts)
