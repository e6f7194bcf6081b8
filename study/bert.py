"""BERT as the measured run trained it.

The run (documentation of the ALCF, release 1.7.1, March 2023) took `bert_large_MSL128.yaml` of the
vendor's public model zoo: sequences of 128 tokens of which at most 20 are predicted, dropout of 0.1
on hidden values and on attention, AdamW, 16 bits. Its log holds rates from 6,373 to 8,587 samples/s
over 100 steps each, 7,023 over all.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ..backend.packages import model_package

PREDICTED = 20
"""Tokens of a sequence, `max_predictions_per_seq`."""
_DROPOUT = 0.1


class Pretraining(nn.Module):
    """The loss of a transformers.BertForPreTraining, with scores for predicted positions only."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.bert, self.heads = model.bert, model.cls

    def forward(
        self, input_ids: Tensor, positions: Tensor, labels: Tensor, next_sentence_label: Tensor
    ) -> Tensor:
        """Of one sequence: tokens (1, n), and (1, m) positions and labels of those predicted."""
        hidden, pooled = self.bert(input_ids)[:2]
        scores, follows = self.heads(hidden[0].index_select(0, positions[0]), pooled)
        return cross_entropy(scores, labels[0]) + cross_entropy(follows, next_sentence_label)


def bert_large(tokens: int) -> tuple[nn.Module, dict[str, Tensor]]:
    """The model in float16 on the meta device, and one sample of it.

    The decoder has a weight of its own. Tied to the embedding it would have to be streamed to the
    other end of the pipeline for every sample, since here every sample updates it; the measured
    machine updates once per batch and need not.

    Raises UserError without transformers.
    """
    transformers = model_package("transformers")
    config = transformers.BertConfig(
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        hidden_dropout_prob=_DROPOUT,
        attention_probs_dropout_prob=_DROPOUT,
        attn_implementation="eager",
        tie_word_embeddings=False,
    )
    with torch.device("meta"):
        model = Pretraining(transformers.BertForPreTraining(config)).to(torch.float16)
        predicted = (1, min(PREDICTED, tokens))
        sample = {
            "input_ids": torch.empty(1, tokens, dtype=torch.long),
            "positions": torch.empty(predicted, dtype=torch.long),
            "labels": torch.empty(predicted, dtype=torch.long),
            "next_sentence_label": torch.empty(1, dtype=torch.long),
        }
    return model.train(), sample
