"""Names of the user's own functions, checked in the text of their files: nothing is imported."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from ...backend.errors import UnknownNameError
from .user_code import is_user_code, running

_MADE_AS_IT_RUNS = re.compile(
    r"import\s*\*|\b(globals|locals|vars|exec|setattr|__getattr__|modules)\b"
)


def check_named(name: str, role: str) -> None:
    """Of 'FILE.py:NAME', or of 'module:NAME' with a file in the current folder.

    Raises UserError for a file that is no Python, UnknownNameError for a name that it cannot have.
    A file that may make names as it runs, and one that is not there, are left alone.
    """
    path, _, attribute = name.rpartition(":")
    file = Path(path if path.endswith(".py") else path.replace(".", "/") + ".py")
    if not is_user_code(name) or not file.is_file():
        return
    with running(f"{role} {name}", "correct that line"):
        with tokenize.open(file) as opened:
            text = opened.read()
        tree = ast.parse(text, str(file.resolve()))
    if re.search(rf"\b{re.escape(attribute)}\b", text) or _MADE_AS_IT_RUNS.search(text):
        return
    raise UnknownNameError(f"{role} in {path}", attribute, _names(tree), f"python -m pydoc {path}")


def names_in(file: Path) -> tuple[str, ...]:
    """Functions, classes and results of calls at the top of a file, in order; none if it is no
    Python."""
    try:
        with tokenize.open(file) as opened:
            return tuple(_names(ast.parse(opened.read())))
    except (SyntaxError, ValueError, OSError):
        return ()


def _names(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        found: list[str] = []
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found = [node.name]
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            found = [target.id for target in node.targets if isinstance(target, ast.Name)]
        yield from (name for name in found if not name.startswith("_"))
