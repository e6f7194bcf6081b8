"""Labels that a loss leaves out, by what torch's own cross-entropy leaves out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import weft
from helpers.eager_loop import by_hand, in_order
from torch import Tensor, nn
from weft.backend.errors import UserError
from weft.runtime.data.ignored import ignored_labels

CLASSES, LENGTH = 5, 6


class Tagger(nn.Module):
    """Scores (1, classes, length) for tokens (1, length)."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.head = nn.Embedding(CLASSES, 4), nn.Linear(4, CLASSES)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.table(tokens).tanh()).transpose(1, 2)


def tagger() -> Tagger:
    torch.manual_seed(0)
    return Tagger()


def rows(ignored: int) -> tuple[Tensor, Tensor]:
    """Tokens and labels, every third of which is left out."""
    generator = torch.Generator().manual_seed(1)
    tokens, labels = torch.randint(0, CLASSES, (2, 12, LENGTH), generator=generator)
    labels[:, ::3] = ignored
    return tokens, labels


def flat(scores: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(scores.transpose(1, 2).flatten(0, 1), labels.flatten(), ignore_index=0)


LOSSES = {
    "plain": (nn.CrossEntropyLoss(), -100),
    "padding": (nn.CrossEntropyLoss(ignore_index=0), 0),
    "void": (nn.CrossEntropyLoss(ignore_index=255), 255),
    "negative": (nn.CrossEntropyLoss(ignore_index=-1, label_smoothing=0.1), -1),
    "weights": (nn.CrossEntropyLoss(weight=torch.arange(1.0, 6.0), ignore_index=255), 255),
    "log": (lambda s, y: F.nll_loss(s.log_softmax(1), y, ignore_index=255), 255),
    "flat": (flat, 0),
}


@pytest.mark.parametrize("name", LOSSES)
def test_what_torch_leaves_out_is_left_out(name: str) -> None:
    """In training, which torch's own loop says, and in scores, which torch's losses say."""
    loss, ignored = LOSSES[name]
    tokens, labels = rows(ignored)
    plan = weft.compile(tagger(), (tokens[:1], labels[:1]), loss)
    assert ignored_labels(plan.stages) == (ignored,)
    run = in_order(plan, (tokens, labels), test=(tokens, labels))
    model = tagger()
    np.testing.assert_allclose(run.losses, by_hand(model, loss, (tokens, labels)), rtol=1e-5)
    scores, counted = model(tokens).detach(), labels != ignored
    expected = F.cross_entropy(scores, labels, ignore_index=ignored)
    assert run.test_loss == pytest.approx(float(expected), rel=1e-4)
    right = (scores.argmax(1) == labels)[counted]
    assert run.test_accuracy == pytest.approx(float(right.double().mean()))


def test_other_labels_without_a_score_are_refused() -> None:
    tokens, labels = rows(254)
    plan = weft.compile(tagger(), (tokens[:1], labels[:1] % CLASSES), LOSSES["void"][0])
    with pytest.raises(UserError, match="labels from 0 to 4"):
        in_order(plan, (tokens, labels))


def test_a_loss_without_a_cross_entropy_leaves_out_what_torch_would() -> None:
    def margin(scores: Tensor, labels: Tensor) -> Tensor:
        return F.multi_margin_loss(scores[:, :, 0], labels[:, 0])

    tokens, labels = rows(1)
    plan = weft.compile(tagger(), (tokens[:1], labels[:1]), margin)
    assert ignored_labels(plan.stages) == (-100,)
