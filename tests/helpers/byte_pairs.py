"""A small tokenizer of byte pairs, as GPT-2's is, in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def save_tokenizer(folder: Path, text: str) -> None:
    """One that has joined a few pairs of the text's bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    made: Any = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=262, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator([text] * 5, trainer)
    PreTrainedTokenizerFast(tokenizer_object=made).save_pretrained(folder)
