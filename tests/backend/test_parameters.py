"""Names of parameters, whatever the model is wrapped in."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.optim.swa_utils import AveragedModel
from weft.backend.parameters import by_any_name, places

WRAPPERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "compiled": lambda model: torch.compile(model, backend="eager"),
    "data parallel": lambda model: nn.DataParallel(model, device_ids=[]),
    "averaged": AveragedModel,
    "checkpointed": checkpoint_wrapper,
    "twice": lambda model: nn.DataParallel(torch.compile(model, backend="eager"), device_ids=[]),
}


class OwnModule(nn.Module):
    """A child named as that of DataParallel is no wrapper."""

    def __init__(self) -> None:
        super().__init__()
        self.module, self.head = nn.Linear(2, 3), nn.Linear(3, 2)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_change_no_name(wrapper: str) -> None:
    inside = nn.Sequential(nn.Linear(2, 3), OwnModule())
    wrapped = WRAPPERS[wrapper](inside)
    assert list(places(wrapped)) == [name for name, _ in inside.named_parameters()]
    if wrapper != "checkpointed":  # takes its prefix out of named_parameters itself
        spelled = [place.spelled for place in places(wrapped).values()]
        assert spelled == [[name] for name, _ in wrapped.named_parameters()]


def test_a_wrapper_inside_a_model_changes_no_name() -> None:
    plain = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
    names = list(places(plain))
    plain[1] = torch.compile(plain[1], backend="eager")
    assert list(places(plain)) == names


def test_a_tied_parameter_has_one_place_and_all_its_names() -> None:
    model = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.Linear(2, 2)})
    model["b"].weight = model["a"].weight
    assert places(model)["a.weight"].names == ["a.weight", "b.weight"]
    assert "b.weight" not in places(model)
    assert by_any_name(model)["b.weight"].names[0] == "a.weight"
    assert places(model)["a.weight"].owners == [(model["a"], "weight"), (model["b"], "weight")]
