"""What every artefact of the pipeline must satisfy, and how it prints; one function per kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from weft.compiler.artefacts import text, violations

Golden = Callable[[str, str], None]


@pytest.mark.parametrize("name", ["capture", "cut", "map", "place", "balance", "emit"])
def test_every_artefact_prints(name: str, artefacts: dict[str, Any], golden: Golden) -> None:
    target_hash = artefacts["emit"].document.target_hash[:16]  # follows every edit of the target
    golden(f"after_{name}.txt", text(artefacts[name]).replace(target_hash, "HASH"))


def test_sound_artefacts_break_no_invariant(artefacts: dict[str, Any]) -> None:
    assert [sentence for made in artefacts.values() for sentence in violations(made)] == []
