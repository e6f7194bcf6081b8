"""How much a run of blocks turns the residual stream (Gromov et al. 2024, arXiv:2403.17887).

    d(l, n) = arccos(x_l . x_(l+n) / (|x_l| |x_(l+n)|)) / pi

x_l is the stream before block l at the last real token, x_0 the embedding (which some public code
leaves out). Of an image it is the stream's mean over positions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...errors import UserError
from .blocks import BlockList, standing_still, stream_of


class StreamStates(nn.Module):
    """A model whose output is the residual stream before each block and after the last.

    (N, blocks + 1, features), float32. It may be compiled and run by any executor like any model.
    `span` are consecutive blocks that leave the stream's shape as it is; default: the most of them.
    """

    def __init__(
        self, model: nn.Module, blocks: BlockList, tokens: bool, span: range | None = None
    ) -> None:
        super().__init__()
        self.model, self.tokens, self.path = model, tokens, blocks.path
        self.span = blocks.of_one_shape() if span is None else span
        if not len(self.span) or len({*blocks.streams[self.span.start : self.span.stop + 1]}) > 1:
            raise UserError(
                f"depth pruning: blocks {self.span} of {blocks.path}",
                expected="consecutive blocks that leave the stream's shape as it is",
                got=" ".join(map(str, blocks.streams)),
                change=f"take blocks within {blocks.of_one_shape()}",
            )

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Runs the model on its own arguments; `attention_mask` (N, T) says which tokens count."""
        seen: list[Tensor] = []
        mask = kwargs.get("attention_mask")

        def before(module: nn.Module, given: Any, named: Any) -> None:
            seen.append(_state(stream_of((given, named)), self.tokens, mask))

        def after(module: nn.Module, given: Any, result: Any) -> None:
            seen.append(_state(stream_of(result), self.tokens, mask))

        blocks = list(self.model.get_submodule(self.path).children())
        blocks = blocks[self.span.start : self.span.stop]
        hooks = [b.register_forward_pre_hook(before, with_kwargs=True) for b in blocks]
        hooks.append(blocks[-1].register_forward_hook(after))
        try:
            self.model(*args, **kwargs)
        finally:
            for hook in hooks:
                hook.remove()
        return torch.stack(seen, 1)


def _state(stream: Tensor | None, tokens: bool, mask: Tensor | None) -> Tensor:
    assert stream is not None
    if not tokens:  # (N, C, *spatial)
        return stream.float().flatten(2).mean(2) if stream.dim() > 2 else stream.float()
    if mask is None:
        return stream[:, -1].float()
    places = torch.arange(mask.shape[1], device=mask.device)
    last = (mask.to(places.dtype) * places).argmax(1)
    return stream[torch.arange(stream.shape[0], device=stream.device), last].float()


def stream_states(
    model: nn.Module,
    blocks: BlockList,
    samples: Sequence[Any],
    tokens: bool = True,
    span: range | None = None,
) -> np.ndarray:
    """States (samples, blocks + 1, features) of a calibration run in eager torch, in evaluation.

    Each sample is a tuple of arguments or a dict of named ones. `tokens` says that a stream is
    (N, T, features); else it is (N, C, *spatial). Raises UserError without samples.
    """
    if not samples:
        raise UserError(
            "depth pruning: calibration",
            expected="at least one sample",
            got="none",
            change="give some inputs of the model",
        )
    states = StreamStates(model, blocks, tokens, span)
    with standing_still(model):
        rows = [states(**s) if isinstance(s, dict) else states(*s) for s in samples]
    return torch.cat(rows).cpu().numpy()


def angular_distances(states: np.ndarray, count: int) -> np.ndarray:
    """d(l, count) for l = 0 .. blocks - count, the mean over samples, in units of pi.

    `states` is (samples, blocks + 1, features). Raises UserError for a count that leaves no block.
    """
    blocks = states.shape[1] - 1
    if not 1 <= count < blocks:
        raise UserError(
            f"depth pruning: {count} of {blocks} blocks",
            expected=f"between 1 and {blocks - 1} blocks to remove",
            got=str(count),
            change="remove fewer blocks" if count >= blocks else "remove at least one",
        )
    wide = states.astype(np.float64)
    unit = wide / np.maximum(np.linalg.norm(wide, axis=2, keepdims=True), 1e-30)
    cosines = np.clip((unit[:, :-count] * unit[:, count:]).sum(2), -1.0, 1.0)
    return np.arccos(cosines).mean(0) / math.pi


def best_run(states: np.ndarray, count: int) -> int:
    """The first of the `count` blocks that turn the stream least."""
    return int(np.argmin(angular_distances(states, count)))
