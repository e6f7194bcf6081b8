"""What is kept of a run that is not finished: its folder, and the time it took so far."""

from __future__ import annotations

from pathlib import Path

from weft.bench.studies.cifar.kept import Clock


def test_the_clock_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "seconds"
    path.write_text("10.5")
    clock = Clock(path)
    assert clock.seconds == 10.5
    clock.keep()
    sum(range(200_000))
    clock.keep()
    assert 10.5 < Clock(path).seconds < 20
