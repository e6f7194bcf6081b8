"""What a notebook shows of a result that has a summary."""

from __future__ import annotations

from html import escape


class Shown:
    """Shows `summary` where a notebook cell ends in it."""

    def summary(self) -> str:
        """A few lines of text."""
        raise NotImplementedError

    def _repr_html_(self) -> str:
        return f"<pre>{escape(self.summary())}</pre>"
