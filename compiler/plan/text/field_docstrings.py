"""What the text under each field of a class says, for pages that are made from classes."""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise


def field_docstrings(kind: type) -> dict[str, str]:
    """Field name -> the string literal that follows it in the class's source."""
    tree = ast.parse(inspect.getsource(kind)).body[0]
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    return {
        field.target.id: inspect.cleandoc(note.value.value)
        for field, note in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(note, ast.Expr)
        and isinstance(note.value, ast.Constant)
        and isinstance(note.value.value, str)
    }
