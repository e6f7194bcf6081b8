"""`weft sweep`: its searches, and options that do not go together."""

from __future__ import annotations

import json

import pytest

SMALL = ("sweep", "mlp", "--set", "model.options.width=8", "--set", "target=wse2")
SMALL += ("--samples", "50", "--set", "target.noc.hop_cycles=[1,2,3]")


def test_a_search_writes_its_points_and_goes_on(weft, tmp_path):
    pytest.importorskip("optuna")
    arguments = (*SMALL, "--search", "optuna", "--points", "3", "-o", str(tmp_path / "s"), "--json")
    first = weft(*arguments)
    assert first.code == 0, first.err
    assert 1 <= len(json.loads(first.out)["points"]) <= 3
    written = (tmp_path / "s" / "points.jsonl").read_text()
    assert weft(*arguments).code == 0
    assert (tmp_path / "s" / "points.jsonl").read_text() == written


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--search", "optuna"), "--points N"),
        (("--search", "optuna", "--points", "3", "--shard", "0/2"), "neither"),
        (("--search", "optina", "--points", "3"), "optuna"),
        (("--over", "rai"), "ray"),
    ],
)
def test_options_that_do_not_go_together_are_refused(weft, tmp_path, options, said):
    done = weft(*SMALL, "-o", str(tmp_path / "s"), *options)
    assert done.code == 2
    assert said in done.err
