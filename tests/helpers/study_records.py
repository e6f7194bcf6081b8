"""Records of a study, made up."""

from __future__ import annotations

from weft.bench.studies.training import SEQUENTIAL, Record


def record(method: str, seed: int, accuracy: float, loss: float | None, factor: float = 1.0):
    return Record(
        experiment="digits",
        setup="a network",
        method=method,
        factor=factor,
        rate=0.1 * factor,
        seed=seed,
        epochs=2,
        first_delay=0 if method == SEQUENTIAL else 66,
        samples=10,
        accuracy=accuracy,
        loss=loss,
        diverged=loss is None,
        seconds=1.0,
        machine="a machine",
    )


RECORDS = [
    record(SEQUENTIAL, 0, 0.9, 0.3),
    record(SEQUENTIAL, 1, 0.8, 0.5),
    record("sc", 0, 0.7, 0.6),
    record("sc", 1, 0.5, 1.0),
    record("none", 0, 0.1, None, factor=4.0),
]
