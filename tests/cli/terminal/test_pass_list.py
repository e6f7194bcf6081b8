"""The list of passes is read from sources: it must say what the classes themselves say."""

from __future__ import annotations

import dataclasses
import inspect
import subprocess
import sys

import pytest
from weft.backend.errors import UnknownNameError
from weft.cli.terminal.pass_list import PassEntry, check_passes, pass_entries
from weft.compiler.pipeline import PASSES


def _declared(name: str, kind: type) -> PassEntry:
    call = inspect.signature(kind.__call__)
    taken = [p.annotation for own, p in call.parameters.items() if own != "self"]
    options = tuple(field.name for field in dataclasses.fields(kind))
    summary = (inspect.getdoc(kind) or "").partition("\n")[0]
    return PassEntry(name, ", ".join(taken), call.return_annotation, options, summary)


def test_entries_are_what_the_classes_declare() -> None:
    assert pass_entries() == tuple(_declared(name, kind) for name, kind in PASSES.items())


def test_listing_imports_no_torch() -> None:
    code = (
        "import sys; from weft.cli.terminal.pass_list import pass_entries; assert pass_entries();"
        " assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_is_no_pass_is_refused() -> None:
    check_passes(["cut", "map"])
    with pytest.raises(UnknownNameError, match="cutt"):
        check_passes(["cutt"])
