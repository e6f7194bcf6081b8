"""Self-data distillation (Thangarasa et al. 2024, arXiv:2410.09982): answers in its own words.

A pruned model that is tuned on answers of another style forgets what the whole model knew. So the
whole model rewrites each answer first; a check keeps what it wrote, or else the answer as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UserError
from .blocks import standing_still


@dataclass(frozen=True)
class Rewritten:
    """Answers (T,) to tune on, and which of them the model wrote."""

    answers: tuple[Tensor, ...]
    own: tuple[bool, ...]

    @property
    def share(self) -> float:
        """Of answers that the model wrote."""
        return sum(self.own) / len(self.own)


def rewritten(
    model: nn.Module,
    requests: Sequence[Tensor],
    answers: Sequence[Tensor],
    passes: Callable[[int, Tensor], bool],
    *,
    stop: int,
    longest: int,
) -> Rewritten:
    """What the model makes of each answer, where `passes(number, new)`; else the answer itself.

    A request (T,) is what the model reads: context, prompt and the answer in a text that asks for
    another wording. Raises UserError for other numbers of requests and answers, or none.
    """
    if len(requests) != len(answers) or not answers:
        raise UserError(
            "self-data distillation",
            expected="a request for each answer, at least one",
            got=f"{len(requests)} requests, {len(answers)} answers",
            change="write one request for each answer",
        )
    new = continued(model, requests, stop=stop, longest=longest)
    own = tuple(passes(number, text) for number, text in enumerate(new))
    chosen = (made if kept else old for made, kept, old in zip(new, own, answers, strict=True))
    return Rewritten(tuple(chosen), own)


def continued(
    model: nn.Module, prompts: Sequence[Tensor], *, stop: int, longest: int
) -> list[Tensor]:
    """How a causal model goes on after each prompt (T,): the likeliest token each time.

    Up to the token `stop`, which ends the continuation and is in it, or `longest` tokens. The model
    maps (N, T) to scores (N, T, vocabulary), or to a mapping that has them as 'logits'. Prompts of
    one length go through it together.
    """
    found: dict[int, Tensor] = {}
    with standing_still(model):
        for length in sorted({len(prompt) for prompt in prompts}):
            own = [number for number, prompt in enumerate(prompts) if len(prompt) == length]
            rows = _greedy(model, torch.stack([prompts[n] for n in own]), stop, longest)
            found |= {n: _until(row, stop) for n, row in zip(own, rows, strict=True)}
    return [found[number] for number in range(len(prompts))]


def _greedy(model: nn.Module, tokens: Tensor, stop: int, longest: int) -> Tensor:
    """(N, at most `longest`) tokens after `tokens` (N, T)."""
    begin = tokens.shape[1]
    ended = torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)
    for _ in range(longest):
        following = _scores(model(tokens))[:, -1].argmax(1)
        tokens = torch.cat([tokens, following[:, None]], 1)
        ended |= following == stop
        if bool(ended.all()):
            break
    return tokens[:, begin:]


def _scores(result: Any) -> Tensor:
    found = result["logits"] if hasattr(result, "keys") else result
    return found[0] if isinstance(found, tuple) else found


def _until(row: Tensor, stop: int) -> Tensor:
    places = (row == stop).nonzero()
    return row if not len(places) else row[: int(places[0]) + 1]
