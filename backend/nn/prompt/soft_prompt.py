"""A frozen model with trained virtual tokens before its embedded tokens."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import UserError


class SoftPrompt(nn.Module):
    """A frozen `model` of token ids (N, T) that reads `length` virtual tokens first.

    The virtual tokens are rows of the embedding's output that a parameter takes the place of, so
    positions and attention are those of length + T tokens. They begin as the embeddings of the ids
    `tokens`, by default of ids drawn at random. `embedding` is the module's name, needed where a
    model has several and no `get_input_embeddings`. `trained` are globs of the model's parameters
    that go on training.

    The output is the model's, or the logits of what transformers return; with `cut` without the
    virtual tokens' rows, of (N, length + T, ...). Raises `UserError` for a model without such an
    embedding, and for ids outside of its table.
    """

    def __init__(
        self,
        model: nn.Module,
        length: int,
        *,
        tokens: Sequence[int] | None = None,
        embedding: str | None = None,
        trained: tuple[str, ...] = (),
        cut: bool = True,
    ) -> None:
        super().__init__()
        name, table = _table(model, embedding)
        _check_globs(model, trained)
        ids = _ids(length, tokens, table)
        for key, parameter in model.named_parameters():
            parameter.requires_grad_(any(fnmatchcase(key, glob) for glob in trained))
        model.set_submodule(name, _Prompted(table, length, ids))
        self.model, self.length, self.cut, self._embedding = model, length, cut, name

    @property
    def prompt(self) -> nn.Parameter:
        """The virtual tokens, (length, features)."""
        prompted = self.model.get_submodule(self._embedding)
        assert isinstance(prompted, _Prompted)
        return prompted.prompt

    def forward(self, tokens: Tensor, **others: Any) -> Tensor:
        """Ids (N, T), and keywords of the model's."""
        self._check(tokens)
        y = self.model(F.pad(tokens, (self.length, 0)), **others)
        logits = y if isinstance(y, Tensor) else y.logits
        if not self.cut:
            return logits
        if logits.dim() < 2 or logits.shape[1] != self.length + tokens.shape[1]:
            raise UserError(
                "SoftPrompt",
                expected=f"an output of (N, {self.length + tokens.shape[1]}, ...) to cut",
                got=f"shape {tuple(logits.shape)}",
                change="give cut=False for outputs without a row for each token",
            )
        return logits[:, self.length :]

    def _check(self, tokens: Tensor) -> None:
        if tokens.dim() != 2 or tokens.is_floating_point():
            raise UserError(
                "SoftPrompt",
                expected="ids of shape (N, T)",
                got=f"{tokens.dtype} of shape {tuple(tokens.shape)}",
                change="give token ids, not embeddings",
            )
        most = getattr(getattr(self.model, "config", None), "max_position_embeddings", None)
        if isinstance(most, int) and self.length + tokens.shape[1] > most:
            raise UserError(
                "SoftPrompt",
                expected=f"at most {most} positions",
                got=f"{self.length} virtual tokens and {tokens.shape[1]} others",
                change="shorten the samples or the prompt",
            )


class _Prompted(nn.Module):
    """An embedding whose first rows are the prompt, whatever the ids there."""

    def __init__(self, table: nn.Embedding, length: int, ids: Tensor) -> None:
        super().__init__()
        self.table = table
        rows = table.weight.detach()[ids.to(table.weight.device)]
        self.prompt = nn.Parameter(rows.clone())

    def forward(self, tokens: Tensor) -> Tensor:
        embedded = self.table(tokens[:, len(self.prompt) :])
        prompt = self.prompt.expand(len(tokens), *self.prompt.shape)
        return torch.cat([prompt, embedded], 1)

    @property
    def weight(self) -> Tensor:
        """The table's, by which models tie their heads."""
        return self.table.weight


def _check_globs(model: nn.Module, trained: tuple[str, ...]) -> None:
    names = [name for name, _ in model.named_parameters()]
    for glob in trained:
        if not any(fnmatchcase(name, glob) for name in names):
            raise UserError(
                f"SoftPrompt: trained '{glob}'",
                expected="a glob that matches parameters",
                got="no match",
                change=f"match names such as {', '.join(names[:6])}",
            )


def _table(model: nn.Module, name: str | None) -> tuple[str, nn.Embedding]:
    tables = {n: m for n, m in model.named_modules() if isinstance(m, nn.Embedding) and n}
    if name is None and hasattr(model, "get_input_embeddings"):
        own = model.get_input_embeddings()  # type: ignore[operator]
        name = next((n for n, table in tables.items() if table is own), None)
    if name is None and len(tables) == 1:
        name = next(iter(tables))
    outer = model.get_submodule(name.rpartition(".")[0]) if name else model
    if isinstance(outer, _Prompted) or hasattr(outer, "base_layer"):
        raise UserError(
            f"SoftPrompt: embedding '{name}'",
            expected="an embedding without a prompt or an adapter",
            got="one with",
            change="give the model without them, or merge the adapter first",
        )
    if name is None or name not in tables:
        raise UserError(
            "SoftPrompt: embedding",
            expected="the name of the module that embeds the tokens",
            got=repr(name),
            change=f"give embedding=, one of {', '.join(tables) or '(there is none)'}",
        )
    return name, tables[name]


def _ids(length: int, tokens: Sequence[int] | None, table: nn.Embedding) -> Tensor:
    is_whole = isinstance(length, int) and not isinstance(length, bool)
    if not is_whole or length < 1 or (tokens is not None and len(tokens) != length):
        raise UserError(
            "SoftPrompt: length",
            expected="a whole number, at least 1, and as many `tokens`, if they are given",
            got=f"{length}" + ("" if tokens is None else f", {len(tokens)} tokens"),
            change="give one id per virtual token",
        )
    if tokens is None:
        return torch.randint(table.num_embeddings, (length,), device="cpu")
    ids = torch.tensor(list(tokens), device="cpu")
    if int(ids.min()) < 0 or int(ids.max()) >= table.num_embeddings:
        raise UserError(
            "SoftPrompt: tokens",
            expected=f"ids from 0 to {table.num_embeddings - 1}",
            got=str(list(tokens)[:8]),
            change="take ids of the model's vocabulary",
        )
    return ids
