"""The lines noted in an export are those that torch itself finds in its stacks."""

from __future__ import annotations

from weft.compiler.capture.source_lines import calling_line


def test_outside_of_any_forward_there_is_no_line() -> None:
    assert calling_line() == ("", 0)
