"""A residual network without some of its blocks."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from torch import nn

from ...errors import UserError
from .blocks import BlockList


def prune_depth(model: nn.Module, blocks: BlockList, first: int, count: int) -> nn.Module:
    """A copy of `model` without blocks first to first + count - 1; the stream goes past them.

    Decoders of transformers keep working: their configuration and the blocks' own numbers follow.
    Raises UserError for blocks that are no residual stream or change its shape, or a removal that
    leaves none.
    """
    if count < 1 or count >= len(blocks):
        raise UserError(
            f"depth pruning: {count} blocks of {blocks.path}",
            expected=f"between 1 and {len(blocks) - 1} blocks to remove",
            got=str(count),
            change="leave at least one block, and remove at least one",
        )
    if not blocks.removable(first, count):
        raise _not_removable(blocks, first, count)
    pruned = deepcopy(model)
    old = pruned.get_submodule(blocks.path)
    assert isinstance(old, nn.ModuleList | nn.Sequential)
    kept = [block for place, block in enumerate(old) if not first <= place < first + count]
    parent, _, name = blocks.path.rpartition(".")
    setattr(pruned.get_submodule(parent), name, type(old)(*_arguments(old, kept)))
    _renumber(kept)
    _follow(pruned, len(blocks), first, count)
    return pruned


def _not_removable(blocks: BlockList, first: int, count: int) -> UserError:
    before, after = (_shape(blocks, place) for place in (first, first + count))
    run = range(first, min(first + count, len(blocks)))
    others = [str(n) for n in run if n >= 0 and not blocks.adding[n]]
    got = f"{before} before, {after} after"
    if before == after:
        got = f"block {', '.join(others)} that adds nothing to what it reads"
    return UserError(
        f"depth pruning: blocks {first} to {first + count - 1} of {blocks.path}",
        expected="blocks that add to a residual stream and leave its shape as it is",
        got=got,
        change=f"choose a run within one width and size, such as within {blocks.of_one_shape()}",
    )


def _shape(blocks: BlockList, place: int) -> tuple[int, ...] | str:
    return blocks.streams[place] if 0 <= place < len(blocks.streams) else "no block"


def _arguments(old: nn.Module, kept: list[nn.Module]) -> tuple[Any, ...]:
    return (kept,) if isinstance(old, nn.ModuleList) else tuple(kept)


def _renumber(kept: list[nn.Module]) -> None:
    """Blocks of transformers know their own number, by which their caches are found."""
    for number, block in enumerate(kept):
        for module in block.modules():
            if isinstance(getattr(module, "layer_idx", None), int):
                module.layer_idx = number  # type: ignore[assignment]


_COUNTS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers", "encoder_layers")


def _follow(model: nn.Module, before: int, first: int, count: int) -> None:
    """Configurations inside the model that counted the blocks."""
    configs = {id(c): c for m in model.modules() if (c := getattr(m, "config", None)) is not None}
    for config in configs.values():
        for key in _COUNTS:
            if getattr(config, key, None) == before:
                setattr(config, key, before - count)
        for key, value in list(vars(config).items()):
            if isinstance(value, list) and len(value) == before and "layer" in key:
                setattr(config, key, value[:first] + value[first + count :])
