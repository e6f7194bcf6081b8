"""How many rows each expert of a model's mixtures gets, recorded on samples."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UserError
from .experts import Experts


@torch.no_grad()
def expert_loads(
    model: nn.Module, samples: Iterable[tuple[Any, ...]]
) -> dict[str, tuple[float, ...]]:
    """By the name of each `Experts` module, the share of all rows that each expert takes, in the
    mean over `samples`, the arguments of calls; a plan is timed for them (`pipeline.loads`).

    Raises `UserError` for a model without such modules, and where there are no samples."""
    counts = {
        name: torch.zeros(module.up.shape[0], dtype=torch.float64)
        for name, module in model.named_modules()
        if isinstance(module, Experts)
    }
    with _counting(model, counts):
        for sample in samples:
            model(*sample)
    if not counts or not any(count.any() for count in counts.values()):
        raise UserError(
            "loads of experts",
            expected="a model with `Experts` of weft.nn.upcycle, and samples",
            got=f"{len(counts)} such modules, which had no rows",
            change="upcycle the model first, and give samples as arguments of its call",
        )
    return {
        name: tuple((count / count.sum().clamp(min=1)).tolist()) for name, count in counts.items()
    }


@contextmanager
def _counting(model: nn.Module, counts: dict[str, Tensor]) -> Any:
    def hook(count: Tensor) -> Any:
        def add(_module: nn.Module, _inputs: Any, output: tuple[Tensor, Tensor, Tensor]) -> None:
            count.add_(torch.bincount(output[1].flatten().cpu(), minlength=len(count)))

        return add

    routers = {name: model.get_submodule(f"{name}.router" if name else "router") for name in counts}
    handles = [router.register_forward_hook(hook(counts[name])) for name, router in routers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
