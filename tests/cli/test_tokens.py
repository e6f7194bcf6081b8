"""A recipe of tokens, from YAML to a trained plan, on the bytes of a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml
from torch import nn


class Recurrent(nn.Module):
    """Scores of the next byte from all before it in the window."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.layer = nn.Embedding(256, 8), nn.GRU(8, 8, batch_first=True)
        self.head = nn.Linear(8, 256)

    def forward(self, tokens):
        return self.head(self.layer(self.table(tokens))[0])


def factory() -> nn.Module:
    return Recurrent()


def test_a_file_of_text_is_trained_on(weft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    recipe, text = tmp_path / "tokens.yaml", tmp_path / "text.txt"
    recipe.write_text(
        yaml.safe_dump(
            {
                "model": f"{__name__}:factory",
                "input": {"shape": [6], "dtype": "int64", "label_shape": [6], "classes": 256},
                "optimizer": {"lr": 0.05, "reference_batch_size": None},
                "pipeline": {"compensation": "none"},
            }
        )
    )
    text.write_text("abcabdabcabd" * 40)
    outcome = weft("compile", recipe, "-o", tmp_path / "p")
    assert outcome.code == 0, outcome.err
    assert weft("check", tmp_path / "p").code == 0
    arguments = ("--data", text, "--executor", "reference", "--epochs", "2", "--json")
    outcome = weft("train", tmp_path / "p", *arguments)
    assert outcome.code == 0, outcome.err
    assert json.loads(outcome.out)["test_accuracy"] > 0.3, "the commonest byte is half of them"
