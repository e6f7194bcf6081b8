"""One run at a time writes to a directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import weft
from helpers.plans_to_train import small_data, small_plan
from weft.backend.errors import UserError
from weft.runtime.checkpoint import locked

HOLD = """
import sys, time
from pathlib import Path
from weft.runtime.checkpoint.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    """The first is another process, which is then killed."""
    words = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        in_use = pytest.raises(UserError, match=f"in use by process {other.pid} on ")
        with in_use, locked(tmp_path / "run"):
            pass
        other.kill()
        other.wait()
    with locked(tmp_path / "run", None, tmp_path / "run"):
        assert f"process {os.getpid()} on" in (tmp_path / "run" / ".lock").read_text()


@pytest.mark.parametrize("which", ["checkpoint", "log"])
def test_a_run_refuses_a_directory_in_use_before_it_touches_it(which: str, tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(UserError, match="no other run is writing to"):
        weft.train(small_plan(), small_data(), executor="reference", **{which: tmp_path})
    assert [entry.name for entry in tmp_path.iterdir()] == [".lock"]


@pytest.mark.parametrize("below", [False, True])
def test_a_file_is_no_run_directory(below: bool, tmp_path: Path) -> None:
    taken = tmp_path / "run"
    taken.write_text("")
    with (
        pytest.raises(UserError, match=f"got:      a file, {taken}"),
        locked(taken / "deeper" if below else taken),
    ):
        pass
