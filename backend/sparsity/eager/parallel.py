"""Models of several processes: dense gradients are summed over them, shards are refused."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ...errors import UnsupportedError, UserError
from ...parameters import wrapped
from ..rule import MaskRule

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

_SHARDED = frozenset({"FullyShardedDataParallel", "FSDPModule"})


def gradient_group(model: nn.Module, rules: Iterable[MaskRule]) -> ProcessGroup | None:
    """The processes over which dense gradients are summed, so that all choose the same masks.

    Hooks see the gradient of one process. None where there is one process or no rule looks at
    gradients. Raises UnsupportedError for sharded parameters, and `UserError` where several
    processes run but the model given does not say how they share it.
    """
    _refuse_shards(model)
    is_running = distributed.is_available() and distributed.is_initialized()
    processes = distributed.get_world_size() if is_running else 1
    if processes == 1 or not any(rule.needs_gradient for rule in rules):
        return None
    module: nn.Module | None = model
    while module is not None:
        if isinstance(module, DistributedDataParallel):
            return module.process_group
        module = wrapped(module)
    raise UserError(
        "Sparsifier with algorithm rigl in several processes",
        expected="the DistributedDataParallel module, whose dense gradients are summed",
        got=f"{type(model).__name__} in a group of {processes} processes",
        change="give the wrapped model, or take algorithm: set, whose masks need no gradients",
    )


def _refuse_shards(model: nn.Module) -> None:
    kinds = {kind.__name__ for module in model.modules() for kind in type(module).__mro__}
    kinds |= {type(parameter.data).__name__ for parameter in model.parameters()}
    if found := kinds & (_SHARDED | {"DTensor"}):
        raise UnsupportedError(
            "Sparsifier on sharded parameters",
            expected="whole parameters in every process",
            got=", ".join(sorted(found)),
            change="wrap the model in DistributedDataParallel",
        )
