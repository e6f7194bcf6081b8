"""Scores against torch's losses and loops over single labels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from weft.backend.errors import UserError
from weft.runtime.training.scores import Scoring

GENERATOR = torch.Generator().manual_seed(0)
LOGITS = 3 * torch.randn(40, 3, 4, generator=GENERATOR)
MARKS = torch.randint(0, 2, (40, 3, 4), generator=GENERATOR).float()
SCORES = torch.randn(30, 7, 5, generator=GENERATOR)
LABELS = torch.randint(0, 6, (30, 5), generator=GENERATOR)
LABELS[3, 2] = -100


def counted() -> list[tuple[list[float], int]]:
    """The scores and the label of each position that counts."""
    places = [(n, p) for n in range(30) for p in range(5) if LABELS[n, p] != -100]
    return [(SCORES[n, :, p].tolist(), int(LABELS[n, p])) for n, p in places]


def test_class_scores() -> None:
    found = Scoring(True, "", ("top2", "perplexity", "dice")).score(
        9, SCORES.numpy(), LABELS.numpy()
    )
    hits = [label in sorted(range(7), key=lambda c: -s[c])[:2] for s, label in counted()]
    assert found.more["top2"] == sum(hits) / len(hits)
    assert found.more["perplexity"] == pytest.approx(math.exp(F.cross_entropy(SCORES, LABELS)))
    best = [(max(range(7), key=lambda c: s[c]), label) for s, label in counted()]
    shares = []
    for c in range(7):
        both = sum(guess == c and label == c for guess, label in best)
        sizes = sum(guess == c for guess, _ in best) + sum(label == c for _, label in best)
        shares += [2 * both / sizes] if sizes else []
    assert found.more["dice"] == pytest.approx(sum(shares) / len(shares))
    assert (found.samples, found.part) == (9, "test")
    assert found.values["test_top2"] == found.more["top2"]


def test_what_is_no_number_is_no_hit() -> None:
    lost = np.full((2, 5), np.nan)
    assert Scoring(True, "", ("top3",)).score(0, lost, np.array([0, 1])).more["top3"] == 0


def test_binary_labels() -> None:
    """Dice is 2 TP / (2 TP + FP + FN)."""
    found = Scoring(False, "binary_cross_entropy", ("dice",)).score(
        0, LOGITS.numpy(), MARKS.numpy()
    )
    expected = F.binary_cross_entropy_with_logits(LOGITS.double(), MARKS.double())
    assert found.loss == pytest.approx(float(expected))
    pairs = list(zip((LOGITS > 0).flatten().tolist(), MARKS.flatten().tolist(), strict=True))
    right = sum(guess == bool(mark) for guess, mark in pairs)
    assert found.accuracy == right / len(pairs)
    true = sum(guess and mark == 1 for guess, mark in pairs)
    assert found.more["dice"] == pytest.approx(2 * true / (2 * true + len(pairs) - right))


@pytest.mark.parametrize("loss", ["mse", "l1"])
def test_real_labels(loss: str) -> None:
    labels = torch.randn(40, 3, 4, generator=GENERATOR).double() * torch.arange(1, 5)
    outputs = labels + LOGITS.double() / 3
    found = Scoring(False, loss, ("mae", "mse", "r2")).score(0, outputs.numpy(), labels.numpy())
    squared, absolute = float(F.mse_loss(outputs, labels)), float(F.l1_loss(outputs, labels))
    assert found.more["mse"] == pytest.approx(squared)
    assert found.more["mae"] == pytest.approx(absolute)
    assert found.loss == pytest.approx(squared if loss == "mse" else absolute)
    assert found.accuracy is None
    assert "test_accuracy" not in found.values
    total = sum(
        float((labels[:, a, b] - labels[:, a, b].mean()).square().sum())
        for a in range(3)
        for b in range(4)
    )
    assert found.more["r2"] == pytest.approx(1 - squared * labels.numel() / total)


def test_axes_of_length_one_do_not_count_and_others_do() -> None:
    scoring = Scoring(False, "mse")
    outputs, labels = np.arange(4.0).reshape(4, 1), np.arange(4.0)
    assert scoring.score(0, outputs, labels).loss == 0
    with pytest.raises(UserError, match=r"\(4, 2\) for labels \(4,\)"):
        scoring.score(0, np.zeros((4, 2)), labels)


LOSSES: dict[str, Any] = {
    "mse": F.mse_loss,
    "l1": F.l1_loss,
    "binary_cross_entropy": F.binary_cross_entropy_with_logits,
    "": F.smooth_l1_loss,
}


@pytest.mark.parametrize("name", LOSSES)
def test_the_losses_of_training_tell_which_loss_it_is(name: str) -> None:
    losses = LOSSES[name](LOGITS, MARKS, reduction="none").flatten(1).mean(1)
    unknown = Scoring(False, "")
    found = unknown.recognised(LOGITS.numpy(), MARKS.numpy(), losses.numpy())
    assert found.loss == name
    assert found.is_loss_unknown is (name == "")
    assert (found.score(0, LOGITS.numpy(), MARKS.numpy()).loss is None) is (name == "")
