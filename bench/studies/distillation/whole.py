"""The model before: a tiny Llama trained on the spot in eager torch, or one at a path; and how good
a model is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ....backend.errors import UserError
from ....backend.nn.depth import continued
from ....backend.nn.depth.blocks import standing_still
from ....backend.packages import model_package
from .words import Words, is_right, question, windows

WINDOW, BATCH, RATE = 48, 16, 3e-3


def tiny(blocks: int, width: int) -> nn.Module:
    """A Llama of bytes. Raises UserError without transformers."""
    transformers: Any = model_package("transformers")
    config = transformers.LlamaConfig(
        vocab_size=256,
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=blocks,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=128,
        tie_word_embeddings=False,
        use_cache=False,
    )
    return transformers.LlamaForCausalLM(config)


def model_at(path: Path) -> nn.Module:
    """The causal model of transformers in a folder, in float32.

    Raises UserError for a folder without one, and for one that reads too few tokens.
    """
    transformers: Any = model_package("transformers")
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"model {path}",
            expected="a folder with a causal model, as save_pretrained of transformers writes it",
            got=" ".join(str(error).split())[:200],
            change="give another --model",
        ) from error
    most = getattr(model.config, "max_position_embeddings", None) or WINDOW + 1
    if most < WINDOW:
        raise UserError(
            f"model {path}",
            expected=f"a model that reads {WINDOW} tokens",
            got=f"at most {most} (max_position_embeddings)",
            change="give another --model",
        )
    model.config.use_cache = False
    return model.float()


def trained(model: nn.Module, found: Words, steps: int, seed: int) -> nn.Module:
    """The model after `steps` steps of AdamW on batches of windows, with a falling rate."""
    if not steps:
        return model
    rows = torch.from_numpy(windows(found, steps * BATCH, WINDOW, seed))
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    for batch in rows.split(BATCH):
        optimizer.zero_grad()
        text_loss(model, batch).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model


def text_loss(model: nn.Module, rows: Tensor) -> Tensor:
    """Mean cross-entropy of the next token in windows (N, T + 1), in nats."""
    scores = model(rows[:, :-1])["logits"]
    return F.cross_entropy(scores.flatten(0, 1), rows[:, 1:].flatten())


@dataclass(frozen=True)
class Quality:
    """Of a model: next-token loss (nats) on unseen text, share of unseen words answered right."""

    text_loss: float
    right: float


def quality(model: nn.Module, found: Words, count: int) -> Quality:
    """By `count` windows of the test text and `count` test words."""
    length = WINDOW + 1
    whole = torch.from_numpy(found.text_test[: len(found.text_test) // length * length])
    rows = whole.reshape(-1, length)
    rows = rows[:: max(1, len(rows) // count)][:count]
    words = found.words_test[:count]
    codec = found.codec
    prompts = [codec.tokens(question(word)) for word in words]
    answers = continued(model, prompts, stop=codec.stop, longest=found.longest_answer)
    with standing_still(model):
        loss = text_loss(model, rows).item()
    both = zip(words, answers, strict=True)
    right = sum(is_right(codec, word, answer) for word, answer in both)
    return Quality(loss, right / len(words))
