"""Whatever a plan file holds, loading refuses it or the checker answers; nothing else comes out."""

from __future__ import annotations

import random
from typing import Any

import pytest
from weft.compiler.plan.check import check
from weft.compiler.plan.codec import DataError, from_data, to_data
from weft.compiler.plan.document import PlanDocument
from weft.compiler.plan.plan import Plan
from weft.compiler.plan.text.show import show, show_stage
from weft.compiler.targets.target import Target

JUNK = (-1, 0, 1, 10**30, -0.5, 0.0, float("nan"), float("inf"), "", "x", True, None, [], {}, [1])


@pytest.mark.parametrize("seed", range(12))
def test_junk_is_refused_or_checked(seed: int, document: PlanDocument, target: Target) -> None:
    rng = random.Random(seed)
    for _ in range(25):
        broken = _replace_one(document, rng)
        if broken is not None:
            check(broken, target)
            show(broken)


@pytest.mark.parametrize("seed", range(3))
def test_junk_in_a_compiled_plan(seed: int, compiled: Plan, wse2: Target) -> None:
    rng = random.Random(seed)
    for _ in range(5):
        broken = _replace_one(compiled.document, rng)
        if broken is not None:
            check(broken, wse2, compiled.programs)


def test_a_plan_without_anything_is_checked(document: PlanDocument, target: Target) -> None:
    data = to_data(document)
    empty = {key: type(value)() for key, value in data.items() if isinstance(value, list)}
    hollow = from_data(PlanDocument, {**data, **empty, "grid": [1, 1]})
    assert {v.rule for v in check(hollow, target)} >= {"stage-names", "provenance"}
    assert show(hollow)


def test_stages_with_junk_names_print(document: PlanDocument) -> None:
    assert show_stage(document, document.stages[0].id)


def _replace_one(document: PlanDocument, rng: random.Random) -> PlanDocument | None:
    """The document with one random node replaced by junk; None if it cannot be read at all."""
    data = to_data(document)
    parent, key = _random_node(data, rng)
    parent[key] = rng.choice(JUNK)
    try:
        return from_data(PlanDocument, data)
    except DataError:
        return None


def _random_node(data: Any, rng: random.Random) -> tuple[Any, Any]:
    while True:
        key = rng.choice(list(data) if isinstance(data, dict) else range(len(data)))
        child = data[key]
        if not isinstance(child, dict | list) or not child or rng.random() < 0.15:
            return data, key
        data = child
