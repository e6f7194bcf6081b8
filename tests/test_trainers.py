"""docs/trainers.md: each program runs in a process of its own, as a reader would start it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "trainers.md"
PROGRAMS = dict(re.findall(r"^## (.*?)\n.*?```python\n(.*?)```", PAGE.read_text(), re.M | re.S))
NEEDED = {
    "The Trainer of transformers": ("transformers", "accelerate"),
    "Lightning": ("lightning",),
    "Accelerate": ("accelerate",),
}


def test_every_program_is_known():
    assert PROGRAMS.keys() == NEEDED.keys()


RESUMED = """
trainer.save_checkpoint("run.ckpt")
kept = {name: weight != 0 for name, weight in task.network.named_parameters()}
make = weft.sparsity.Sparsifier
weft.sparsity.Sparsifier = lambda network, optimizer, share: make(
    network, optimizer, {"sparsity": share, "seed": 7}
)
again = Task()
again.network.compile(backend="weft")
later = lightning.Trainer(max_epochs=2, accelerator="cpu", logger=False)
later.fit(again, torch.utils.data.DataLoader(data, batch_size=1), ckpt_path="run.ckpt")
for name, weight in again.network.named_parameters():
    if weight.ndim > 1:
        assert torch.equal(weight != 0, kept[name]), name
"""


@pytest.mark.parametrize("name", NEEDED)
def test_a_program_of_the_page_runs(name, tmp_path):
    for package in NEEDED[name]:
        pytest.importorskip(package)
    assert "samples/s" in run(PROGRAMS[name], tmp_path)


def test_masks_come_back_from_a_checkpoint_of_lightning(tmp_path):
    pytest.importorskip("lightning")
    run(PROGRAMS["Lightning"] + RESUMED, tmp_path)


def run(program: str, folder: Path) -> str:
    """What it prints."""
    # torch_xla, imported by another test of this process, leaves its settings in the environment.
    own = {k: v for k, v in os.environ.items() if not k.startswith(("TPU_", "PJRT_", "XLA_"))}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        env={**own, "USE_TORCH_XLA": "0"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
