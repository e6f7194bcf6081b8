"""All that is measured with one seed: the choice of blocks, the plans, and every way of tuning."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ....backend.nn import lora
from ....backend.nn.depth import (
    angular_distances,
    best_run,
    find_blocks,
    prune_depth,
    rewritten,
    slerp,
)
from ....study.calibrate import calibrated_states
from .tuning import Tuner
from .whole import WINDOW, quality, tiny, trained
from .words import LONGEST, STOP, Words, answered, is_right, question, request, tokens

WHOLE, PRUNED, PLAIN = "whole", "pruned", "tuned on the answers"
OWN, MERGED = "self-distilled", "self-distilled, two merged"
ADAPTED = "self-distilled by adapters"
_LENGTH = 2 * LONGEST + 4
"""Of a question with its answer."""

_RANK = 8


@dataclass(frozen=True)
class StudySizes:
    """Of the model, its training and its tuning."""

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

    def __init__(self, sizes: StudySizes) -> None:
        self._sizes = sizes

    @cached_property
    def full(self) -> Tuner:
        """Trains every weight."""
        return Tuner(_LENGTH, self._sizes.rate)

    @cached_property
    def adapters(self) -> Tuner:
        """Trains adapters, at twice the rate."""
        return Tuner(_LENGTH, 2 * self._sizes.rate)


def measured(sizes: StudySizes, found: Words, tuners: Tuners, seed: int) -> dict[str, Any]:
    """Plain data of a seed: `choices`, `first`, `plans`, `own` (share of answers that the model
    wrote) and `methods`, each with the text loss and the share of right answers."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        whole = trained(tiny(sizes.blocks, sizes.width), found, sizes.steps, seed)
    text = torch.from_numpy(found.text[: sizes.calibration * WINDOW].reshape(-1, WINDOW))
    blocks = find_blocks(whole, lambda model: model(text[:1]))
    states = calibrated_states(whole, blocks, text.numpy())
    choices, pruned = [], []
    for first, distance in enumerate(angular_distances(states, sizes.removed)):
        pruned.append(prune_depth(whole, blocks, first, sizes.removed))
        held = quality(pruned[-1], found, sizes.tests)
        choices.append({"distance": float(distance), **asdict(held)})
    first = best_run(states, sizes.removed)
    methods, own = _methods(sizes, found, tuners, seed, whole, pruned[first])
    plans = {name: _plan(tuners.full, m) for name, m in ((WHOLE, whole), (PRUNED, pruned[first]))}
    return {
        "choices": choices,
        "first": first,
        "plans": plans,
        "own": own,
        "methods": {n: asdict(quality(m, found, sizes.tests)) for n, m in methods.items()},
    }


def _methods(
    sizes: StudySizes, found: Words, tuners: Tuners, seed: int, whole: nn.Module, pruned: nn.Module
) -> tuple[dict[str, nn.Module], float]:
    """A model for each method, and the share of answers in the whole model's words."""
    words = found.words[: sizes.examples]
    prompts = [tokens(question(word)) for word in words]
    answers = [tokens(f"{word.upper()}\n") for word in words]
    requests = [tokens(request(word)) for word in words]
    made = rewritten(
        whole,
        requests,
        answers,
        lambda number, new: is_right(words[number], new),
        stop=STOP,
        longest=LONGEST + 2,
    )

    def data(chosen: Sequence[Tensor]) -> tuple[np.ndarray, np.ndarray]:
        return answered(prompts, chosen, _LENGTH)

    plain = tuners.full(pruned, *data(answers), sizes.epochs, seed)
    one, other = (
        tuners.full(pruned, *data(made.answers), sizes.epochs, seed + 1000 * n) for n in range(2)
    )
    merged = deepcopy(pruned)
    merged.load_state_dict(slerp(one.state_dict(), other.state_dict(), 0.5))
    models = {WHOLE: whole, PRUNED: pruned, PLAIN: plain, OWN: one, MERGED: merged}
    return {
        **models,
        ADAPTED: _adapted(sizes, tuners, seed, pruned, data(made.answers)),
    }, made.share


def _adapted(
    sizes: StudySizes,
    tuners: Tuners,
    seed: int,
    pruned: nn.Module,
    data: tuple[np.ndarray, np.ndarray],
) -> nn.Module:
    """Tuned by adapters of all linear layers in the blocks, which are merged afterwards."""
    config = lora.LoRA(targets=("model.layers.*_proj",), rank=_RANK, alpha=2.0 * _RANK)
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
