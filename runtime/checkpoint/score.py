"""The result of a test, as reports and checkpoints have it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Score:
    """A test after `samples` training samples, on the part for validation or for testing.

    `accuracy` is the share of labels predicted right, `loss` the mean cross-entropy in nats; for a
    language model over bytes both are per byte, and loss / ln 2 is bits per byte. Where labels are
    real numbers, `loss` is the mean of mse, l1 or binary_cross_entropy, whichever is trained with
    (of another loss None), and only the last has an accuracy (else None). `more` has the scores
    that were asked for, by name.
    """

    samples: int
    accuracy: float | None
    loss: float | None
    part: str = "test"
    more: dict[str, float] = field(default_factory=dict)

    @property
    def values(self) -> dict[str, float]:
        """All that there is of it, by name, as in test_accuracy."""
        found = {"accuracy": self.accuracy, "loss": self.loss, **self.more}
        known = {name: value for name, value in found.items() if value is not None}
        return {f"{self.part}_{name}": value for name, value in known.items()}
