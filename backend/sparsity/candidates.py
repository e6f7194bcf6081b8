"""Parameters that a sparsity group may choose from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from ..parameters import places


@dataclass(frozen=True)
class Candidate:
    """A parameter with all the names that filters may know it by, and whether it is trained."""

    parameter: Tensor
    names: tuple[str, ...]
    trains: bool = True


def candidates(parameters: nn.Module | Mapping[str, Tensor]) -> dict[str, Candidate]:
    """By first name. A tensor that is no `nn.Parameter` counts as trained."""
    if isinstance(parameters, nn.Module):
        return {
            name: Candidate(
                place.parameter,
                tuple(dict.fromkeys((*place.names, *place.spelled))),
                place.parameter.requires_grad,
            )
            for name, place in places(parameters).items()
        }
    return {
        name: Candidate(p, (name,), p.requires_grad or not isinstance(p, nn.Parameter))
        for name, p in parameters.items()
    }
