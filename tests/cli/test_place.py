"""`weft place`: a solution, its score, its picture; scoring alone; mistakes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

_INSTANCE = """(*
width=60
height=50
wdeltat=1
wlength=2
wadapter=0
memlimit=24576
*)
conv[1] W=14 H=14 R=3 S=3 C=16 K=16 T=1 U=1 name='a'
conv[2] W=14 H=14 R=1 S=1 C=16 K=32 T=1 U=1 name='b'
conv[1]:y -> conv[2]:x, shape:[14][14][16]
"""


def test_place_and_score(weft: Callable[..., Any], tmp_path: Path) -> None:
    instance = tmp_path / "two.kgraph"
    instance.write_text(_INSTANCE)
    solution, svg = tmp_path / "two.txt", tmp_path / "two.svg"
    made = weft("place", instance, "-o", solution, "--rounds", 1, "--svg", svg, "--json")
    assert made.code == 0, made.err
    again = weft("place", "--score", solution, instance, "--json")
    first, second = json.loads(made.out), json.loads(again.out)
    assert first == second
    total = first["C_time"]["value"] + 2 * first["C_dist"]["value"]
    assert first["C_total"]["value"] == total >= first["C_total"]["at_least"]
    assert svg.read_text().startswith("<svg")
    table = weft("place", "--score", solution, instance)
    assert "C_adapter" in table.out
    assert "adapters: h, w, and" in table.out


def test_mistakes_are_one_message(weft: Callable[..., Any], tmp_path: Path) -> None:
    instance = tmp_path / "bad.kgraph"
    instance.write_text(_INSTANCE.replace("K=16", "K=x"))
    outcome = weft("place", instance, "--rounds", 1)
    assert outcome.code == 2
    assert f"{instance}:9" in outcome.err
