"""Safetensors files as models are published in: one, or several with an index."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.plans_to_train import small_plan
from weft.backend.errors import UserError
from weft.compiler.plan.plan import Plan
from weft.runtime.weights.load import load_weights


@pytest.fixture(scope="module")
def plan() -> Plan:
    return small_plan()


def test_unreadable_files_are_refused(plan: Plan, tmp_path: Path) -> None:
    (tmp_path / "text.safetensors").write_text("no tensors")
    (tmp_path / "away.json").write_text(json.dumps({"weight_map": {"a": "../x.safetensors"}}))
    (tmp_path / "list.json").write_text("[1]")
    for name in ("text.safetensors", "away.json", "list.json", "nothing.safetensors", "."):
        with pytest.raises(UserError, match="weights"):
            load_weights(plan, tmp_path / name)
    with pytest.raises(UserError, match="without a weight_map"):
        load_weights(plan, tmp_path / "list.json")
