"""Prices of several stages on one region, in which the weights that they tie lie once."""

from __future__ import annotations

from helpers.tied_networks import WIDTH, WORDS, compiled
from weft.compiler.mapping.sharing import SharedGroup
from weft.compiler.place.share import Sharing


def test_a_pass_says_what_it_weighed() -> None:
    made: list[Sharing] = []
    compiled(on_end=lambda run: made.append(run.artefact) if run.name == "share" else None)
    (sharing,) = made
    assert sharing.groups in ((SharedGroup((0, 4), 0),), (SharedGroup((0, 4), 4),))
    (choice,) = sharing.choices
    assert choice.is_shared
    assert choice.shared_cycles < choice.apart_cycles
    assert choice.stream_bytes == 2 * 4 * WORDS * WIDTH
    assert "table and head: one region" in sharing.text()
