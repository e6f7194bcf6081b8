"""BERT with scores for the predicted positions only, against the loss of transformers."""

from __future__ import annotations

import pytest
import torch
from weft.study.bert import PREDICTED, Pretraining, bert_large


def test_the_loss_is_that_of_all_positions_with_the_others_ignored():
    transformers = pytest.importorskip("transformers")
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.BertConfig(**sizes, intermediate_size=32, vocab_size=50)
    torch.manual_seed(0)
    model = transformers.BertForPreTraining(config).eval()
    tokens, positions = torch.randint(50, (1, 12)), torch.tensor([[3, 7, 11]])
    labels, follows = torch.randint(50, (1, 3)), torch.tensor([1])
    everywhere = torch.full((1, 12), -100).scatter(1, positions, labels)
    expected = model(tokens, labels=everywhere, next_sentence_label=follows).loss
    found = Pretraining(model)(tokens, positions, labels, follows)
    torch.testing.assert_close(found, expected)


def test_it_is_the_published_network():
    pytest.importorskip("transformers")
    model, sample = bert_large(128)
    assert sample["labels"].shape == (1, PREDICTED)
    assert sum(p.numel() for p in model.bert.parameters()) == pytest.approx(335e6, rel=0.01)
    rates = {m.p for m in model.modules() if isinstance(m, torch.nn.Dropout)}
    assert rates == {0.1}
    assert model.training
