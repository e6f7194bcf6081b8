"""A scored placement as a picture: rectangles to scale, named, and the connections."""

from __future__ import annotations

from pathlib import Path

from weft.study.contest_picture import picture
from weft.study.contest_score import score


def test_the_picture_shows_every_kernel(files: tuple[Path, Path]) -> None:
    drawn = picture(score(*files))
    assert drawn.count("<title>") == 3
    assert drawn.count("<line") == 2
