"""Property tests draw the same examples on every machine, and no test is judged by its time."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("weft", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("weft")
