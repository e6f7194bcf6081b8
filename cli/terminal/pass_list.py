"""The passes of the compiler as their sources declare them, read without importing torch."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import typer

from .console import print_table

_COMPILER = Path(__file__).parents[2] / "compiler"
_ORDER = "_ORDER"
"""What compiler/pipeline.py calls its passes in their order."""


@dataclass(frozen=True)
class PassEntry:
    """A pass: its name, the artefacts that it takes and gives, its options, what it does."""

    name: str
    takes: str
    gives: str
    options: tuple[str, ...]
    summary: str


def pass_entries() -> tuple[PassEntry, ...]:
    """All passes in the order of the pipeline."""
    pipeline = ast.parse((_COMPILER / "pipeline.py").read_text(encoding="utf-8"))
    files = {
        alias.name: _COMPILER.joinpath(*(node.module or "").split(".")).with_suffix(".py")
        for node in pipeline.body
        if isinstance(node, ast.ImportFrom) and node.level == 1
        for alias in node.names
    }
    return tuple(_entry(files[name], name) for name in _ordered(pipeline))


def _ordered(pipeline: ast.Module) -> Iterator[str]:
    """Names of the classes in the tuple `_ORDER`."""
    for node in pipeline.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == _ORDER:
            names = (part for part in ast.walk(node.value) if isinstance(part, ast.Name))
            yield from (part.id for part in sorted(names, key=lambda p: (p.lineno, p.col_offset)))


def _entry(file: Path, class_name: str) -> PassEntry:
    body = ast.parse(file.read_text(encoding="utf-8")).body
    kind = next(n for n in body if isinstance(n, ast.ClassDef) and n.name == class_name)
    call = next(n for n in kind.body if isinstance(n, ast.FunctionDef) and n.name == "__call__")
    arguments = [*call.args.args[1:], *call.args.kwonlyargs]
    return PassEntry(
        file.stem,
        ", ".join(_text(argument.annotation) for argument in arguments),
        _text(call.returns),
        tuple(ast.unparse(n.target) for n in kind.body if isinstance(n, ast.AnnAssign)),
        (ast.get_docstring(kind) or "").partition("\n")[0],
    )


def _text(annotation: ast.expr | None) -> str:
    return ast.unparse(annotation) if annotation else ""


def list_passes(is_asked: bool) -> None:
    """Callback of `--list-passes`: print every pass with its options, and leave."""
    if not is_asked:
        return
    rows = [
        (entry.name, entry.takes, entry.gives, ", ".join(entry.options) or "none", entry.summary)
        for entry in pass_entries()
    ]
    print_table(("pass", "takes", "gives", "options", "what it does"), rows)
    raise typer.Exit


def check_passes(names: Iterable[str]) -> None:
    """Raises UnknownNameError for a name that is no pass."""
    from ...backend.errors import UnknownNameError

    asked = sorted(names)
    known = [entry.name for entry in pass_entries()] if asked else []
    for name in asked:
        if name not in known:
            raise UnknownNameError("pass", name, known, "weft compile --list-passes")
