"""A training run in a process of its own that is killed once a checkpoint is there."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import os, signal, sys
from pathlib import Path
import weft
from weft.runtime.checkpoint import found_in

plan, data, kept, executor = sys.argv[1:]

def progress(now):
    if now.samples >= 40 and found_in(Path(kept)):
        os.kill(os.getpid(), signal.SIGKILL)

weft.train(weft.load(plan), data, executor=executor, checkpoint=kept, every=8,
           on_progress=progress)
"""


def train_until_killed(plan: Path, data: str, kept: Path, executor: str) -> None:
    """Trains a saved plan, with checkpoints every 8 samples in `kept`, until it is killed."""
    arguments = str(plan), data, str(kept), executor
    done = subprocess.run([sys.executable, "-c", _SCRIPT, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL
