"""Passes: names, order, what they print, and that a broken artefact never goes on."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from weft.backend.errors import BrokenInvariantError
from weft.compiler import pipeline as passes
from weft.compiler.driver import Driver, PassRun


def test_a_pass_is_its_file() -> None:
    for name, kind in passes.PASSES.items():
        assert Path(inspect.getfile(kind)).stem == name
        assert name.replace("_", "") == kind.__name__.lower()


@pytest.mark.parametrize("kind", passes.PASSES.values())
def test_a_pass_is_a_frozen_dataclass_that_shows_before_and_after(kind: type) -> None:
    assert dataclasses.is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    described = inspect.getdoc(kind) or ""
    assert "before:" in described
    assert "after:" in described


def test_compile_runs_passes_in_the_order_of_the_table(runs: list[PassRun]) -> None:
    order = list(passes.PASSES)
    ran = [order.index(run.name) for run in runs]
    assert ran == sorted(ran)
    assert {"capture", "cut", "map", "place", "emit"} <= {run.name for run in runs}


def test_every_run_says_what_it_took(runs: list[PassRun]) -> None:
    assert all(run.seconds > 0 for run in runs)
    peaks = [run.peak_bytes for run in runs]
    assert peaks == sorted(peaks)
    assert peaks[0] > 2**20


def moved(stages: Any, number: int, **changes: Any) -> Any:
    changed = list(stages.stages)
    changed[number] = replace(changed[number], **changes)
    return replace(stages, stages=tuple(changed))


def _placed(placement: Any, number: int, **changes: int) -> Any:
    placed = list(placement.placed)
    region = replace(placed[number].region, **changes)
    placed[number] = replace(placed[number], region=region)
    return replace(placement, placed=tuple(placed))


def filled(stage: Any) -> Any:
    memory = replace(stage.choices[0].memory, weights_bytes=2**30)
    return replace(stage, choices=(replace(stage.choices[0], memory=memory),))


BROKEN: dict[str, tuple[str, Callable[[Any], Any], str]] = {
    "parameter of no node": (
        "capture",
        lambda g: replace(g, parameters={**g.parameters, "nowhere": "a.weight"}),
        "%nowhere is no placeholder",
    ),
    "loss of no node": ("capture", lambda g: replace(g, loss="nowhere"), "%nowhere is no node"),
    "state of no node": (
        "capture",
        lambda g: replace(g, state_updates={"norm.mean": "nowhere"}),
        "%nowhere is no node",
    ),
    "stage out of order": ("cut", lambda s: moved(s, 1, index=7), "at position 1 has index 7"),
    "input from a later stage": (
        "cut",
        lambda s: moved(s, 0, inputs=(replace(s.stages[0].inputs[0], stage=1),)),
        "its source gives None",
    ),
    "input of another shape": (
        "cut",
        lambda s: moved(s, 1, inputs=s.stages[0].inputs),
        "its source gives TensorSpec(shape=(1, 6)",
    ),
    "parameter lost": ("cut", lambda s: moved(s, 0, parameters=()), "binds 0 parameters"),
    "parameter in two stages": (
        "cut",
        lambda s: moved(s, 1, parameters=s.stages[0].parameters),
        "parameter first.weight belongs to 2 stages",
    ),
    "program of another arity": (
        "cut",
        lambda s: moved(
            s, 0, program=replace(s.stages[0].program, forward=s.stages[0].program.backward)
        ),
        "its forward has",
    ),
    "loss not in the last stage": (
        "cut",
        lambda s: replace(s, loss=replace(s.loss, stage=0)),
        "the loss comes from stage 0",
    ),
    "stage without a choice": (
        "map",
        lambda k: replace(k, stages=(replace(k.stages[0], choices=()), *k.stages[1:])),
        "has 0 choices",
    ),
    "choice over capacity": (
        "map",
        lambda k: replace(k, stages=(filled(k.stages[0]), *k.stages[1:])),
        "holds",
    ),
    "regions overlap": ("place", lambda p: _placed(p, 1, row=0, column=0), "overlap"),
    "region outside": ("place", lambda p: _placed(p, 0, column=900), "is outside"),
    "region of another size": ("place", lambda p: _placed(p, 0, width=99), "PEs is in"),
    "plan with a wrong delay": (
        "emit",
        lambda p: replace(
            p,
            document=replace(
                p.document,
                stages=(replace(p.document.stages[0], delay=1), *p.document.stages[1:]),
            ),
        ),
        "delay",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_artefact_never_goes_on(what: str, artefacts: dict[str, Any]) -> None:
    name, damage, named = BROKEN[what]
    with pytest.raises(BrokenInvariantError) as caught:
        Driver()(Careless(damage), artefacts[name])
    assert named in str(caught.value)
    assert f"unsound {type(artefacts[name]).__name__}" in str(caught.value)


@dataclass(frozen=True)
class Careless:
    """A pass that damages what it gets."""

    damage: Callable[[Any], Any]

    def __call__(self, artefact: Any) -> Any:
        return self.damage(artefact)
