"""All that is measured with one seed: the choice of blocks, the plans, and every way of tuning."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ....backend.errors import UserError
from ....backend.nn import lora
from ....backend.nn.depth import (
    BlockList,
    angular_distances,
    best_run,
    find_blocks,
    prune_depth,
    rewritten,
    slerp,
)
from ....study.calibrate import calibrated_states
from .tuning import Tuner
from .whole import WINDOW, model_at, quality, tiny, trained
from .words import Words, answered, is_right, question, request

WHOLE, PRUNED, PLAIN = "whole", "pruned", "tuned on the answers"
OWN, MERGED = "self-distilled", "self-distilled, two merged"
ADAPTED = "self-distilled by adapters"
_RANK = 8


@dataclass(frozen=True)
class StudySizes:
    """Of the model, its training and its tuning; a model at a path has its own blocks and width."""

    model: Path | None = None
    blocks: int = 8
    removed: int = 2
    width: int = 48
    steps: int = 800
    examples: int = 300
    epochs: int = 3
    rate: float = 5e-4
    calibration: int = 64
    tests: int = 200


class Tuners:
    """Programs that tune whole weights and adapters, compiled at their first use."""

    def __init__(self, sizes: StudySizes, length: int) -> None:
        self._sizes, self._length = sizes, length

    @cached_property
    def full(self) -> Tuner:
        """Trains every weight."""
        return Tuner(self._length, self._sizes.rate)

    @cached_property
    def adapters(self) -> Tuner:
        """Trains adapters, at twice the rate."""
        return Tuner(self._length, 2 * self._sizes.rate)


def measured(sizes: StudySizes, found: Words, tuners: Tuners, seed: int) -> dict[str, Any]:
    """Plain data of a seed: `choices`, `first`, `plans`, `own` (share of answers that the model
    wrote) and `methods`, each with the text loss and the share of right answers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        start = tiny(sizes.blocks, sizes.width) if sizes.model is None else model_at(sizes.model)
        text = torch.from_numpy(found.text[: sizes.calibration * WINDOW].reshape(-1, WINDOW))
        blocks = decoder_blocks(start, sizes.removed)
        whole = trained(start, found, sizes.steps, seed)
    states = calibrated_states(whole, blocks, text.numpy())
    choices, pruned = [], []
    for first, distance in enumerate(angular_distances(states, sizes.removed)):
        pruned.append(prune_depth(whole, blocks, first, sizes.removed))
        held = quality(pruned[-1], found, sizes.tests)
        choices.append({"distance": float(distance), **asdict(held)})
    first = best_run(states, sizes.removed)
    methods, own = _methods(sizes, found, tuners, seed, whole, pruned[first], blocks.path)
    plans = {name: _plan(tuners.full, m) for name, m in ((WHOLE, whole), (PRUNED, pruned[first]))}
    return {
        "choices": choices,
        "first": first,
        "plans": plans,
        "own": own,
        "methods": {n: asdict(quality(m, found, sizes.tests)) for n, m in methods.items()},
    }


def decoder_blocks(model: nn.Module, removed: int) -> BlockList:
    """The blocks of a decoder. Raises UserError for one with no more than are removed."""
    device = next(model.parameters()).device
    blocks = find_blocks(model, lambda m: m(torch.zeros(1, 4, dtype=torch.long, device=device)))
    if removed >= len(blocks):
        raise UserError(
            f"depth pruning: {removed} of {len(blocks)} blocks of {blocks.path}",
            expected=f"between 1 and {len(blocks) - 1} blocks to remove",
            got=str(removed),
            change="lower --removed, or give a model with more blocks",
        )
    return blocks


def _methods(
    sizes: StudySizes,
    found: Words,
    tuners: Tuners,
    seed: int,
    whole: nn.Module,
    pruned: nn.Module,
    path: str,
) -> tuple[dict[str, nn.Module], float]:
    """A model for each method, and the share of answers in the whole model's words."""
    words, codec = found.words[: sizes.examples], found.codec
    prompts = [codec.tokens(question(word)) for word in words]
    answers = [codec.tokens(f"{word.upper()}\n") for word in words]
    requests = [codec.tokens(request(word)) for word in words]
    made = rewritten(
        whole,
        requests,
        answers,
        lambda number, new: is_right(codec, words[number], new),
        stop=codec.stop,
        longest=found.longest_answer,
    )

    def data(chosen: Sequence[Tensor]) -> tuple[np.ndarray, np.ndarray]:
        return answered(prompts, chosen, found.window, codec.stop)

    plain = tuners.full(pruned, *data(answers), sizes.epochs, seed)
    one, other = (
        tuners.full(pruned, *data(made.answers), sizes.epochs, seed + 1000 * n) for n in range(2)
    )
    merged = deepcopy(pruned)
    merged.load_state_dict(slerp(one.state_dict(), other.state_dict(), 0.5))
    models = {WHOLE: whole, PRUNED: pruned, PLAIN: plain, OWN: one, MERGED: merged}
    return {
        **models,
        ADAPTED: _adapted(sizes, tuners, seed, pruned, path, data(made.answers)),
    }, made.share


def _adapted(
    sizes: StudySizes,
    tuners: Tuners,
    seed: int,
    pruned: nn.Module,
    path: str,
    data: tuple[np.ndarray, np.ndarray],
) -> nn.Module:
    """Tuned by adapters of all linear layers in the blocks, which are merged afterwards."""
    config = lora.LoRA(targets=(f"{path}.*",), rank=_RANK, alpha=2.0 * _RANK)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = lora.adapt(deepcopy(pruned), config)
    return lora.merge(tuners.adapters(model, *data, sizes.epochs, seed)).model


def _plan(tuner: Tuner, model: nn.Module) -> dict[str, float]:
    document = tuner.plan(model).document
    totals = document.totals
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "stages": len(document.stages),
        "first_delay": document.stages[0].delay,
        "macs": totals.macs_dense,
        "pes": totals.pes_used,
        "interval_cycles": totals.initiation_interval_cycles,
        "latency_cycles": totals.latency_cycles,
        "samples_per_s": totals.throughput_samples_per_s,
    }
