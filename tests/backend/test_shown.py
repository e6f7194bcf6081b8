"""What a notebook shows of a result."""

from __future__ import annotations

from weft.backend.shown import Shown


class Small(Shown):
    def summary(self) -> str:
        return "a < b"


def test_a_summary_is_shown_as_it_is() -> None:
    assert Small()._repr_html_() == "<pre>a &lt; b</pre>"
