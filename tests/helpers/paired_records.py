"""Accuracies of three methods at shared seeds."""

from __future__ import annotations

from weft.bench.studies.training import Record

ACCURACY = {
    "dense": {10: 0.96, 11: 0.98, 12: 0.97},
    "static 0.9": {10: 0.95, 11: 0.94, 12: 0.97},
    "rigl 0.9": {10: 0.97, 11: 0.95, 12: 0.97, 13: 0.10},
}


def record(method: str, seed: int, accuracy: float) -> Record:
    return Record(
        experiment="sparsity",
        setup="a network",
        method=method,
        factor=1.0,
        rate=0.1,
        seed=seed,
        epochs=2,
        first_delay=66,
        samples=10,
        accuracy=accuracy,
        loss=0.5,
        diverged=False,
        seconds=1.0,
        machine="a machine",
    )


RECORDS = [record(m, seed, value) for m, all_ in ACCURACY.items() for seed, value in all_.items()]
