"""Source files that a verb of the Python interface passes through: python -m weft.bench.entered.

Counted are files of weft in which a function is called; importing a file does not count, nor do
comprehensions in it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

_ROOT = Path(__file__).parents[1]
_COMPREHENSIONS = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")


@contextmanager
def entered() -> Iterator[set[str]]:
    """The files entered while the block runs, by their path in the package."""
    seen: set[str] = set()
    files: set[str] = set()
    root = f"{_ROOT}/"

    def note(frame: FrameType, event: str, argument: object) -> None:
        file = frame.f_code.co_filename
        if event != "call" or not file.startswith(root) or file in (__file__, *seen):
            return
        if frame.f_code.co_name not in _COMPREHENSIONS and not _is_importing(frame, root):
            seen.add(file)

    before = sys.getprofile()
    sys.setprofile(note)
    threading.setprofile(note)
    try:
        yield files
    finally:
        sys.setprofile(before)
        threading.setprofile(before)
        files |= {file.removeprefix(root) for file in seen}


def _is_importing(frame: FrameType | None, root: str) -> bool:
    """Whether the frame runs because a file of weft is imported."""
    while frame is not None:
        if frame.f_code.co_name == "<module>" and frame.f_code.co_filename.startswith(root):
            return frame.f_code.co_filename != __file__
        frame = frame.f_back
    return False


def perceptron() -> dict[str, set[str]]:
    """Files entered by compiling a two-layer perceptron, and by training it on 64 samples."""
    import numpy as np
    import torch
    from torch import nn

    from .. import compile as compile_model
    from ..api import train
    from ..runtime.data import Dataset

    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 4))
    samples = torch.randn(1, 8)
    with entered() as compiling:
        plan = compile_model(
            model,
            (samples, torch.tensor([0])),
            loss=nn.functional.cross_entropy,
            target="tiny_mesh",
        )
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((64, 8), np.float32), rng.integers(0, 4, 64)
    data = Dataset("random", x, y, x[:8], y[:8], "none")
    with entered() as training:
        train(plan, data, executor="jax", epochs=1)
    return {"weft.compile": compiling, "weft.train": training}


def main(tell: Callable[[str], Any] = print) -> None:
    """Print the counts, then the files."""
    found = perceptron()
    for name, files in found.items():
        tell(f"{name}: {len(files)} files")
    for name, files in found.items():
        tell("\n".join(["", f"{name}:", *(f"  {file}" for file in sorted(files))]))


if __name__ == "__main__":
    main()
