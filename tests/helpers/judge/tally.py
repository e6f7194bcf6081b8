"""Judging a range of instances, one line for each thing that is wrong."""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path


def tally(judged: Callable[[int, Path], tuple[str, Sequence[str]]]) -> int:
    """Judges the instances of a command line's two numbers, and prints what is wrong, then how many
    ended how; 1 if any is wrong.

    `judged` says of a number, with a folder to write in, how its instance ended, and what is wrong.
    """
    first, last = map(int, sys.argv[1:3])
    ends, wrong, began = Counter[str](), 0, time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, last):
            end, found = judged(seed, Path(folder))
            ends[end] += 1
            wrong += bool(found)
            for line in found[:5]:
                print(f"instance {seed}: {line}", flush=True)
    print(dict(ends), f"{wrong} wrong, {time.process_time() - began:.0f} s")
    return wrong > 0
