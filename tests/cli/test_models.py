"""`weft models`: the models that are known by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Weft = Callable[..., Any]


def test_models_and_targets_are_listed(weft: Weft) -> None:
    assert "resnet20" in weft("models").out
    names = {row["name"] for row in json.loads(weft("targets", "--json").out)}
    assert {"wse2", "wse3", "tiny_mesh"} <= names
